// Package spool takes mails off the queue spool, lets the engine run them and
// commits what comes of it.
//
// A mail is worked on in memory. Its row in the queue stays as it was until the
// run is over; then one repository.Change applies the outbox and removes the
// row. So a mail whose run fails, or that was running when the process died,
// runs again from its stored form, and nothing of the first run exists.
//
// A run that fails is tried again after a growing delay, five times; then the
// mail goes to the error repository (James: JamesMailSpooler, which tries again
// at once). A run whose result cannot be stored is one that failed.
package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/logctx"
	"github.com/mailetd/mailetd/repository"
)

// maxFailures is how many failed runs a mail survives in the spool.
const maxFailures = 5

// Engine is what the spooler asks of package container/engine.
type Engine interface {
	Run(ctx context.Context, m *container.Mail, out *container.Outbox) error
}

// Spooler empties the queue spool. Set the fields, then call Run once.
type Spooler struct {
	Queues          repository.Queues
	Engine          Engine
	Threads         int    // mails processed at the same time; 0: none are processed
	ErrorRepository string // URL for mails whose processing keeps failing
	Log             *slog.Logger
	// Backoff returns the delay before run number failures+1. Nil: 1 s, 5 s, 25 s…
	Backoff func(failures int) time.Duration
	// Pause is the time to wait when the store fails. 0: 5 s.
	Pause time.Duration

	slots    atomic.Int64 // places for items taken, from Reserve to commit
	capacity int64
	items    chan *repository.Item
	wake     chan struct{}
	consumes atomic.Bool
	hungry   atomic.Bool    // there was more to lease than there was room for
	asked    sync.WaitGroup // changes that the store has not answered

	mu    sync.Mutex
	stuck []stuck
}

// stuck is an item whose result could not be stored.
type stuck struct {
	item *repository.Item
	err  error
}

// Consuming reports whether the spooler is taking mails off the spool: for the
// health check.
func (s *Spooler) Consuming() bool { return s.consumes.Load() }

// Run processes mails until ctx is done. Then it takes no more, lets each worker
// finish the mail in its hands, waits for the store to answer, gives back the
// other mails and returns.
func (s *Spooler) Run(ctx context.Context) error {
	if s.Threads == 0 {
		s.Log.Warn("spooler is deactivated: <threads> is 0, mails only accumulate")
		<-ctx.Done()
		return nil
	}
	if s.Backoff == nil {
		s.Backoff = defaultBackoff
	}
	if s.Pause == 0 {
		s.Pause = 5 * time.Second
	}
	s.capacity = max(int64(4*s.Threads), 64)
	s.items = make(chan *repository.Item, s.capacity)
	s.wake = make(chan struct{}, 1)
	s.Queues.Consume(container.SpoolQueue, s)
	s.consumes.Store(true)
	defer s.consumes.Store(false)

	var wg sync.WaitGroup
	for range s.Threads {
		wg.Go(func() { s.work(ctx) })
	}
	wg.Go(func() { s.refill(ctx) })
	<-ctx.Done()
	s.Queues.Consume(container.SpoolQueue, nil)
	wg.Wait()
	s.asked.Wait()
	return s.drain()
}

// drain gives back what no worker took, unchanged. Mails that ran, and whose
// result could not be stored, go back as failed: what they did outside the store
// must not be done twice. What cannot be given back is ready again when the
// server starts the next time.
func (s *Spooler) drain() error {
	ctx := context.Background()
	errs := s.unstick(ctx)
	var left []*repository.Item
	for len(s.items) > 0 {
		left = append(left, <-s.items)
	}
	if len(left) == 0 {
		return errs
	}
	if err := s.Queues.Release(ctx, left); err != nil {
		errs = errors.Join(errs, fmt.Errorf("give %d mails back to the spool: %w", len(left), err))
	}
	return errs
}

func defaultBackoff(failures int) time.Duration {
	d := time.Second
	for range failures - 1 {
		d *= 5
	}
	return d
}

// Reserve implements repository.Consumer.
func (s *Spooler) Reserve(string) bool {
	if s.slots.Add(1) > s.capacity {
		s.slots.Add(-1)
		return false
	}
	return true
}

// Unreserve implements repository.Consumer.
func (s *Spooler) Unreserve(string) { s.slots.Add(-1) }

// Accept implements repository.Consumer. There is always room: an item has a
// slot, and there are no more slots than places in the channel.
func (s *Spooler) Accept(it *repository.Item) { s.items <- it }

// Wake implements repository.Consumer.
func (s *Spooler) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// refill leases what did not come by hand-over: after a restart, after a delay,
// and when there was no room.
func (s *Spooler) refill(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		wait := idle
		err := s.unstick(ctx)
		if err == nil {
			wait, err = s.lease(ctx)
		}
		if err != nil {
			s.Log.ErrorContext(ctx, "the store fails; trying again", "err", err, "in", s.Pause)
			wait = 0
			s.rest(ctx)
		}
		timer.Reset(wait)
	}
}

