package smtphooks

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
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

// halfDelivered remembers which accounts behind a recipient have a message that
// others could not be given for the moment: the client sends it again for all of
// them. It is safe for concurrent use.
type halfDelivered struct {
	mu   sync.Mutex
	list map[halfKey]halfNote
}

type halfKey [sha256.Size]byte

type halfNote struct {
	accounts map[string]bool // keys of addresses
	until    time.Time
}

// accounts returns who has the message already; the map is the caller's.
func (h *halfDelivered) accounts(k halfKey) map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]bool{}
	if n := h.list[k]; time.Now().Before(n.until) {
		maps.Copy(out, n.accounts)
	}
	return out
}

// note remembers who has the message; nobody forgets it.
func (h *halfDelivered) note(k halfKey, accounts map[string]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.list, k)
	if len(accounts) == 0 {
		return
	}
	if h.list == nil {
		h.list = map[halfKey]halfNote{}
	}
	h.list[k] = halfNote{accounts, time.Now().Add(halfFor)}
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

// halfKeyOf is the same whenever the message comes for the recipient: Received
// fields, ours among them, differ each time.
func halfKeyOf(m *container.Mail, rcpt container.Address) (k halfKey, err error) {
	sum := sha256.New()
	header := mime.Remove(m.Message.Header(), "Received")
	fmt.Fprintf(sum, "%q %q %d\n", m.Sender.Path(), rcpt.Key(), len(header))
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
