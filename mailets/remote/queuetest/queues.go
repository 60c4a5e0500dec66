// Package queuetest is a repository.Queues in memory, for tests of what empties
// a queue. Delayed items become ready when the test says so.
package queuetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// Queues keeps items in the order of their arrival. All methods may be called
// by several goroutines at once.
type Queues struct {
	mu        sync.Mutex
	last      int64
	queues    map[string]*queue
	changed   chan struct{}
	commitErr func(repository.Change) error
	released  int
}

type queue struct {
	items    []*entry
	consumer repository.Consumer
}

type entry struct {
	item   *repository.Item
	delay  time.Duration // 0: ready
	leased bool
}

// Entry is an item as a test sees it.
type Entry struct {
	Mail        *container.Mail
	Destination string
	Delay       time.Duration // 0: ready or leased
	Leased      bool
}

// New returns a store without queues.
func New() *Queues { return &Queues{queues: map[string]*queue{}, changed: make(chan struct{})} }

func (s *Queues) queue(name string) *queue {
	q, ok := s.queues[name]
	if !ok {
		q = &queue{}
		s.queues[name] = q
	}
	return q
}

func (s *Queues) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// List returns the items of a queue.
func (s *Queues) List(name string) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Entry
	for _, e := range s.queue(name).items {
		out = append(out, Entry{e.item.Mail, e.item.Destination, e.delay, e.leased})
	}
	return out
}

// Released returns how many items were given back.
func (s *Queues) Released() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.released
}

// Wait waits until the queue's items satisfy cond and returns them.
func (s *Queues) Wait(t testing.TB, name string, cond func([]Entry) bool) []Entry {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		list := s.List(name)
		if cond(list) {
			return list
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("gave up waiting for queue %s: it has %d items", name, len(list))
		}
	}
}

// WaitLen waits until the queue has n items, and for n > 0 none of them leased.
func (s *Queues) WaitLen(t testing.TB, name string, n int) []Entry {
	t.Helper()
	return s.Wait(t, name, func(list []Entry) bool {
		return len(list) == n && !slices.ContainsFunc(list, func(e Entry) bool { return e.Leased })
	})
}

// Ripen makes all delayed items ready.
func (s *Queues) Ripen() {
	s.mu.Lock()
	var wake []repository.Consumer
	for _, q := range s.queues {
		for _, e := range q.items {
			e.delay = 0
		}
		if q.consumer != nil {
			wake = append(wake, q.consumer)
		}
	}
	s.notify()
	s.mu.Unlock()
	for _, c := range wake {
		c.Wake()
	}
}

// FailCommits lets f decide about each change; nil lets all succeed.
func (s *Queues) FailCommits(f func(repository.Change) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commitErr = f
}

// Cancel takes the named mail away as an operator would. It reports whether
// that was possible.
func (s *Queues) Cancel(name, mail string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queue(name)
	for i, e := range q.items {
		if e.item.Mail.Name == mail && (!e.leased || e.item.Cancel()) {
			q.items = slices.Delete(q.items, i, i+1)
			s.notify()
			return true
		}
	}
	return false
}

// NewBody implements repository.Queues.
func (s *Queues) NewBody() repository.BodyWriter { return &body{} }

type body struct{ bytes.Buffer }

func (b *body) Finish() (container.Body, error) { return container.BytesBody(b.Bytes()), nil }
func (b *body) Abort()                          {}

// CreateQueue implements repository.Queues.
func (s *Queues) CreateQueue(ctx context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue(name)
	return ctx.Err()
}

// Consume implements repository.Queues.
func (s *Queues) Consume(name string, c repository.Consumer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue(name).consumer = c
}

// Commit implements repository.Queues.
func (s *Queues) Commit(_ context.Context, c repository.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commitErr != nil {
		if err := s.commitErr(c); err != nil {
			return err
		}
	}
	if c.Done != nil {
		q := s.queue(c.Done.Queue)
		i := slices.IndexFunc(q.items, func(e *entry) bool { return e.item == c.Done && e.leased })
		if i < 0 {
			return fmt.Errorf("item %d: %w", c.Done.ID, repository.ErrNotLeased)
		}
		q.items = slices.Delete(q.items, i, i+1)
	}
	for _, e := range c.Entries {
		if e.Queue != "" {
			s.insert(e)
		}
	}
	s.notify()
	return nil
}

func (s *Queues) insert(e container.Entry) {
	s.last++
	q := s.queue(e.Queue)
	n := &entry{delay: e.Delay, item: &repository.Item{ID: s.last, Queue: e.Queue, Destination: e.Destination,
		Enqueued: time.Now(), ReadyAt: time.Now().Add(e.Delay), Mail: e.Mail}}
	q.items = append(q.items, n)
	if q.consumer != nil && e.Delay == 0 {
		if q.consumer.Reserve(e.Destination) {
			n.leased = true
			q.consumer.Accept(n.item)
		} else {
			q.consumer.Wake()
		}
	}
}

// CommitAsync implements repository.Queues.
func (s *Queues) CommitAsync(c repository.Change, done func(error)) {
	done(s.Commit(context.Background(), c))
}

// Lease implements repository.Queues.
func (s *Queues) Lease(ctx context.Context, r repository.LeaseRequest) (repository.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out repository.Lease
	left := map[string]int{}
	for _, e := range s.queue(r.Queue).items {
		if e.leased || e.delay > 0 {
			continue
		}
		d := e.item.Destination
		if _, ok := left[d]; !ok && r.PerDestination != nil {
			left[d] = r.PerDestination(d)
		}
		if len(out.Items) >= r.Limit {
			out.More = true
			break
		}
		if r.PerDestination != nil {
			if left[d] <= 0 {
				continue
			}
			left[d]--
		}
		// A new Item, as a store that reads it from disk would make.
		old := e.item
		e.item = &repository.Item{ID: old.ID, Queue: old.Queue, Destination: d, Enqueued: old.Enqueued, ReadyAt: old.ReadyAt, Mail: old.Mail}
		e.leased = true
		out.Items = append(out.Items, e.item)
	}
	return out, ctx.Err()
}

// Release implements repository.Queues.
func (s *Queues) Release(_ context.Context, items []*repository.Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range items {
		for _, e := range s.queue(it.Queue).items {
			if e.item == it {
				e.leased = false
				s.released++
			}
		}
	}
	s.notify()
	return nil
}

// Bury implements repository.Queues.
func (s *Queues) Bury(ctx context.Context, it *repository.Item, reason string) error {
	return s.Commit(ctx, repository.Change{Done: it})
}