// rest lets a store that fails alone for a while, whoever asks for more: its own
// failures wake the spooler, too.
func (s *Spooler) rest(ctx context.Context) {
	timer := time.NewTimer(s.Pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// idle is how long the spooler sleeps at most without looking.
const idle = time.Minute

// lease takes as many items as there is room for and returns when to look again.
func (s *Spooler) lease(ctx context.Context) (time.Duration, error) {
	free := s.claim()
	if free == 0 {
		s.hungry.Store(true)
		return s.whenRoom(0), nil
	}
	s.hungry.Store(false)
	l, err := s.Queues.Lease(context.WithoutCancel(ctx), repository.LeaseRequest{Queue: container.SpoolQueue, Limit: int(free)})
	s.slots.Add(int64(len(l.Items)) - free)
	for _, it := range l.Items {
		s.items <- it
	}
	switch {
	case err != nil:
		return 0, err
	case l.More:
		s.hungry.Store(true)
		if len(l.Items) == 0 {
			return s.whenRoom(time.Second), nil
		}
		return s.whenRoom(0), nil
	case !l.Next.IsZero():
		return min(max(time.Until(l.Next), 0), idle), nil
	default:
		return idle, nil
	}
}

// whenRoom is how long to sleep while there is more to lease: until the end of
// mails makes room and wakes the spooler, or for a time when there is room
// already and nobody will.
func (s *Spooler) whenRoom(soon time.Duration) time.Duration {
	if s.slots.Load() > s.capacity/2 {
		return idle
	}
	return soon
}

// claim takes all free slots.
func (s *Spooler) claim() int64 {
	for {
		used := s.slots.Load()
		if used >= s.capacity {
			return 0
		}
		if s.slots.CompareAndSwap(used, s.capacity) {
			return s.capacity - used
		}
	}
}

func (s *Spooler) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case it := <-s.items:
			s.one(context.WithoutCancel(ctx), it)
		}
	}
}

// one runs one mail and hands the result to the store.
func (s *Spooler) one(ctx context.Context, it *repository.Item) {
	if !it.Start() {
		s.release()
		return
	}
	m := it.Mail.Clone()
	ctx = logctx.With(ctx, slog.String("id", m.ID))
	var out container.Outbox
	err := s.Engine.Run(ctx, m, &out)
	if err != nil {
		var tell func()
		out, tell = s.failed(ctx, it.Mail, err)
		tell()
	} else {
		forgetFailures(out.Entries())
	}
	s.asked.Add(1)
	s.Queues.CommitAsync(repository.Change{Done: it, Entries: out.Entries()}, func(err error) {
		defer s.asked.Done()
		s.answered(ctx, it, err)
	})
}

// answered notes what the store said to the result of it. It is called by the
// store's writer and must not call the store.
func (s *Spooler) answered(ctx context.Context, it *repository.Item, err error) {
	switch {
	case err == nil:
	case errors.Is(err, repository.ErrNotLeased), errors.Is(err, repository.ErrClosed):
		// Somebody else has the mail now, or will have it at the next start.
		s.Log.ErrorContext(ctx, "what came of a mail is dropped: it is not in our hands any more", "mail", it.Mail.Name, "err", err)
	default:
		s.mu.Lock()
		s.stuck = append(s.stuck, stuck{it, err})
		s.mu.Unlock()
		s.Wake()
		return
	}
	s.release()
}

// release frees the slot of an item and looks for more when many are free.
func (s *Spooler) release() {
	if s.slots.Add(-1) <= s.capacity/2 && s.hungry.CompareAndSwap(true, false) {
		s.Wake()
	}
}

func (s *Spooler) takeStuck() []stuck {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.stuck
	s.stuck = nil
	return list
}

// unstick deals with the items whose result could not be stored, as runs that
// failed: the mail is as it was, and waits for its next try in the queue. While
// the store takes nothing at all, on a full disk for example, they stay in hand.
func (s *Spooler) unstick(ctx context.Context) error {
	list := s.takeStuck()
	for i, st := range list {
		ctx := logctx.With(context.WithoutCancel(ctx), slog.String("id", st.item.Mail.ID))
		out, tell := s.failed(ctx, st.item.Mail, fmt.Errorf("store what came of the mail: %w", st.err))
		err := s.Queues.Commit(ctx, repository.Change{Done: st.item, Entries: out.Entries()})
		if err != nil && !errors.Is(err, repository.ErrNotLeased) {
			s.mu.Lock()
			s.stuck = append(list[i:], s.stuck...)
			s.mu.Unlock()
			return fmt.Errorf("requeue %s: %w", st.item.Mail.Name, err)
		}
		tell()
		s.release()
	}
	return nil
}

// forgetFailures drops the counter from mails that were processed well.
func forgetFailures(entries []container.Entry) {
	for _, e := range entries {
		delete(e.Mail.Attributes, container.AttrErrorCount)
	}
}

// failed decides what becomes of a mail whose run failed: the spool again, as
// it was, or the error repository. tell logs it.
func (s *Spooler) failed(ctx context.Context, m *container.Mail, err error) (out container.Outbox, tell func()) {
	m = m.Clone()
	n, _ := m.Attributes.Int(container.AttrErrorCount)
	n++
	m.Set(container.AttrErrorCount, int32(n))
	m.ErrorMessage = err.Error()
	next := "Mail is requeued with increased failure count."
	if n <= maxFailures {
		out.Enqueue(container.SpoolQueue, "", m, s.Backoff(n))
	} else {
		next = "Abort. Mail is saved in " + s.ErrorRepository
		delete(m.Attributes, container.AttrErrorCount)
		out.Store(s.ErrorRepository, m)
	}
	return out, func() {
		s.Log.ErrorContext(ctx, fmt.Sprintf("Failed %s processing %d consecutive times. %s", m.Name, n, next), "mail", m.Name, "err", err)
	}
}
