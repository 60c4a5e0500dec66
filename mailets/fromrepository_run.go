package mailets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// respoolQueue is where the triggers of FromRepository wait.
const respoolQueue = "from-repository"

// respoolPortion is how many mails are taken at a time.
const respoolPortion = 100

// respooler does the work of all FromRepository of a server. Each step is one
// transaction that puts mails into the spool and notes in the trigger how far it
// got; mails that leave the repository do so one by one before, so that the step
// need not be noted to be over.
type respooler struct {
	queues repository.Queues
	repos  repository.Repositories
	log    *slog.Logger
	pause  time.Duration // rest when the store fails

	leads atomic.Bool
	wake  chan struct{}
	alone int // mails to take one at a time: some step with many failed
}

func newRespooler(s Services) *respooler {
	return &respooler{queues: s.Queues, repos: s.Repositories, log: s.Log, pause: 5 * time.Second, wake: make(chan struct{}, 1)}
}

// Reserve implements repository.Consumer: triggers are leased.
func (r *respooler) Reserve(string) bool { return false }

// Unreserve implements repository.Consumer.
func (r *respooler) Unreserve(string) {}

// Accept implements repository.Consumer.
func (r *respooler) Accept(*repository.Item) {}

// Wake implements repository.Consumer.
func (r *respooler) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Consuming returns the name of the queue, and whether it is being emptied, for
// health checks.
func (r *respooler) Consuming() (queue string, ok bool) { return respoolQueue, r.leads.Load() }

// Run empties the queue until ctx is done. Of several mailets the first one does
// it for all.
func (r *respooler) Run(ctx context.Context) error {
	if !r.leads.CompareAndSwap(false, true) {
		<-ctx.Done()
		return nil
	}
	defer r.leads.Store(false)
	if err := r.queues.CreateQueue(ctx, respoolQueue); err != nil {
		return fmt.Errorf("create queue %s: %w", respoolQueue, err)
	}
	r.queues.Consume(respoolQueue, r)
	defer r.queues.Consume(respoolQueue, nil)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-timer.C:
		}
		wait, err := r.empty(ctx)
		if err != nil && ctx.Err() == nil {
			r.log.ErrorContext(ctx, "respooling stopped; trying again", "err", err, "in", r.pause)
			timer.Reset(r.pause)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			wait = 0
		}
		timer.Reset(wait)
	}
}

// empty works on the triggers that are ready and returns when to look again.
func (r *respooler) empty(ctx context.Context) (time.Duration, error) {
	const idle = time.Minute
	for ctx.Err() == nil {
		l, err := r.queues.Lease(context.WithoutCancel(ctx), repository.LeaseRequest{Queue: respoolQueue, Limit: 1})
		if err != nil {
			return 0, err
		}
		if len(l.Items) == 0 {
			if !l.Next.IsZero() {
				return min(max(time.Until(l.Next), 0), idle), nil
			}
			return idle, nil
		}
		it := l.Items[0]
		if !it.Start() {
			continue // an operator removed it
		}
		if err := r.step(context.WithoutCancel(ctx), it); err != nil && !errors.Is(err, repository.ErrNotLeased) {
			return 0, errors.Join(err, r.queues.Release(context.WithoutCancel(ctx), l.Items))
		}
	}
	return 0, nil
}

// step puts the next mails of a job into the spool. An error leaves the trigger
// as it is.
func (r *respooler) step(ctx context.Context, it *repository.Item) error {
	job, u, err := readRespoolJob(it.Mail)
	if err != nil {
		return r.give(ctx, it, job, err)
	}
	limit := respoolPortion
	if r.alone > 0 {
		limit = 1
	}
	keys, next, until, err := r.repos.KeysAfter(ctx, u, job.cursor, job.until, limit)
	switch {
	case errors.Is(err, repository.ErrNotFound):
		return r.give(ctx, it, job, err)
	case err != nil:
		return err
	case len(keys) == 0:
		r.alone = 0
		return r.give(ctx, it, job, nil)
	}
	job.cursor, job.until = next, until
	mails, refs, err := r.read(ctx, u, keys, job.processor)
	if err != nil {
		return err
	}
	if job.remove {
		n, err := r.move(ctx, mails, refs)
		if err != nil {
			return err
		}
		mails, job.mails = nil, job.mails+n
	}
	return r.commit(ctx, it, job, mails, len(keys))
}

