// Package repositorytest is the suite that every backend of package repository
// must pass: what a queue and a mail repository promise, whoever stores them.
package repositorytest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// Store is what a backend offers.
type Store interface {
	repository.Queues
	repository.QueueAdmin
	repository.Repositories
	Close(ctx context.Context) error
}

// Opener opens the store in a folder, empty at first, with a clock. It may be
// called again for the same folder after Close.
type Opener func(t *testing.T, dir string, now func() time.Time) Store

// Run tests a backend.
func Run(t *testing.T, open Opener) {
	tests := []func(*testing.T, *fixture){
		fieldsSurvive, bodiesSurvive, order, leasedOnce, sameName, delays, snapshots, priorities, asyncOrder,
		doneOnce, allOrNothing, releaseAndBury, leaseTurns, leaseCaps,
		handOver, handOverKeepsOrder, handOverUndone, consumerEnds,
		sizes, browse, flush, removeFiltered, removeLeased, reopened,
		keysAndOverwrite, keyPages, mailFilters, fromRepository, fromReplaced, moves, clears, sharedContent,
	}
	for _, test := range tests {
		name := path.Ext(runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name())[1:]
		t.Run(name, func(t *testing.T) {
			f := &fixture{t: t, open: open, dir: t.TempDir(), clock: &clock{now: time.Unix(1_800_000_000, 0)}}
			f.reopen()
			t.Cleanup(f.close)
			test(t, f)
		})
	}
}

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is a store and the clumsy parts of using it.
type fixture struct {
	t     *testing.T
	open  Opener
	dir   string
	clock *clock
	s     Store
}

func (f *fixture) close() {
	if f.s != nil {
		f.must(f.s.Close(context.Background()))
		f.s = nil
	}
}

func (f *fixture) reopen() {
	f.close()
	f.s = f.open(f.t, f.dir, f.clock.Now)
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) wantErr(err, want error) {
	f.t.Helper()
	if !errors.Is(err, want) {
		f.t.Errorf("got error %v, want %v", err, want)
	}
}

func newMail(name string, rcpts ...string) *container.Mail {
	if rcpts == nil {
		rcpts = []string{"bob@example.org"}
	}
	var list []container.Address
	for _, r := range rcpts {
		list = append(list, container.MustAddress(r))
	}
	m := container.NewMail(container.MustAddress("alice@example.com"), list,
		container.NewMessage([]byte("Subject: "+name+"\r\n"), container.BytesBody("Hello, "+name+".\r\n")))
	m.Name = name
	return m
}

func (f *fixture) put(queue string, delay time.Duration, names ...string) {
	f.t.Helper()
	for _, name := range names {
		f.must(f.s.Commit(f.t.Context(), repository.Change{Entries: []container.Entry{{Mail: newMail(name), Queue: queue, Delay: delay}}}))
	}
}

func (f *fixture) putTo(queue, destination string, names ...string) {
	f.t.Helper()
	for _, name := range names {
		f.must(f.s.Commit(f.t.Context(), repository.Change{Entries: []container.Entry{{Mail: newMail(name), Queue: queue, Destination: destination}}}))
	}
}

func (f *fixture) store(u repository.URL, mails ...*container.Mail) {
	f.t.Helper()
	for _, m := range mails {
		f.must(f.s.Commit(f.t.Context(), repository.Change{Entries: []container.Entry{{Mail: m, Repository: u.String()}}}))
	}
}

func (f *fixture) lease(queue string, limit int) repository.Lease {
	f.t.Helper()
	l, err := f.s.Lease(f.t.Context(), repository.LeaseRequest{Queue: queue, Limit: limit})
	f.must(err)
	return l
}

// leaseOne leases one item and fails when there is none.
func (f *fixture) leaseOne(queue string) *repository.Item {
	f.t.Helper()
	l := f.lease(queue, 1)
	if len(l.Items) != 1 {
		f.t.Fatalf("got %d items from queue %s, want 1", len(l.Items), queue)
	}
	return l.Items[0]
}

func (f *fixture) done(items ...*repository.Item) {
	f.t.Helper()
	for _, it := range items {
		f.must(f.s.Commit(f.t.Context(), repository.Change{Done: it}))
	}
}

func names(items []*repository.Item) string {
	var out []string
	for _, it := range items {
		out = append(out, it.Mail.Name)
	}
	return strings.Join(out, " ")
}

func (f *fixture) wantNames(items []*repository.Item, want string) {
	f.t.Helper()
	if got := names(items); got != want {
		f.t.Errorf("got items %q, want %q", got, want)
	}
}

func (f *fixture) wantSize(queue string, want int64) {
	f.t.Helper()
	n, err := f.s.QueueSize(f.t.Context(), queue)
	f.must(err)
	if n != want {
		f.t.Errorf("queue %s has size %d, want %d", queue, n, want)
	}
}

func (f *fixture) content(m *container.Message) string {
	f.t.Helper()
	var b bytes.Buffer
	_, err := m.WriteTo(&b)
	f.must(err)
	return b.String()
}

func (f *fixture) bodyOf(b container.Body) []byte {
	f.t.Helper()
	r, err := b.Open()
	f.must(err)
	data, err := io.ReadAll(r)
	f.must(err)
	f.must(r.Close())
	return data
}

func (f *fixture) newBody(data []byte) container.Body {
	f.t.Helper()
	w := f.s.NewBody()
	for len(data) > 0 {
		n := min(len(data), 7000)
		_, err := w.Write(data[:n])
		f.must(err)
		data = data[n:]
	}
	b, err := w.Finish()
	f.must(err)
	return b
}

// consumer takes what it has places for.
type consumer struct {
	mu     sync.Mutex
	places int
	refuse map[string]bool
	taken  int // reserved and not given back
	items  []*repository.Item
	wakes  int
}

func (c *consumer) Reserve(destination string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken >= c.places || c.refuse[destination] {
		return false
	}
	c.taken++
	return true
}

func (c *consumer) Unreserve(string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken--
}

func (c *consumer) Accept(it *repository.Item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items = append(c.items, it)
}

func (c *consumer) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakes++
}

// take returns what was accepted so far, and forgets it.
func (c *consumer) take() []*repository.Item {
	c.mu.Lock()
	defer c.mu.Unlock()
	items := c.items
	c.items = nil
	return items
}

func (c *consumer) set(places int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.places = places
}

func (c *consumer) counts() (taken, wakes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken, c.wakes
}

// settle waits until the store has done what belongs to earlier commits: it may
// answer them before it calls the consumers.
func (f *fixture) settle() {
	f.t.Helper()
	f.must(f.s.CreateQueue(f.t.Context(), "settle"))
	f.must(f.s.CreateQueue(f.t.Context(), "settle"))
}
