package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/logctx"
	"github.com/mailetd/mailetd/repository"
)

// deliver makes one attempt for an item and commits what comes of it. When no
// host could be reached, the items that wait for the same destination are put
// off along with it.
func (q *queue) deliver(ctx, hard context.Context, d *destination, l *lane, it *repository.Item) {
	if !it.Start() {
		q.settle(d) // removed from the queue meanwhile
		return
	}
	if ctx.Err() != nil {
		q.giveBack(d, it)
		return
	}
	if entries, ok := q.misplaced(d, it.Mail); ok {
		q.commit(d, repository.Change{Done: it, Entries: entries})
		return
	}
	a := d.in.newAttempt(it.Mail)
	q.attempt(ctx, hard, a, l)
	if l.conn != nil && l.conn.spent() {
		l.conn.quit()
		l.conn = nil
	}
	dead := a.unreachable()
	if dead && q.leave(d, l) && q.release(d, it) {
		q.Wake() // the store has an item again
		return
	}
	q.mu.Lock()
	if !a.interrupted {
		d.suspect = dead
	}
	var others []*repository.Item
	if dead {
		others, d.waiting = d.waiting, nil
	}
	q.mu.Unlock()
	q.finish(ctx, d, it, a)
	for _, o := range others {
		if !o.Start() {
			q.settle(d)
			continue
		}
		if entries, ok := q.misplaced(d, o.Mail); ok {
			q.commit(d, repository.Change{Done: o, Entries: entries})
			continue
		}
		b := d.in.newAttempt(o.Mail)
		b.adopt(a)
		q.finish(ctx, d, o, b)
	}
}

// attempt runs a, and turns a mistake of ours into a temporary failure of this
// one mail.
func (q *queue) attempt(ctx, hard context.Context, a *attempt, l *lane) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		q.log.Error("panic during delivery", "mail", a.env.mail.Name, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
		if l.conn != nil {
			l.conn.close()
			l.conn = nil
		}
		for _, i := range a.open() {
			a.note(i, false, container.Outcome{Result: container.Deferred, Enhanced: "4.3.0", Text: "internal error"}, "")
		}
	}()
	c := l.conn
	l.conn = nil
	l.conn = a.run(ctx, hard, c)
}

// misplaced returns new queue entries for a mail that does not belong where it
// is: nobody is left, or somebody put mail for other domains there.
func (q *queue) misplaced(d *destination, m *container.Mail) ([]container.Entry, bool) {
	if len(m.Recipients) == 0 {
		q.log.Warn("mail without recipients dropped from queue", "mail", m.Name, "queue", q.name)
		return nil, true
	}
	if len(d.in.cfg.Gateways) > 0 {
		return nil, false
	}
	for _, r := range m.Recipients {
		if strings.ToLower(r.Domain) != d.domain {
			entries := d.in.Split(m)
			if len(entries) == 1 {
				entries[0].Mail.Name = m.Name
			}
			return entries, true
		}
	}
	return nil, false
}

// finish logs and commits the result of an attempt.
func (q *queue) finish(ctx context.Context, d *destination, it *repository.Item, a *attempt) {
	if a.interrupted && !a.anyDone() {
		q.giveBack(d, it)
		return
	}
	entries := a.entries(it.Destination)
	q.report(ctx, it, a)
	q.commit(d, repository.Change{Done: it, Entries: entries})
}

// anyDone reports whether some recipient needs no further attempt.
func (a *attempt) anyDone() bool {
	for i := range a.rcpts {
		if a.rcpts[i].known && a.rcpts[i].outcome.Result != container.Deferred {
			return true
		}
	}
	return false
}

// report writes one line for each recipient, with the keys of Postfix's log,
// and counts.
func (q *queue) report(ctx context.Context, it *repository.Item, a *attempt) {
	ctx = logctx.With(ctx, slog.String("mail", it.Mail.Name), slog.String("queue", q.name))
	since := it.Enqueued
	if t, ok := it.Mail.Attributes.Time(container.AttrDSNArrival); ok {
		since = t
	}
	on := q.log.Enabled(ctx, slog.LevelInfo)
	for i := range a.rcpts {
		r := &a.rcpts[i]
		o := &r.outcome
		if !r.known || a.interrupted && o.Result == container.Deferred {
			continue
		}
		if c := a.in.counters[o.Result]; c != nil {
			c.Inc()
		}
		if c := a.in.replies[o.Code/100]; c != nil {
			c.Inc()
		}
		if !on {
			continue
		}
		relay := r.relay
		if relay == "" {
			relay = "none"
		}
		q.log.LogAttrs(ctx, slog.LevelInfo, "delivery attempt", slog.String("to", r.addr.String()),
			slog.String("from", it.Mail.Sender.Pretty()), slog.String("relay", relay),
			slog.Float64("delay", time.Since(since).Seconds()), slog.Int("attempt", o.Attempt),
			slog.String("dsn", o.Enhanced), slog.String("result", o.Result), slog.String("reply", o.Reply()))
	}
}

