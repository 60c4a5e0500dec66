package smtphooks

import (
	"crypto/sha256"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Limits of what is remembered; forgetting costs a second copy.
const (
	halfMessages = 1000
	halfFor      = 7 * 24 * time.Hour // clients give up after some days
)

// halfDone remembers how far messages got that the client was asked to send again.
// It is safe for concurrent use.
type halfDone[V any] struct {
	mu   sync.Mutex
	list map[halfKey]halfNote[V]
}

type halfKey [sha256.Size]byte

type halfNote[V any] struct {
	what  V
	until time.Time
}

// empty reports that nothing is remembered.
func (h *halfDone[V]) empty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.list) == 0
}

// of returns what was noted of a message.
func (h *halfDone[V]) of(k halfKey) (what V, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, ok := h.list[k]
	if !ok || !time.Now().Before(n.until) {
		return what, false
	}
	return n.what, true
}

// note remembers something of a message.
func (h *halfDone[V]) note(k halfKey, what V) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.list == nil {
		h.list = map[halfKey]halfNote[V]{}
	}
	h.list[k] = halfNote[V]{what, time.Now().Add(halfFor)}
	if len(h.list) > halfMessages {
		oldest := k
		for other, n := range h.list {
			if n.until.Before(h.list[oldest].until) {
				oldest = other
			}
		}
		delete(h.list, oldest)
	}
}

// forget ends it: the message is delivered, or refused for good.
func (h *halfDone[V]) forget(k halfKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.list, k)
}

// halfKeyOf is the same whenever the message comes for these recipients: Received
// fields, ours among them, differ each time.
func halfKeyOf(m *container.Mail, rcpts ...container.Address) (k halfKey, err error) {
	sum := sha256.New()
	header := mime.Remove(m.Message.Header(), "Received")
	fmt.Fprintf(sum, "%q %d\n", m.Sender.Path(), len(header))
	for _, r := range rcpts {
		fmt.Fprintf(sum, "%q\n", r.Key())
	}
	sum.Write(header) // never fails
	r, err := m.Message.Body().Open()
	if err != nil {
		return k, err
	}
	defer r.Close()
	if _, err := io.Copy(sum, r); err != nil {
		return k, err
	}
	return halfKey(sum.Sum(nil)), nil
}
