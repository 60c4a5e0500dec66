package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

const (
	pageRows = 200 // rows read by one statement of a listing
	portion  = 500 // rows changed by one operation of a long task
)

// Queues returns the names of all queues, sorted.
func (s *Store) Queues(ctx context.Context) ([]string, error) {
	names, err := column[string](ctx, s.read, "SELECT name FROM queue ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	return names, nil
}

// column runs a query with one column.
func column[T any](ctx context.Context, db *sql.DB, query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// checkQueue returns ErrNotFound for a queue that was never created.
func (s *Store) checkQueue(ctx context.Context, queue string) error {
	names, err := column[string](ctx, s.read, "SELECT name FROM queue WHERE name = ?", queue)
	if err == nil && len(names) == 0 {
		err = repository.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("queue %s: %w", queue, err)
	}
	return nil
}

// QueueSize counts waiting, delayed and leased items; dead ones do not count.
func (s *Store) QueueSize(ctx context.Context, queue string) (n int64, err error) {
	if err := s.checkQueue(ctx, queue); err != nil {
		return 0, err
	}
	err = s.read.QueryRowContext(ctx, `SELECT
		(SELECT COUNT(*) FROM queue_item INDEXED BY queue_item_ready WHERE queue = ?1 AND state = 0) +
		(SELECT COUNT(*) FROM queue_item INDEXED BY queue_item_delayed WHERE queue = ?1 AND state = 3) +
		(SELECT COUNT(*) FROM queue_item INDEXED BY queue_item_leased WHERE state = 1 AND queue = ?1)`, queue).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("size of queue %s: %w", queue, err)
	}
	return n, nil
}

// queueRow is an item as listings see it.
type queueRow struct {
	entry    repository.QueueEntry
	priority int64
	readyAt  int64
	since    int64
	entered  time.Time
	sender   string
	host     string
	state    string
	attrs    container.Attributes
}

// queueRowColumns has the attributes only when the sixth parameter says so.
const queueRowColumns = "id, priority, ready_at, COALESCE(since, enqueued_at), name, sender, recipients, destination, proc_state, CASE WHEN ?6 THEN attributes END FROM queue_item"

// pages are the statements that walk over the items of one state in order; the
// parameters are the queue and the position behind which to begin.
var (
	readyPage = `SELECT ` + queueRowColumns + ` INDEXED BY queue_item_ready WHERE queue = ?1 AND state = 0 AND priority = ?2 AND (ready_at, id) > (?3, ?4)
		ORDER BY ready_at, id LIMIT ?5`
	nextPriority = "SELECT MAX(priority) FROM queue_item INDEXED BY queue_item_ready WHERE queue = ? AND state = 0 AND priority < ?"
	delayedPage  = `SELECT ` + queueRowColumns + ` INDEXED BY queue_item_delayed WHERE queue = ?1 AND state = 3 AND (ready_at, id) > (?3, ?4)
		ORDER BY ready_at, id LIMIT ?5`
	leasedPage = `SELECT ` + queueRowColumns + ` INDEXED BY queue_item_leased WHERE state = 1 AND queue = ?1 AND id > ?4 ORDER BY id LIMIT ?5`
)

// page reads up to pageRows rows. The statement is over when it returns: a slow
// reader of a listing does not keep the log from being written back.
func (s *Store) page(ctx context.Context, query, queue string, withAttributes bool, priority, readyAt, id int64) ([]queueRow, error) {
	rows, err := s.read.QueryContext(ctx, query, queue, priority, readyAt, id, pageRows, withAttributes)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []queueRow
	for rows.Next() {
		var r queueRow
		var recipients string
		var attributes *string
		if err := rows.Scan(&r.entry.ID, &r.priority, &r.readyAt, &r.since, &r.entry.Name, &r.sender, &recipients, &r.host, &r.state, &attributes); err != nil {
			return nil, err
		}
		if attributes != nil {
			if err := r.attrs.UnmarshalJSON([]byte(*attributes)); err != nil {
				s.log.Warn("unreadable attributes of item", "queue", queue, "item", r.entry.ID, "err", err)
			}
		}
		r.entered = s.w.times.wall(r.since)
		r.entry.Sender = decodeAddress(r.sender)
		if r.entry.Recipients, err = decodeAddresses(recipients); err != nil {
			s.log.Warn("unreadable recipients of item", "queue", queue, "item", r.entry.ID, "err", err)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// walk calls visit with every page of a state.
func (s *Store) walk(ctx context.Context, query, queue string, withAttributes bool, priority int64, visit func([]queueRow) error) error {
	readyAt, id := int64(math.MinInt64), int64(math.MinInt64)
	for {
		rows, err := s.page(ctx, query, queue, withAttributes, priority, readyAt, id)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		if err := visit(rows); err != nil {
			return err
		}
		last := rows[len(rows)-1]
		readyAt, id = last.readyAt, last.entry.ID
	}
}

// walkReady is walk for ready items, from the highest priority down.
func (s *Store) walkReady(ctx context.Context, queue string, withAttributes bool, visit func([]queueRow) error) error {
	priority := int64(math.MaxInt64)
	for {
		var next *int64
		if err := s.read.QueryRowContext(ctx, nextPriority, queue, priority).Scan(&next); err != nil {
			return err
		}
		if next == nil {
			return nil
		}
		priority = *next
		if err := s.walk(ctx, readyPage, queue, withAttributes, priority, visit); err != nil {
			return err
		}
	}
}

// filterMatches reports whether f selects the item, comparing exactly as James
// does.
func filterMatches(f *repository.QueueFilter, r *queueRow, now int64) bool {
	if f.Sender != nil && *f.Sender != r.sender && !(*f.Sender == "<>" && r.sender == "") {
		return false
	}
	if f.Name != nil && *f.Name != r.entry.Name {
		return false
	}
	if f.Delayed != nil && *f.Delayed != (!r.entry.Next.IsZero() && r.readyAt > now) {
		return false
	}
	if !f.EnqueuedBefore.IsZero() && !r.entered.Before(f.EnqueuedBefore) || !f.EnqueuedAfter.IsZero() && !r.entered.After(f.EnqueuedAfter) {
		return false
	}
	if f.Host != "" && !goesTo(r, f.Host) || f.State != "" && f.State != r.state || !f.Attribute.Matches(r.attrs) {
		return false
	}
	return f.Recipient == nil || slices.ContainsFunc(r.entry.Recipients, func(a container.Address) bool { return a.String() == *f.Recipient })
}

// goesTo reports whether host is the destination of an item, or the domain of
// one of its recipients: behind a gateway all have one destination.
func goesTo(r *queueRow, host string) bool {
	return strings.EqualFold(host, r.host) || slices.ContainsFunc(r.entry.Recipients, func(a container.Address) bool { return strings.EqualFold(host, a.Domain) })
}

// errStop ends a walk early.
type errStop struct{}

func (errStop) Error() string { return "stop" }

// BrowseQueue lists items in order of readiness: those that are ready, by
// priority and age, then the delayed ones by time; limit 0 means all. Items that
// come and go meanwhile may show or not.
func (s *Store) BrowseQueue(ctx context.Context, queue string, f repository.QueueFilter, limit int, visit func(repository.QueueEntry) error) error {
	if err := s.checkQueue(ctx, queue); err != nil {
		return err
	}
	count := 0
	show := func(rows []queueRow, delayed bool) error {
		now := s.w.times.now()
		for i := range rows {
			r := &rows[i]
			if delayed && r.readyAt > now {
				r.entry.Next = s.w.times.wall(r.readyAt)
			}
			if !filterMatches(&f, r, now) {
				continue
			}
			if err := visit(r.entry); err != nil {
				return err
			}
			if count++; count == limit {
				return errStop{}
			}
		}
		return nil
	}
	withAttributes := f.Attribute != ""
	err := s.walkReady(ctx, queue, withAttributes, func(rows []queueRow) error { return show(rows, false) })
	if err == nil {
		err = s.walk(ctx, delayedPage, queue, withAttributes, 0, func(rows []queueRow) error { return show(rows, true) })
	}
	if err == nil || err == error(errStop{}) {
		return nil
	}
	return fmt.Errorf("browse queue %s: %w", queue, err)
}

// FlushQueue makes all delayed items ready, in the order of their times, and
// returns their number.
func (s *Store) FlushQueue(ctx context.Context, queue string) (int64, error) {
	if err := s.checkQueue(ctx, queue); err != nil {
		return 0, err
	}
	total := int64(0)
	for {
		n := 0
		err := s.do(ctx, func(w *writer) (err error) {
			n, err = w.flush(queue)
			return err
		})
		if err != nil {
			return total, fmt.Errorf("flush queue %s: %w", queue, err)
		}
		total += int64(n)
		if n < portion {
			return total, nil
		}
	}
}

func (w *writer) flush(queue string) (int, error) {
	q, err := w.queue(queue)
	if err != nil {
		return 0, err
	}
	var ids []int64
	err = w.st[stFirstDelayed].query(func(row []value) error {
		ids = append(ids, asInt(row[0]))
		q.backlog.add(asText(row[1]))
		return nil
	}, queue, int64(portion))
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if _, err := w.write(stRevive, id, w.clock()); err != nil {
			return 0, err
		}
		w.wakes[queue] = true
	}
	return len(ids), nil
}

// RemoveFromQueue removes the items that f selects, except those that are being
// worked on, in portions; progress (may be nil) is told the number removed so
// far. Items that enter the queue behind the call, and dead ones, stay; one that
// is put off again has been there before.
func (s *Store) RemoveFromQueue(ctx context.Context, queue string, f repository.QueueFilter, progress func(int64)) (int64, error) {
	if err := s.checkQueue(ctx, queue); err != nil {
		return 0, err
	}
	r := removal{s: s, ctx: ctx, queue: queue, filter: f, progress: progress}
	if err := s.do(ctx, func(w *writer) error { r.until = w.clock(); return nil }); err != nil {
		return 0, err
	}
	for before := int64(-1); before < r.removed; { // until a round finds nothing
		before = r.removed
		if err := r.round(); err != nil {
			return r.removed, fmt.Errorf("remove from queue %s: %w", queue, err)
		}
	}
	return r.removed, nil
}

// removal is a RemoveFromQueue on its way.
type removal struct {
	s        *Store
	ctx      context.Context
	queue    string
	filter   repository.QueueFilter
	progress func(int64)
	until    int64
	ids      []int64
	removed  int64
}

// round looks at all items once, in the direction in which they move. Those that
// are put off meanwhile begin anew and may be missed.
func (r *removal) round() error {
	withAttributes := r.filter.Attribute != ""
	err := r.s.walk(r.ctx, delayedPage, r.queue, withAttributes, 0, func(rows []queueRow) error { return r.add(rows, true) })
	if err == nil {
		err = r.s.walkReady(r.ctx, r.queue, withAttributes, func(rows []queueRow) error { return r.add(rows, false) })
	}
	if err == nil {
		err = r.s.walk(r.ctx, leasedPage, r.queue, withAttributes, 0, func(rows []queueRow) error { return r.add(rows, false) })
	}
	if err != nil {
		return err
	}
	return r.flush()
}

func (r *removal) add(rows []queueRow, delayed bool) error {
	now := r.s.w.times.now()
	for i := range rows {
		row := &rows[i]
		if delayed {
			row.entry.Next = r.s.w.times.wall(row.readyAt)
		}
		if row.since <= r.until && filterMatches(&r.filter, row, now) {
			r.ids = append(r.ids, row.entry.ID)
		}
	}
	if len(r.ids) >= portion {
		return r.flush()
	}
	return nil
}

func (r *removal) flush() error {
	n := int64(0)
	err := r.s.do(r.ctx, func(w *writer) error {
		n = 0
		for _, id := range r.ids {
			ok, err := w.removeItem(r.queue, id, r.until)
			if err != nil {
				return err
			}
			if ok {
				n++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.ids = r.ids[:0]
	r.removed += n
	if n > 0 && r.progress != nil {
		r.progress(r.removed)
	}
	return nil
}

// removeItem removes an item unless it moved on, or work on it has begun.
func (w *writer) removeItem(queue string, id, until int64) (bool, error) {
	row, ok, err := w.st[stItemState].one(id)
	if err != nil || !ok {
		return false, err
	}
	state, message := asInt(row[0]), asInt(row[3])
	if asText(row[1]) != queue || asInt(row[2]) > until || state == stateDead {
		return false, nil
	}
	if state == stateLeased && !w.cancel(id) {
		return false, nil
	}
	if _, err := w.write(stDeleteItem, id); err != nil {
		return false, err
	}
	return true, w.releaseMessage(message)
}

// cancel takes a leased item from its holder. That cannot be undone; when the
// removal is not committed, the item becomes ready again.
func (w *writer) cancel(id int64) bool {
	l := w.leased[id]
	if l == nil || l.gone || !l.cancelled && !l.item.Cancel() {
		return false
	}
	l.cancelled = true
	w.undo = append(w.undo, func() { w.reready = append(w.reready, l) })
	w.endLease(l)
	return true
}

// makeReadyAgain gives back items that were cancelled by an operation which was
// not committed in the end.
func (w *writer) makeReadyAgain() error {
	for _, l := range w.reready {
		if l.gone || w.leased[l.id] != l {
			continue
		}
		if _, err := w.write(stSetState, l.id, int64(stateReady)); err != nil {
			return err
		}
		w.endLease(l)
		l.queue.backlog.add(l.item.Destination)
		w.wakes[l.queue.name] = true
	}
	if len(w.reready) > 0 {
		w.after = append(w.after, func() { w.reready = nil })
	}
	return nil
}

// Dead returns how many dead items each queue has; queues without are left out.
func (s *Store) Dead(ctx context.Context) (map[string]int64, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT queue, COUNT(*) FROM queue_item INDEXED BY queue_item_dead WHERE state = 2 GROUP BY queue")
	if err != nil {
		return nil, fmt.Errorf("count dead items: %w", err)
	}
	defer rows.Close()
	out := map[string]int64{}
	for rows.Next() {
		var queue string
		var n int64
		if err := rows.Scan(&queue, &n); err != nil {
			return nil, fmt.Errorf("count dead items: %w", err)
		}
		out[queue] = n
	}
	return out, rows.Err()
}

// Revive makes the dead items of a queue ready again and returns their number.
func (s *Store) Revive(ctx context.Context, queue string) (int64, error) {
	if err := s.checkQueue(ctx, queue); err != nil {
		return 0, err
	}
	ids, err := column[int64](ctx, s.read, "SELECT id FROM queue_item INDEXED BY queue_item_dead WHERE state = 2 AND queue = ? ORDER BY id", queue)
	if err != nil {
		return 0, fmt.Errorf("revive dead items of %s: %w", queue, err)
	}
	n := int64(0)
	for part := range slices.Chunk(ids, portion) {
		err := s.do(ctx, func(w *writer) error { return w.revive(queue, part) })
		if err != nil {
			return n, fmt.Errorf("revive dead items of %s: %w", queue, err)
		}
		n += int64(len(part))
	}
	return n, nil
}

func (w *writer) revive(queue string, ids []int64) error {
	q, err := w.queue(queue)
	if err != nil {
		return err
	}
	q.backlog.marks++
	q.backlog.all = true // whatever their destinations are
	w.wakes[queue] = true
	for _, id := range ids {
		row, ok, err := w.st[stItemState].one(id)
		if err != nil {
			return err
		}
		if !ok || asInt(row[0]) != stateDead {
			continue
		}
		if _, err := w.write(stRevive, id, w.clock()); err != nil {
			return err
		}
	}
	return nil
}
