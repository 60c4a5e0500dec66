package remote

import (
	"context"
	"time"

	"github.com/mailetd/mailetd/repository"
)

// How long to wait before the store is asked again when nothing says that it
// has something new, and when another process may have put something there.
const (
	leasePause = 200 * time.Millisecond
	hintPause  = 20 * time.Millisecond // after it said that it has
	leasePoll  = time.Minute
)

// wantsLease reports whether the store should be asked for more items of d: it
// has some, and half of what d may hold is used up.
func (q *queue) wantsLease(d *destination) bool {
	return d.more && q.room(d) > d.held
}

// setMore notes that the store has ready items of d.
func (q *queue) setMore(d *destination) {
	d.more = true
	q.wanting[d.key] = d
}

// leaseDue reports whether to ask the store now.
func (q *queue) leaseDue(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used() >= q.window {
		return false
	}
	age := now.Sub(q.lastLease)
	switch {
	case q.lastLease.IsZero(), age >= leasePoll:
		return true
	case !q.next.IsZero() && !now.Before(q.next):
		return true
	case q.hinted && (q.total == 0 || age >= hintPause):
		return true
	case q.more && (age >= leasePause || q.lastGot > 0 && q.used() <= q.window/2):
		return true
	}
	for _, d := range q.wanting {
		if q.wantsLease(d) {
			return true
		}
	}
	return false
}

// grant returns how many items of a destination one lease may bring: half of
// the room it has, so that those behind it in turn get some too.
func (q *queue) grant(d *destination) int {
	return min((q.room(d)+1)/2, q.window/4)
}

// lease takes ready items off the store, in turn among destinations. A quarter
// of the room is left for new ones.
func (q *queue) lease(ctx context.Context) {
	granted := map[string]int{}
	q.mu.Lock()
	q.lastLease, q.next, q.more, q.hinted = time.Now(), time.Time{}, false, false
	for key, d := range q.wanting {
		d.more = false
		delete(q.wanting, key)
	}
	free := q.window - q.used()
	req := repository.LeaseRequest{Queue: q.name, Limit: free - free/4, After: q.cursor}
	req.PerDestination = func(key string) int {
		q.mu.Lock()
		defer q.mu.Unlock()
		n := q.grant(q.dest(key))
		granted[key] = n
		return n
	}
	q.mu.Unlock()
	res, err := q.services.Queues.Lease(ctx, req)
	if err != nil {
		if ctx.Err() == nil {
			q.log.Error("lease from queue", "queue", q.name, "err", err)
		}
		q.mu.Lock()
		q.more, q.lastGot = true, 0
		q.mu.Unlock()
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range res.Items {
		d := q.dest(it.Destination)
		d.held++
		q.total++
		q.put(d, it)
		granted[it.Destination]--
		q.cursor = it.Destination
	}
	for key, left := range granted {
		d := q.dest(key)
		if left <= 0 {
			q.setMore(d)
		}
		q.forget(d)
	}
	q.more, q.lastGot = q.more || res.More, len(res.Items)
	q.until(res.Next)
}

// until notes when the next delayed item becomes ready.
func (q *queue) until(next time.Time) {
	if !next.IsZero() && (q.next.IsZero() || next.Before(q.next)) {
		q.next = next
	}
}
