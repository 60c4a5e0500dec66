package spool_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/spool"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/sqlite"
)

var errDisk = errors.New("no space left on device")

// troubled is a store whose changes fail while fails is not used up, and whose
// answers wait for hold.
type troubled struct {
	*sqlite.Store
	fails   atomic.Int64 // changes of a lease still to fail
	poison  func(repository.Change) bool
	tries   atomic.Int64
	release atomic.Int64 // calls of Release still to fail
	hold    chan struct{}
	asked   chan struct{}
	left    chan struct{} // closed when the spooler takes no more
	replied atomic.Bool

	consumer atomic.Pointer[repository.Consumer] // woken by each change that fails, as a rolled back one may do
}

func (s *troubled) Consume(queue string, c repository.Consumer) {
	s.Store.Consume(queue, c)
	s.consumer.Store(&c)
	if c == nil && s.left != nil {
		close(s.left)
	}
}

func (s *troubled) broken(c repository.Change) bool {
	if c.Done == nil {
		return false
	}
	s.tries.Add(1)
	if s.fails.Add(-1) < 0 && (s.poison == nil || !s.poison(c)) {
		return false
	}
	if c := *s.consumer.Load(); c != nil {
		c.Wake()
	}
	return true
}

func (s *troubled) Commit(ctx context.Context, c repository.Change) error {
	if s.broken(c) {
		return errDisk
	}
	return s.Store.Commit(ctx, c)
}

func (s *troubled) CommitAsync(c repository.Change, done func(error)) {
	if s.hold != nil {
		answer := done
		done = func(err error) {
			go func() {
				s.asked <- struct{}{}
				<-s.hold
				s.replied.Store(true)
				answer(err)
			}()
		}
	}
	if s.broken(c) {
		done(errDisk)
		return
	}
	s.Store.CommitAsync(c, done)
}

func (s *troubled) Release(ctx context.Context, items []*repository.Item) error {
	if s.release.Add(-1) >= 0 {
		return errDisk
	}
	return s.Store.Release(ctx, items)
}

func openStore(t *testing.T) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.TempDir(), sqlite.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	u, _ := repository.ParseURL(errorURL)
	err = errors.Join(store.CreateQueue(t.Context(), container.SpoolQueue), store.CreateQueue(t.Context(), "outgoing"), store.CreateRepository(t.Context(), u))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// spoolOver runs a spooler over q; stop ends it and waits.
func spoolOver(t *testing.T, q repository.Queues, engine engineFunc, threads int) (stop func()) {
	t.Helper()
	s := &spool.Spooler{Queues: q, Engine: engine, Threads: threads, ErrorRepository: errorURL, Log: quiet,
		Backoff: func(int) time.Duration { return 0 }, Pause: time.Millisecond}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Run does not return")
		}
	})
	t.Cleanup(stop)
	return stop
}

