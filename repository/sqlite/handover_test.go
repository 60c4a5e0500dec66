package sqlite

import (
	"context"
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