// give ends a job.
func (r *respooler) give(ctx context.Context, it *repository.Item, job respoolJob, reason error) error {
	if err := r.queues.Commit(ctx, repository.Change{Done: it}); err != nil {
		return fmt.Errorf("end the respooling of %s: %w", job.url, err)
	}
	if reason != nil {
		r.log.ErrorContext(ctx, "repository not respooled", "repository", job.url, "trigger", it.Mail.Name, "err", reason)
		return nil
	}
	r.log.InfoContext(ctx, "repository respooled", "repository", job.url, "processor", job.processor, "mails", job.mails, "trigger", it.Mail.Name)
	return nil
}

// read returns the mails with the given keys, ready for the spool. Those that
// cannot be read are logged.
func (r *respooler) read(ctx context.Context, u repository.URL, keys []string, processor string) (mails []*container.Mail, refs []repository.Ref, err error) {
	for _, key := range keys {
		ref := repository.Ref{URL: u, Key: key}
		m, err := r.repos.Mail(ctx, ref)
		switch {
		case errors.Is(err, repository.ErrNotFound):
			continue // somebody else took it
		case errors.Is(err, repository.ErrClosed):
			return nil, nil, err
		case err != nil:
			r.note(ctx, ref, err)
			continue
		}
		m.State = processor
		m.Set(attrFromRepository, true)
		m.Set(container.AttrSentByMailet, true)
		mails, refs = append(mails, m), append(refs, ref)
	}
	return mails, refs, nil
}

func (r *respooler) note(ctx context.Context, ref repository.Ref, err error) {
	r.log.ErrorContext(ctx, "mail not respooled", "mail", ref.Key, "repository", ref.URL.String(), "err", err)
}

// move takes each mail out of the repository and puts it into the spool, each in
// a transaction of its own. It returns how many got there.
func (r *respooler) move(ctx context.Context, mails []*container.Mail, refs []repository.Ref) (int64, error) {
	errs := make([]error, len(mails))
	var wg sync.WaitGroup
	for i, m := range mails {
		wg.Add(1)
		r.queues.CommitAsync(repository.Change{From: &refs[i], Entries: []container.Entry{{Mail: m, Queue: container.SpoolQueue}}}, func(err error) {
			errs[i] = err
			wg.Done()
		})
	}
	wg.Wait()
	n := int64(0)
	for i, err := range errs {
		switch {
		case err == nil:
			n++
		case !errors.Is(err, repository.ErrNotFound):
			return n, fmt.Errorf("respool %s: %w", refs[i].Key, err)
		default: // taken by somebody else, or without its message
			if _, gone := r.repos.Mail(ctx, refs[i]); gone == nil {
				r.note(ctx, refs[i], err)
			}
		}
	}
	return n, nil
}

// commit puts mails, nil for none, into the spool, and notes how far the job got.
// When many cannot be stored together, they are tried one at a time, and a mail
// that has lost its message is passed over.
func (r *respooler) commit(ctx context.Context, it *repository.Item, job respoolJob, mails []*container.Mail, keys int) error {
	job.mails += int64(len(mails))
	trigger := it.Mail.Clone()
	job.write(trigger)
	rest := container.Entry{Mail: trigger, Queue: respoolQueue}
	entries := make([]container.Entry, 0, len(mails)+1)
	for _, m := range mails {
		entries = append(entries, container.Entry{Mail: m, Queue: container.SpoolQueue})
	}
	err := r.queues.Commit(ctx, repository.Change{Done: it, Entries: append(entries, rest)})
	if errors.Is(err, repository.ErrNotFound) && len(mails) == 1 {
		r.log.ErrorContext(ctx, "mail not respooled", "mail", mails[0].Name, "repository", job.url, "err", err)
		job.mails--
		job.write(trigger)
		err = r.queues.Commit(ctx, repository.Change{Done: it, Entries: []container.Entry{rest}})
	}
	switch {
	case err == nil:
		r.alone = max(0, r.alone-1)
	case keys > 1:
		r.alone = keys
	}
	if err != nil {
		return fmt.Errorf("respool %s: %w", job.url, err)
	}
	return nil
}
