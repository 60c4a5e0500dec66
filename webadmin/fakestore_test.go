package webadmin

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// memory is a store in memory, with James's order: by arrival.
type memory struct {
	mu       sync.Mutex
	now      func() time.Time
	seq      int64
	repos    map[repository.URL][]stored
	queues   map[string][]queued
	order    []string
	changes  []repository.Change
	broken   map[string]bool // keys that cannot be moved
	fail     error
	onCommit func(repository.Change) // after the commit, without the lock
	aborted  int
	lost     func(repository.Ref) // makes every commit of a stored mail end in ErrNotFound
}

type stored struct {
	seq  int64
	mail *container.Mail
}

type queued struct {
	id    int64
	mail  *container.Mail
	ready time.Time
}

func newMemory(now func() time.Time) *memory {
	return &memory{now: now, repos: map[repository.URL][]stored{}, queues: map[string][]queued{"spool": nil}, order: []string{"spool"}, broken: map[string]bool{}}
}

func (s *memory) store(u repository.URL, m *container.Mail) {
	s.drop(u, m.Name)
	s.seq++
	s.repos[u] = append(s.repos[u], stored{s.seq, m})
}

func (s *memory) drop(u repository.URL, key string) bool {
	n := len(s.repos[u])
	s.repos[u] = slices.DeleteFunc(s.repos[u], func(e stored) bool { return e.mail.Name == key })
	return len(s.repos[u]) < n
}

func (s *memory) apply(c repository.Change) error {
	if s.fail != nil {
		return s.fail
	}
	if c.From != nil && s.lost != nil {
		s.lost(*c.From)
		return repository.ErrNotFound
	}
	if c.From != nil {
		if s.broken[c.From.Key] {
			return errors.New("disk full")
		}
		if !s.drop(c.From.URL, c.From.Key) {
			return repository.ErrNotFound
		}
	}
	for _, e := range c.Entries {
		s.seq++
		s.queues[e.Queue] = append(s.queues[e.Queue], queued{s.seq, e.Mail, s.now().Add(e.Delay)})
	}
	s.changes = append(s.changes, c)
	return nil
}

func (s *memory) Commit(_ context.Context, c repository.Change) error {
	s.mu.Lock()
	err := s.apply(c)
	s.mu.Unlock()
	if err == nil && s.onCommit != nil {
		s.onCommit(c)
	}
	return err
}

func (s *memory) CommitAsync(c repository.Change, done func(error)) {
	done(s.Commit(context.Background(), c))
}

type memoryBody struct {
	bytes.Buffer
	s    *memory
	done bool
}

func (s *memory) NewBody() repository.BodyWriter { return &memoryBody{s: s} }

func (b *memoryBody) Finish() (container.Body, error) {
	b.done = true
	return container.BytesBody(b.Bytes()), nil
}

func (b *memoryBody) Abort() {
	if !b.done {
		b.s.aborted++
	}
}

func (s *memory) CreateRepository(_ context.Context, u repository.URL) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.repos[u]; !ok {
		s.repos[u] = nil
	}
	return s.fail
}

func (s *memory) Repositories(context.Context) ([]repository.URL, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []repository.URL
	for u := range s.repos {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b repository.URL) int { return strings.Compare(a.Path+a.Protocol, b.Path+b.Protocol) })
	return out, nil
}

func (s *memory) RepositorySize(_ context.Context, u repository.URL) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.repos[u]; !ok {
		return 0, repository.ErrNotFound
	}
	return int64(len(s.repos[u])), s.fail
}

func (s *memory) Keys(_ context.Context, u repository.URL, f repository.MailFilter, offset, limit int) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, e := range s.repos[u] {
		if f.Matches(e.mail) {
			out = append(out, e.mail.Name)
		}
	}
	return inPages(out, limit, offset), s.fail
}

func (s *memory) KeysAfter(_ context.Context, u repository.URL, cursor, until int64, limit int) (keys []string, next, last int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if until == 0 {
		until = s.seq
	}
	next = cursor
	for _, e := range s.repos[u] {
		if e.seq > cursor && e.seq <= until && len(keys) < min(limit, 2) {
			keys, next = append(keys, e.mail.Name), e.seq
		}
	}
	return keys, next, until, s.fail
}

func (s *memory) Mail(_ context.Context, ref repository.Ref) (*container.Mail, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.repos[ref.URL] {
		if e.mail.Name == ref.Key {
			return e.mail.Clone(), s.fail
		}
	}
	return nil, repository.ErrNotFound
}

func (s *memory) ClearRepository(_ context.Context, u repository.URL, progress func(int64)) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := int64(len(s.repos[u]))
	s.repos[u] = nil
	progress(n)
	return n, s.fail
}

func (s *memory) MoveMails(_ context.Context, from, to repository.URL, keys []string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for _, e := range slices.Clone(s.repos[from]) {
		if keys == nil || slices.Contains(keys, e.mail.Name) {
			s.drop(from, e.mail.Name)
			s.store(to, e.mail)
			n++
		}
	}
	return n, s.fail
}

func (s *memory) Queues(context.Context) ([]string, error) { return s.order, s.fail }

func (s *memory) QueueSize(_ context.Context, queue string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.queues[queue]; !ok {
		return 0, repository.ErrNotFound
	}
	return int64(len(s.queues[queue])), nil
}

func (s *memory) selects(f repository.QueueFilter, q queued) bool {
	return (f.Name == nil || *f.Name == q.mail.Name) &&
		(f.Sender == nil || *f.Sender == q.mail.Sender.String() || *f.Sender == "<>" && q.mail.Sender.IsNull()) &&
		(f.Recipient == nil || slices.Contains(container.AddressStrings(q.mail.Recipients), *f.Recipient)) &&
		(f.Delayed == nil || *f.Delayed == q.ready.After(s.now()))
}

func (s *memory) BrowseQueue(_ context.Context, queue string, f repository.QueueFilter, limit int, visit func(repository.QueueEntry) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queues[queue] {
		if !s.selects(f, q) {
			continue
		}
		e := repository.QueueEntry{ID: q.id, Name: q.mail.Name, Sender: q.mail.Sender, Recipients: q.mail.Recipients}
		if q.ready.After(s.now()) {
			e.Next = q.ready
		}
		if err := visit(e); err != nil {
			return err
		}
		if limit--; limit == 0 {
			break
		}
	}
	return s.fail
}

func (s *memory) FlushQueue(_ context.Context, queue string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for i := range s.queues[queue] {
		if s.queues[queue][i].ready.After(s.now()) {
			s.queues[queue][i].ready = s.now()
			n++
		}
	}
	return n, s.fail
}

func (s *memory) RemoveFromQueue(_ context.Context, queue string, f repository.QueueFilter, progress func(int64)) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.queues[queue])
	s.queues[queue] = slices.DeleteFunc(s.queues[queue], func(q queued) bool { return s.selects(f, q) })
	n := int64(before - len(s.queues[queue]))
	progress(n)
	return n, s.fail
}

// enqueue puts a mail into a queue.
func (s *memory) enqueue(queue string, m *container.Mail, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.queues[queue]; !ok {
		s.order = append(s.order, queue)
	}
	s.seq++
	s.queues[queue] = append(s.queues[queue], queued{s.seq, m, s.now().Add(delay)})
}