// putAll puts n mails into the spool at once.
func putAll(t *testing.T, store *sqlite.Store, name string, n int) {
	t.Helper()
	var c repository.Change
	for i := range n {
		m := container.NewMail(container.MustAddress("a@x.test"), []container.Address{container.MustAddress("b@x.test")},
			container.NewMessage([]byte("Subject: x\r\n"), container.BytesBody("hello\r\n")))
		m.Name = fmt.Sprint(name, i)
		c.Entries = append(c.Entries, container.Entry{Mail: m, Queue: container.SpoolQueue})
	}
	if err := store.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func toOutgoing(m *container.Mail, out *container.Outbox) error {
	out.Enqueue("outgoing", "x.test", m.Clone(), 0)
	return nil
}

// A disk that is full for a while loses nothing and doubles nothing.
func TestCommitsFailForAWhile(t *testing.T) {
	for _, fails := range []int64{1, 3, 200} {
		t.Run(fmt.Sprint(fails), func(t *testing.T) {
			q := &troubled{Store: openStore(t)}
			q.fails.Store(fails)
			q.release.Store(fails / 2)
			spoolOver(t, q, toOutgoing, 4)
			putAll(t, q.Store, "m", 100)
			sizes(t, q.Store, 0, 100, 0)
		})
	}
}

// A mail whose result can never be stored does not run for ever: it counts as
// failed and ends in the error repository.
// TestStoreThatFailsIsLeftAlone: with a full disk each try costs a line of the
// log at least; wake-ups must not turn the pause into a loop without one.
func TestStoreThatFailsIsLeftAlone(t *testing.T) {
	store := &troubled{Store: openStore(t)}
	const fails, pause = 12, 20 * time.Millisecond
	store.fails.Store(fails)
	putAll(t, store.Store, "m", 1)
	s := &spool.Spooler{Queues: store, Engine: engineFunc(toOutgoing), Threads: 1, ErrorRepository: errorURL, Log: quiet,
		Backoff: func(int) time.Duration { return 0 }, Pause: pause}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	begin := time.Now()
	go func() { done <- s.Run(ctx) }()
	sizes(t, store.Store, 0, 1, 0)
	// The run's own answer and the first look at it come without a pause.
	if took, least := time.Since(begin), (fails-2)*pause; took < least {
		t.Errorf("%d tries in %v, want at least %v", fails, took, least)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestResultThatCannotBeStored(t *testing.T) {
	q := &troubled{Store: openStore(t), poison: func(c repository.Change) bool {
		return len(c.Entries) > 0 && c.Entries[0].Queue == "outgoing"
	}}
	var runs atomic.Int64
	spoolOver(t, q, func(m *container.Mail, out *container.Outbox) error {
		runs.Add(1)
		return toOutgoing(m, out)
	}, 2)
	put(t, q.Store, "m")
	sizes(t, q.Store, 0, 0, 1)
	if n := runs.Load(); n != 6 {
		t.Errorf("the mail was run %d times, want 6", n)
	}
}

// Run waits for what it gave to the store: when it is back, nothing of it is
// called any more, and a mail whose change failed is ready again.
func TestShutdownWaitsForCommits(t *testing.T) {
	for _, fails := range []int64{0, 1} {
		t.Run(fmt.Sprint(fails), func(t *testing.T) {
			q := &troubled{Store: openStore(t), hold: make(chan struct{}), asked: make(chan struct{}, 1), left: make(chan struct{})}
			q.fails.Store(fails)
			stop := spoolOver(t, q, toOutgoing, 1)
			put(t, q.Store, "m")
			<-q.asked
			go func() { <-q.left; close(q.hold) }()
			stop()
			if !q.replied.Load() {
				t.Fatal("Run is back before the store has answered")
			}
			if fails == 0 {
				sizes(t, q.Store, 0, 1, 0)
				return
			}
			l, err := q.Store.Lease(t.Context(), repository.LeaseRequest{Queue: container.SpoolQueue, Limit: 10})
			if err != nil || len(l.Items) != 1 {
				t.Fatalf("leased %d items, %v; want the mail", len(l.Items), err)
			}
			if n, _ := l.Items[0].Mail.Attributes.Int(container.AttrErrorCount); n != 1 {
				t.Error("the mail does not know that it ran: its local deliveries would be repeated")
			}
		})
	}
}

// Slots come back: many more mails than places pass, whatever goes wrong, and
// those that were there before the spooler too.
func TestBacklogIsWorkedOff(t *testing.T) {
	q := &troubled{Store: openStore(t)}
	putAll(t, q.Store, "old", 500)
	var n atomic.Int64
	spoolOver(t, q, func(m *container.Mail, out *container.Outbox) error {
		if n.Add(1)%7 == 0 {
			return errors.New("now and then")
		}
		return toOutgoing(m, out)
	}, 3)
	putAll(t, q.Store, "new", 300)
	sizes(t, q.Store, 0, 800, 0)
}

// One mail with very many results is one change.
func TestLargeFanOut(t *testing.T) {
	q := &troubled{Store: openStore(t)}
	spoolOver(t, q, func(m *container.Mail, out *container.Outbox) error {
		for i := range 5000 {
			c := m.Clone()
			c.Name = fmt.Sprint("m", i)
			out.Enqueue("outgoing", fmt.Sprintf("d%d.test", i), c, 0)
		}
		return nil
	}, 2)
	put(t, q.Store, "m")
	sizes(t, q.Store, 0, 5000, 0)
}