// leave reports whether a lane that reached nobody is to end, because others of
// the destination go on: hosts refuse connections beyond a number they find
// enough, and that says nothing about what the others can carry. Only the last
// lane of a destination finds out that it is down.
func (q *queue) leave(d *destination, l *lane) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	others := 0
	for o := range d.lanes {
		if o != l && !o.leaving {
			others++
		}
	}
	if others == 0 {
		return false
	}
	l.leaving = true
	d.limit, d.limitUntil = others, time.Now().Add(limitTime)
	return true
}

// release gives an item back unchanged. When the store does not take it, the
// item is still ours.
func (q *queue) release(d *destination, it *repository.Item) bool {
	ctx, cancel := context.WithTimeout(context.Background(), graceTime)
	defer cancel()
	if err := q.services.Queues.Release(ctx, []*repository.Item{it}); err != nil {
		q.log.Error("give queue item back", "queue", q.name, "mail", it.Mail.Name, "err", err)
		return false
	}
	q.settle(d)
	return true
}

// giveBack is release at the end of the worker. What the store does not take
// then is ready again when it is opened the next time.
func (q *queue) giveBack(d *destination, it *repository.Item) {
	if !q.release(d, it) {
		q.settle(d)
	}
}

// pendingCommit is a change that the store did not take yet.
type pendingCommit struct {
	d  *destination
	ch repository.Change
}

// commitPause is the time between attempts to commit what the store refused.
const commitPause = time.Second

// commit applies a change without waiting for it. Nobody else holds the item,
// so the order in which changes of different items become durable is of no
// interest.
func (q *queue) commit(d *destination, ch repository.Change) {
	var first time.Duration
	for _, e := range ch.Entries {
		if e.Queue == q.name && e.Delay > 0 {
			first = e.Delay
		}
	}
	q.commits.Add(1)
	q.services.Queues.CommitAsync(ch, func(err error) {
		defer q.commits.Done()
		if err != nil {
			q.commitFailed(d, ch, err)
			return
		}
		if first > 0 {
			q.mu.Lock()
			q.until(time.Now().Add(first))
			q.poke()
			q.mu.Unlock()
		}
		q.settle(d)
	})
}

// commitFailed keeps a change for another try: what a remote host accepted must
// not be sent again because our disk was full for a moment.
func (q *queue) commitFailed(d *destination, ch repository.Change, err error) {
	if errors.Is(err, repository.ErrNotLeased) || errors.Is(err, repository.ErrNotFound) {
		q.log.Warn("queue item is gone", "queue", q.name, "mail", ch.Done.Mail.Name, "err", err)
		q.settle(d)
		return
	}
	q.log.Error("commit delivery result", "queue", q.name, "mail", ch.Done.Mail.Name, "err", err)
	if errors.Is(err, repository.ErrClosed) {
		q.settle(d)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.retries = append(q.retries, pendingCommit{d, ch})
	q.retryAt = time.Now().Add(commitPause)
	q.poke()
}

// recommit tries again what the store did not take.
func (q *queue) recommit(now time.Time) {
	q.mu.Lock()
	var list []pendingCommit
	if !now.Before(q.retryAt) {
		list, q.retries = q.retries, nil
	}
	q.mu.Unlock()
	for _, p := range list {
		q.commit(p.d, p.ch)
	}
}

// lastCommits tries once more at shutdown.
func (q *queue) lastCommits(ctx context.Context) {
	q.mu.Lock()
	list := q.retries
	q.mu.Unlock()
	for _, p := range list {
		if err := q.services.Queues.Commit(ctx, p.ch); err != nil {
			q.log.Error("delivery result lost: mail may be sent twice", "queue", q.name, "mail", p.ch.Done.Mail.Name, "err", err)
		}
	}
}

// settle takes one item off the books.
func (q *queue) settle(d *destination) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop(d, 1)
}
