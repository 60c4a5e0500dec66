package sqlite

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// hold keeps the writer busy until the function it returns is called: what is
// handed in meanwhile becomes one group.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	busy, free := make(chan bool), make(chan bool)
	must(t, s.send(context.Background(), &operation{fn: func(*writer) error { close(busy); <-free; return nil }}))
	<-busy
	return func() { close(free) }
}

// refuseCommits lets every COMMIT fail until it is called with false.
func refuseCommits(s *Store, refuse bool) {
	_ = s.do(context.Background(), func(w *writer) error { // its own commit may be the first to fail
		w.c.c.RegisterCommitHook(func() int {
			if refuse {
				return 1
			}
			return 0
		})
		return nil
	})
}

// slow is a consumer that takes its time to accept.
type slow struct {
	greedy
	returned chan bool // closed when Consume has returned
	late     bool
}

func (c *slow) Accept(it *repository.Item) {
	select {
	case <-c.returned:
		c.late = true
	case <-time.After(50 * time.Millisecond):
	}
	c.greedy.Accept(it)
}

// TestConsumeEnds: when Consume returns, the consumer before has everything that
// it is going to get: it would never give back what comes later.
func TestConsumeEnds(t *testing.T) {
	s := openTest(t, t.TempDir())
	c := &slow{returned: make(chan bool)}
	s.Consume("q", c)
	release := hold(t, s)
	var all sync.WaitGroup
	all.Add(1)
	s.CommitAsync(repository.Change{Entries: []container.Entry{{Mail: testMail("m", nil), Queue: "q"}}}, func(err error) {
		if err != nil {
			t.Error(err)
		}
		all.Done()
	})
	all.Go(func() {
		s.Consume("q", nil)
		close(c.returned)
	})
	waitFor(t, "both to be in front of the writer", func() bool { return len(s.ops) == 2 })
	release()
	all.Wait()
	must(t, s.do(context.Background(), func(*writer) error { return nil }))
	if c.late || len(c.items) != 1 {
		t.Errorf("got %d items, late: %v; want one, and in time", len(c.items), c.late)
	}
}

// TestConsumeOnFullDisk: who consumes a queue does not depend on a commit.
func TestConsumeOnFullDisk(t *testing.T) {
	s := openTest(t, t.TempDir())
	old, next := &greedy{}, &greedy{}
	s.Consume("q", old)
	refuseCommits(s, true)
	if err := s.CreateQueue(context.Background(), "x"); err == nil {
		t.Fatal("the commit did not fail")
	}
	s.Consume("q", next)
	refuseCommits(s, false)
	put(t, s, "q", testMail("m", nil))
	must(t, s.do(context.Background(), func(*writer) error { return nil }))
	if len(old.items) != 0 || len(next.items) != 1 {
		t.Errorf("the consumer before got %d items, the new one %d; want 0 and 1", len(old.items), len(next.items))
	}
}

// TestManyDestinations: beyond the number of destinations that it remembers, the
// store hands nothing over past what waits, and all of it again behind that.
func TestManyDestinations(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	put(t, s, "q", testMail("m", nil))
	fill(t, s, backlogMax+1, itemFill, "queue_item", "'q', 'd' || i || '.example', 0, 0, i, i, 0")
	must(t, s.Close(context.Background()))
	s = openTest(t, dir)
	c := &greedy{}
	s.Consume("q", c)
	lease := func(cap int) []*repository.Item {
		l, err := s.Lease(context.Background(), repository.LeaseRequest{Queue: "q", Limit: 2 * backlogMax, PerDestination: func(string) int { return cap }})
		must(t, err)
		return l.Items
	}
	commit := func(name, destination string) int {
		must(t, s.Commit(context.Background(), repository.Change{Entries: []container.Entry{{Mail: testMail(name, nil), Queue: "q", Destination: destination}}}))
		must(t, s.do(context.Background(), func(*writer) error { return nil }))
		return len(c.items)
	}
	if items := lease(0); len(items) != 0 {
		t.Fatalf("leased %d items though there was room for none", len(items))
	}
	if commit("behind", "d7.example") != 0 {
		t.Error("an item was handed over past another one")
	}
	items := lease(10)
	if len(items) != backlogMax+3 || items[len(items)-1].Mail == nil {
		t.Errorf("leased %d items, want %d", len(items), backlogMax+3)
	}
	if commit("now", "d7.example") != 1 {
		t.Error("an item was not handed over though none waits")
	}
	must(t, s.do(context.Background(), func(w *writer) error {
		return w.c.exec("DELETE FROM queue_item WHERE message = 1 AND name LIKE 'name%'")
	}))
}

// TestLargeInMemory: a large body that a mailet made in memory does not stay
// there beyond the budget.
func TestLargeInMemory(t *testing.T) {
	s, err := Open(t.TempDir(), Options{Logger: quiet(), MemoryBudget: 500_000})
	must(t, err)
	closeAfter(t, s)
	c := &greedy{}
	s.Consume("q", c)
	const size = 300_000
	for _, name := range []string{"a", "b", "c"} {
		put(t, s, "q", testMail(name, container.BytesBody(make([]byte, size))))
	}
	must(t, s.do(context.Background(), func(*writer) error { return nil }))
	if n := s.Stats().Memory; n < size || n > 500_000 {
		t.Errorf("%d octets are in memory, want those of one body", n)
	}
	inMemory := 0
	for _, it := range c.items {
		if _, ok := it.Mail.Message.Body().(container.BytesBody); ok {
			inMemory++
		}
	}
	if inMemory != 1 {
		t.Errorf("%d bodies are in memory, want one", inMemory)
	}
	for _, it := range c.items {
		if n, err := it.Mail.Message.WriteTo(io.Discard); err != nil || n < size {
			t.Errorf("%s: %d octets, %v", it.Mail.Name, n, err)
		}
		edited := it.Mail.Clone()
		edited.Message.SetHeader([]byte("Subject: edited\r\n"))
		must(t, s.Commit(context.Background(), repository.Change{Done: it, Entries: []container.Entry{{Mail: edited, Queue: "next"}}}))
	}
	if n := count(t, s, "SELECT COUNT(*) FROM message WHERE path IS NOT NULL"); n != 3 {
		t.Errorf("%d bodies are stored, want 3", n)
	}
	for _, it := range leaseAll(t, s, "next") {
		must(t, s.Commit(context.Background(), repository.Change{Done: it}))
	}
	wantEmpty(t, s)
}

// TestCloseInTime: Close heeds its context though the disk hangs and others wait
// for a place in front of the writer.
func TestCloseInTime(t *testing.T) {
	s, err := Open(t.TempDir(), Options{Logger: quiet()})
	must(t, err)
	release := hold(t, s)
	var all sync.WaitGroup
	all.Go(func() {
		for range waitingMax + 1 {
			s.CommitAsync(repository.Change{}, nil)
		}
	})
	waitFor(t, "no place to be left", func() bool { return len(s.ops) == waitingMax })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
	release()
	all.Wait()
	<-s.w.finished
}
