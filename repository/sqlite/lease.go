package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mailetd/mailetd/repository"
)

const (
	dueMax          = 1000    // delayed items made ready by one operation
	destinationsMax = 256     // destinations looked at by one operation
	leaseBytes      = 8 << 20 // headers read by one Lease, about
)

// leaseWork is a Lease on its way. It takes several operations when there are
// many destinations to look at, so that commits do not wait for all of them.
type leaseWork struct {
	repository.LeaseRequest
	rows   [][]value // of the items leased
	leases []*lease
	bytes  int
	more   bool
	next   int64
	left   bool  // ready items were seen and not taken
	marks  int64 // of the backlog, when the walk began

	cursor  string // the destination looked at last
	begun   bool
	wrapped bool // the walk has passed the last destination
	over    bool
}

// Lease takes ready items out of a queue for this process; see
// repository.LeaseRequest. Items that cannot be read are set aside as dead.
func (s *Store) Lease(ctx context.Context, r repository.LeaseRequest) (repository.Lease, error) {
	var out repository.Lease
	if r.Limit <= 0 {
		return out, nil
	}
	s.buryAgain(ctx)
	work := &leaseWork{LeaseRequest: r, cursor: r.After}
	for !work.over {
		// An attempt that is not committed must leave no trace in work.
		var next leaseWork
		err := s.do(ctx, func(w *writer) error {
			next = *work
			return w.lease(&next)
		})
		if err != nil {
			if len(work.rows) == 0 {
				return out, fmt.Errorf("lease from queue %s: %w", r.Queue, err)
			}
			work.more = true // what earlier operations leased is given out
			break
		}
		*work = next
	}
	out.More, out.Next = work.more, s.w.times.wall(work.next)
	for i, row := range work.rows {
		item := work.leases[i].item
		if err := s.fillItem(item, row); err != nil {
			s.log.Error("unreadable item set aside as dead", "queue", r.Queue, "item", item.ID, "err", err)
			s.buryUnreadable(context.WithoutCancel(ctx), unburied{item, err.Error()})
			continue
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

// unburied is an unreadable item that could not be set aside, because the disk
// was full for example.
type unburied struct {
	item   *repository.Item
	reason string
}

func (s *Store) buryUnreadable(ctx context.Context, u unburied) {
	err := s.Bury(ctx, u.item, u.reason)
	if err == nil || errors.Is(err, repository.ErrNotLeased) || errors.Is(err, repository.ErrClosed) {
		return
	}
	s.log.Error("set item aside; the next lease tries again", "queue", u.item.Queue, "item", u.item.ID, "err", err)
	s.unburiedMu.Lock()
	defer s.unburiedMu.Unlock()
	s.unburied = append(s.unburied, u)
}

// buryAgain sets aside what could not be before: nobody else holds it.
func (s *Store) buryAgain(ctx context.Context) {
	s.unburiedMu.Lock()
	list := s.unburied
	s.unburied = nil
	s.unburiedMu.Unlock()
	for _, u := range list {
		s.buryUnreadable(context.WithoutCancel(ctx), u)
	}
}

// fillItem reads the mail of an item from its row.
func (s *Store) fillItem(item *repository.Item, row []value) error {
	msg, err := s.loadMessage(asInt(row[7]), row[8], row[9], asInt(row[10]), row[11], 0)
	if err != nil {
		return err
	}
	m, err := decodeMail(row[12:], msg)
	if err != nil {
		return err
	}
	m.Redelivered = item.Attempts > 0
	item.Mail = m
	return nil
}

// lease does one operation's share of a Lease.
func (w *writer) lease(k *leaseWork) error {
	q := w.known[k.Queue]
	if q == nil {
		k.over = true
		return nil
	}
	due, err := w.promote(q)
	if err != nil {
		return err
	}
	if k.PerDestination == nil {
		err = w.leaseInOrder(q, k)
	} else {
		err = w.leaseByDestination(q, k)
	}
	if err != nil {
		return err
	}
	k.more = k.more || due == dueMax
	row, ok, err := w.st[stNextDelayed].one(q.name)
	if err != nil {
		return err
	}
	k.next = 0
	if ok {
		k.next = asInt(row[0])
	}
	next, grouped := k.next, k.PerDestination != nil
	w.after = append(w.after, func() { q.next, q.grouped = next, grouped })
	return nil
}

// promote makes delayed items ready whose time has come, up to dueMax. They keep
// their time: what was due first comes first.
func (w *writer) promote(q *queueState) (int, error) {
	var ids []int64
	err := w.st[stDueItems].query(func(row []value) error {
		ids = append(ids, asInt(row[0]))
		q.backlog.add(asText(row[1]))
		return nil
	}, q.name, w.times.now(), int64(dueMax))
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if _, err := w.write(stSetState, id, int64(stateReady)); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// leaseInOrder takes items by priority and age.
func (w *writer) leaseInOrder(q *queueState, k *leaseWork) error {
	k.marks, k.over = q.backlog.marks, true
	left, err := w.take(q, k, stReadyInOrder, k.Limit, q.name, int64(k.Limit)+1)
	if err != nil {
		return err
	}
	k.left, k.more = left, left
	w.clearBacklog(q, k)
	return nil
}

// clearBacklog notes, once the Lease is committed, that nothing is left: new
// items may be handed over again.
func (w *writer) clearBacklog(q *queueState, k *leaseWork) {
	marks := k.marks
	if k.left {
		return
	}
	w.after = append(w.after, func() {
		if q.backlog.marks == marks {
			q.backlog.clear()
		}
	})
}

// leaseByDestination goes on with the walk over the destinations: from behind
// the cursor to the last, then from the first to After.
func (w *writer) leaseByDestination(q *queueState, k *leaseWork) error {
	if !k.begun {
		k.begun, k.marks = true, q.backlog.marks
	}
	k.rows, k.leases = k.rows[:len(k.rows):len(k.rows)], k.leases[:len(k.leases):len(k.leases)]
	for range destinationsMax {
		if len(k.rows) >= k.Limit || k.bytes > leaseBytes {
			k.over, k.more, k.left = true, true, true
			return nil
		}
		destination, ok, err := w.nextDestination(q, k)
		if err != nil {
			return err
		}
		if !ok {
			w.clearBacklog(q, k)
			return nil
		}
		want := min(k.PerDestination(destination), k.Limit-len(k.rows))
		if want <= 0 {
			k.left = true
			continue
		}
		marks := q.backlog.marks
		left, err := w.take(q, k, stReadyOfDestination, want, q.name, destination, int64(want)+1)
		if err != nil {
			return err
		}
		k.left = k.left || left
		if !left {
			w.after = append(w.after, func() {
				if q.backlog.marks == marks {
					delete(q.backlog.destinations, destination)
				}
			})
		}
	}
	return nil
}

// nextDestination moves the cursor; ok is false when the walk is over.
func (w *writer) nextDestination(q *queueState, k *leaseWork) (string, bool, error) {
	if k.wrapped && k.cursor >= k.After {
		k.over = true
		return "", false, nil
	}
	row, ok, err := w.st[stNextDestination].one(q.name, k.cursor)
	if err != nil {
		return "", false, err
	}
	destination := ""
	if ok {
		destination = asText(row[0])
	}
	if !ok && !k.wrapped {
		// The first destination may be "", which is behind nothing.
		k.wrapped, k.cursor = true, ""
		return "", true, nil
	}
	if !ok || k.wrapped && destination > k.After {
		k.over = true
		return "", false, nil
	}
	k.cursor = destination
	return destination, true, nil
}

// take leases the items that a query finds, up to limit; the query asks for one
// more, and left tells whether there was one.
func (w *writer) take(q *queueState, k *leaseWork, query, limit int, args ...value) (left bool, err error) {
	first := len(k.rows)
	err = w.st[query].query(func(row []value) error {
		if k.bytes > leaseBytes || len(k.rows)-first == limit {
			left = true
			return nil
		}
		head, _ := row[8].([]byte)
		k.bytes += len(head)
		k.rows = append(k.rows, append([]value(nil), row...))
		return nil
	}, args...)
	if err != nil {
		return false, err
	}
	for _, row := range k.rows[first:] {
		if _, err := w.write(stSetState, row[0], int64(stateLeased)); err != nil {
			return false, err
		}
		k.leases = append(k.leases, w.newLease(q, row))
	}
	return left, nil
}

// newLease notes that the item of row is in the hands of this process, once that
// is committed.
func (w *writer) newLease(q *queueState, row []value) *lease {
	head, _ := row[8].([]byte)
	l := &lease{id: asInt(row[0]), queue: q, since: asInt(row[5]), message: asInt(row[7]), body: asInt(row[7]), cost: int64(len(head))}
	if base := asInt(row[9]); base != 0 {
		l.body = base
	}
	l.item = &repository.Item{
		ID: l.id, Queue: q.name, Destination: asText(row[2]), Priority: int(asInt(row[3])),
		ReadyAt: w.times.wall(asInt(row[4])), Enqueued: w.times.wall(l.since), Attempts: int(asInt(row[6])),
	}
	w.after = append(w.after, func() {
		w.leased[l.id] = l
		w.used += l.cost
	})
	return l
}

// Release gives leased items back unchanged: they are ready again. Those that
// are not leased any more are passed over.
func (s *Store) Release(ctx context.Context, items []*repository.Item) error {
	err := s.do(ctx, func(w *writer) error {
		for _, it := range items {
			l := w.leased[it.ID]
			if l == nil || l.item != it || l.gone {
				continue
			}
			if _, err := w.write(stSetState, l.id, int64(stateReady)); err != nil {
				return err
			}
			w.endLease(l)
			l.queue.backlog.add(it.Destination)
			w.wakes[l.queue.name] = true
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("release %d items: %w", len(items), err)
	}
	return nil
}

// Bury sets a leased item aside as dead; see Dead and Revive. Error:
// ErrNotLeased.
func (s *Store) Bury(ctx context.Context, it *repository.Item, reason string) error {
	return s.do(ctx, func(w *writer) error {
		l := w.leased[it.ID]
		if l == nil || l.item != it || l.gone {
			return fmt.Errorf("bury item %d of queue %s: %w", it.ID, it.Queue, repository.ErrNotLeased)
		}
		if _, err := w.write(stBury, l.id, reason); err != nil {
			return fmt.Errorf("bury item %d of queue %s: %w", it.ID, it.Queue, err)
		}
		w.endLease(l)
		return nil
	})
}

// recover takes back what was leased when the process before this one ended,
// and reads where the counters stand. It runs before the writer's goroutine.
func (w *writer) recover() error {
	if err := w.c.exec("UPDATE queue_item SET state = 0, attempts = attempts + 1 WHERE state = 1"); err != nil {
		return err
	}
	counters := map[string]*int64{"queue_item": &w.lastItem, "message": &w.lastMessage, "repository_mail": &w.lastMail}
	for table, last := range counters {
		err := w.c.query("SELECT MAX(id) FROM "+table, func(row []value) error {
			*last = asInt(row[0])
			return nil
		})
		if err != nil {
			return err
		}
	}
	if err := w.c.query("SELECT name FROM queue", func(row []value) error {
		q := newQueueState(asText(row[0]))
		q.created = true
		w.known[q.name] = q
		return nil
	}); err != nil {
		return err
	}
	// When the clock was set back, new items must not get in front of old ones.
	// The latest ones are enough: those behind them waited for longer.
	latest := "SELECT MAX(latest) FROM (SELECT MAX(enqueued_at, COALESCE(since, 0)) AS latest FROM queue_item ORDER BY id DESC LIMIT 1000)"
	// So are, of the delayed ones, those with the latest end.
	note := func(row []value) error { w.lastTime = max(w.lastTime, asInt(row[0])); return nil }
	if err := w.c.query(latest, note); err != nil {
		return err
	}
	for _, q := range w.known {
		if err := w.st[stLatestDelayed].query(note, q.name); err != nil {
			return err
		}
	}
	if err := w.correctDelays(); err != nil {
		return err
	}
	for _, q := range w.known {
		if err := w.findBacklog(q); err != nil {
			return err
		}
	}
	return nil
}

// correctDelays lets items that were delayed by a clock ahead of this one wait
// for as long as they were meant to. A machine that starts with a wrong date
// would otherwise keep them for years.
func (w *writer) correctDelays() error {
	now := w.now().UnixNano()
	if w.lastTime-now < int64(time.Minute) {
		return nil
	}
	w.log.Warn("the clock was set back: delays of mails in queues begin anew", "by", time.Duration(w.lastTime-now))
	return w.c.exec(fmt.Sprintf(`UPDATE queue_item SET ready_at = ready_at - (enqueued_at - %d), enqueued_at = %[1]d, since = MIN(COALESCE(since, enqueued_at), %[1]d)
		WHERE state = %d AND enqueued_at > %[1]d AND ready_at >= enqueued_at`, now, stateDelayed))
}

// findBacklog notes which destinations of q have ready items.
func (w *writer) findBacklog(q *queueState) error {
	ok, destination, err := true, "", w.noteReady(q)
	for ok && !q.backlog.all && err == nil {
		var row []value
		if row, ok, err = w.st[stNextDestination].one(q.name, destination); ok {
			destination = asText(row[0])
			q.backlog.add(destination)
		}
	}
	return err
}

// noteReady notes the destination "", which stNextDestination passes over.
func (w *writer) noteReady(q *queueState) error {
	return w.st[stReadyOfDestination].query(func([]value) error {
		q.backlog.add("")
		return nil
	}, q.name, "", int64(1))
}
