package remote

import (
	"time"

	"github.com/mailetd/mailetd/repository"
)

// destination is a next hop as the scheduler sees it: a domain or a set of
// gateways, of one instance. queue.mu protects all of it.
type destination struct {
	key    string
	in     *Instance
	domain string // "" for gateways

	held    int // items reserved, waiting, being delivered or being committed
	waiting []*repository.Item
	lanes   map[*lane]bool
	idle    []*conn // open connections without a lane, oldest first
	listed  bool    // in queue.ring
	more    bool    // the store may have further ready items
	suspect bool    // the last attempt reached no host

	limit      int // lanes beyond which the host refused connections, 0: none known
	limitUntil time.Time
}

// lane is a goroutine that delivers for one destination.
type lane struct {
	conn  *conn
	since time.Time // begin of the attempt that is going on
	slow  bool      // does not count as one of the workers
	run   int       // items since it got its place

	leaving bool // ends after this item
}

// Limits of the scheduler.
const (
	minWindow = 400
	maxWindow = 2000
	// More connections than that at once look like an attack to many hosts.
	maxLanes = 20
	// How long a connection stays open without work, and how many mails it
	// carries at most: hosts that count close it sooner, and that is no failure.
	idleTime    = 5 * time.Second
	maxConnUses = 1000
	// How many connections may stay open without work, besides four for each
	// worker.
	maxIdle = 100
	// An attempt that takes longer gives its worker's place to others.
	slowAfter = 500 * time.Millisecond
	// For how long a host is not offered more connections than it took.
	limitTime = time.Minute
	// Items of one destination in a row while another one waits.
	turn = 10
)

// maxSlow is how many attempts may be slow at once, besides the workers. Such an
// attempt waits, and costs a connection and little else. Destinations known to be
// dead get half of these places, so that workers can be freed from new ones.
func (q *queue) maxSlow() int { return min(max(20*q.threads, 500), 2*maxWindow) }

func (d *destination) maxLanes(threads int) int {
	if d.limit > 0 && time.Now().Before(d.limitUntil) {
		return min(threads, maxLanes, d.limit)
	}
	return min(threads, maxLanes)
}

// ailing reports whether the destination is known to be dead or slow: it then
// gets one lane that is nobody's worker.
func (d *destination) ailing() bool {
	if d.suspect {
		return true
	}
	for l := range d.lanes {
		if l.slow {
			return true
		}
	}
	return false
}

// take returns the item to deliver next, nil for none.
func (d *destination) take() *repository.Item {
	if len(d.waiting) == 0 {
		return nil
	}
	it := d.waiting[0]
	d.waiting[0] = nil
	d.waiting = d.waiting[1:]
	return it
}

// takeConn returns the idle connection that was used last, nil for none.
func (d *destination) takeConn() *conn {
	n := len(d.idle)
	if n == 0 {
		return nil
	}
	c := d.idle[n-1]
	d.idle = d.idle[:n-1]
	return c
}

// gone reports whether nothing is known of the destination that is worth
// keeping.
func (d *destination) gone() bool {
	return d.held == 0 && len(d.lanes) == 0 && len(d.idle) == 0 && !d.more
}
