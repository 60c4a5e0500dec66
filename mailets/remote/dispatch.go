package remote

import (
	"context"
	"sync"
	"time"

	"github.com/mailetd/mailetd/repository"
)

// dispatch starts lanes for waiting items while there are workers.
func (q *queue) dispatch(ctx, hard context.Context, wg *sync.WaitGroup) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.markSlow(time.Now())
	// Twice: destinations beyond their half of the workers get more only when
	// all the others have had their turn.
	for _, generous := range []bool{false, true} {
		for n := len(q.ring); n > 0; n-- {
			d := q.ring[0]
			q.ring = q.ring[1:]
			d.listed = false
			for q.mayStart(d, generous) {
				q.start(ctx, hard, d, wg)
				if !generous {
					break // one each, so that all get one
				}
			}
			if len(d.waiting) > 0 {
				q.list(d)
			}
		}
	}
}

// mayStart reports whether d may have one more lane now.
func (q *queue) mayStart(d *destination, generous bool) bool {
	lanes := len(d.lanes)
	switch {
	case len(d.waiting) == 0:
		return false
	case d.ailing():
		return lanes == 0 && q.slow < q.maxSlow()/2
	case q.busy >= q.threads || lanes >= d.maxLanes(q.threads):
		return false
	default:
		return generous || lanes < (q.threads+1)/2
	}
}

// start begins a lane with the first waiting item.
func (q *queue) start(ctx, hard context.Context, d *destination, wg *sync.WaitGroup) {
	l := &lane{conn: d.takeConn(), since: time.Now(), slow: d.ailing()}
	if l.conn != nil {
		q.idle--
	}
	if l.slow {
		q.slow++
	} else {
		q.busy++
	}
	d.lanes[l] = true
	it := d.take()
	wg.Go(func() {
		for it != nil {
			q.deliver(ctx, hard, d, l, it)
			it = q.following(ctx, d, l)
		}
		q.end(d, l)
	})
}

// markSlow takes the place of a worker from lanes whose attempt takes long, when
// somebody waits for one.
func (q *queue) markSlow(now time.Time) {
	if len(q.ring) == 0 || q.busy < q.threads || now.Before(q.markAt) {
		return
	}
	q.markAt = now.Add(slowAfter / 10)
	for _, d := range q.dests {
		if !q.othersWait(d) {
			continue
		}
		for l := range d.lanes {
			if !l.slow && now.Sub(l.since) >= slowAfter && q.slow < q.maxSlow() {
				l.slow = true
				q.busy--
				q.slow++
			}
		}
	}
}

// following returns the lane's next item, nil when the lane has to end: nothing
// waits, others wait for a worker, or the server stops.
func (q *queue) following(ctx context.Context, d *destination, l *lane) *repository.Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ctx.Err() != nil || len(d.waiting) == 0 || l.leaving {
		return nil
	}
	if l.slow && !d.suspect {
		if q.busy >= q.threads {
			// Recovered, but its place is taken: wait for one like all others.
			return nil
		}
		l.slow = false
		q.slow--
		q.busy++
	}
	l.run++
	if !l.slow && q.busy >= q.threads && q.othersWait(d) && (l.run >= turn || len(d.lanes) > (q.threads+1)/2) {
		return nil
	}
	l.since = time.Now()
	return d.take()
}

// othersWait reports whether another destination that is well has items but no
// worker.
func (q *queue) othersWait(d *destination) bool {
	for _, o := range q.ring {
		if o != d && len(o.waiting) > 0 && len(o.lanes) < o.maxLanes(q.threads) && !o.suspect {
			return true
		}
	}
	return false
}

// end takes a lane off the books; its connection stays open for a while.
func (q *queue) end(d *destination, l *lane) {
	q.mu.Lock()
	delete(d.lanes, l)
	if l.slow {
		q.slow--
	} else {
		q.busy--
	}
	c := l.conn
	if c != nil && q.open && q.idle < 4*q.threads+maxIdle {
		c.idleSince = time.Now()
		d.idle = append(d.idle, c)
		q.idle++
		c = nil
	}
	q.list(d)
	q.forget(d)
	q.poke()
	q.mu.Unlock()
	if c != nil {
		c.quit()
	}
}
