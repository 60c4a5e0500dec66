package remote

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailetd/mailetd/repository"
)

// queue is the worker of one outgoing queue and the repository.Consumer of it.
type queue struct {
	name     string
	services *Services
	log      *slog.Logger

	mu        sync.Mutex
	instances []*Instance
	leader    chan struct{} // closed when the worker ends; nil while there is none

	grace    time.Duration
	threads  int
	window   int
	open     bool // items are welcome
	total    int  // sum of held
	busy     int  // lanes that count as workers
	slow     int  // lanes that do not
	idle     int  // open connections without a lane
	dests    map[string]*destination
	suspects map[string]bool // destinations that were dead when last seen
	ring     []*destination  // those with waiting items, in turn

	more      bool                    // the store may have ready items
	hinted    bool                    // it said so
	wanting   map[string]*destination // those with more
	next      time.Time               // when the next delayed item becomes ready
	cursor    string                  // destination behind which the next lease begins
	lastLease time.Time
	lastGot   int // items of the last lease
	reapAt    time.Time
	markAt    time.Time

	retries []pendingCommit
	retryAt time.Time

	wake    chan struct{}
	commits sync.WaitGroup
}

func newQueue(name string, s *Services) *queue {
	return &queue{name: name, services: s, log: s.Log, grace: graceTime, wake: make(chan struct{}, 1),
		dests: map[string]*destination{}, suspects: map[string]bool{}, wanting: map[string]*destination{}}
}

// add makes an instance known; one that is equal to a former one replaces it.
func (q *queue) add(in *Instance) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, old := range q.instances {
		if old.id == in.id {
			q.instances[i] = in
			return
		}
	}
	q.instances = append(q.instances, in)
}

// instance returns the one that a destination belongs to. After a change of the
// configuration nobody may have that id: then one with the same gateways, or
// the first one, takes it.
func (q *queue) instance(place, id string) *Instance {
	for _, in := range q.instances {
		if in.id == id {
			return in
		}
	}
	gateways := strings.TrimPrefix(place, gatewayPrefix)
	if gateways == place {
		gateways = ""
	}
	for _, in := range q.instances {
		if in.cfg.gatewayList() == gateways {
			return in
		}
	}
	return q.instances[0]
}

// dest returns the destination called key, made if new.
func (q *queue) dest(key string) *destination {
	d, ok := q.dests[key]
	if ok {
		return d
	}
	place, id := splitDestination(key)
	d = &destination{key: key, in: q.instance(place, id), lanes: map[*lane]bool{}, suspect: q.suspects[key]}
	if len(d.in.cfg.Gateways) == 0 && !strings.HasPrefix(place, gatewayPrefix) {
		d.domain = place
	}
	q.dests[key] = d
	return d
}

// forget removes a destination that has nothing any more; that it was dead is
// remembered.
func (q *queue) forget(d *destination) {
	if !d.gone() || d.listed {
		return
	}
	delete(q.dests, d.key)
	delete(q.wanting, d.key)
	const maxSuspects = 10000
	if d.suspect && len(q.suspects) >= maxSuspects {
		clear(q.suspects)
	}
	if d.suspect {
		q.suspects[d.key] = true
	} else {
		delete(q.suspects, d.key)
	}
}

// used returns how many places of the window are taken. What is on its way to a
// slow host has left it: else many such hosts would fill it.
func (q *queue) used() int { return q.total - q.slow }

// room returns how many more items the destination may hold: as many as there
// are places free. One busy destination so gets half of the window, and there
// is always something left for a new one.
func (q *queue) room(d *destination) int {
	return max(0, q.window-q.used()-d.held)
}

// Reserve implements repository.Consumer.
func (q *queue) Reserve(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.open {
		return false
	}
	if q.used() >= q.window {
		q.more = true
		return false
	}
	d := q.dest(key)
	if q.room(d) == 0 || d.more {
		q.setMore(d) // in order of age: those in the store come first
		return false
	}
	d.held++
	q.total++
	return true
}

// Unreserve implements repository.Consumer.
func (q *queue) Unreserve(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if d, ok := q.dests[key]; ok {
		q.drop(d, 1)
	}
}

// Accept implements repository.Consumer.
func (q *queue) Accept(it *repository.Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.put(q.dest(it.Destination), it)
	q.poke()
}

// Wake implements repository.Consumer.
func (q *queue) Wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.more, q.hinted = true, true
	q.poke()
}

// poke lets the worker look again; q.mu is held.
func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// put adds an item that is counted in held already.
func (q *queue) put(d *destination, it *repository.Item) {
	d.waiting = append(d.waiting, it)
	q.list(d)
}

func (q *queue) list(d *destination) {
	if !d.listed && len(d.waiting) > 0 {
		d.listed = true
		q.ring = append(q.ring, d)
	}
}

// drop takes n items off the books of a destination.
func (q *queue) drop(d *destination, n int) {
	d.held -= n
	q.total -= n
	if q.wantsLease(d) || q.more && q.total == 0 {
		q.poke()
	}
	q.forget(d)
}

// run is the worker. The first caller is the leader and does the work, others
// wait until it has ended.
func (q *queue) run(ctx context.Context) error {
	q.mu.Lock()
	if leader := q.leader; leader != nil {
		q.mu.Unlock()
		<-ctx.Done()
		<-leader
		return nil
	}
	ended := make(chan struct{})
	q.leader = ended
	q.threads = 1
	for _, in := range q.instances {
		q.threads = max(q.threads, in.cfg.Threads)
	}
	q.window = min(max(4*q.threads, minWindow), maxWindow)
	q.more, q.open = true, true
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		q.leader = nil
		q.mu.Unlock()
		close(ended)
	}()
	return q.work(ctx)
}

func (q *queue) work(ctx context.Context) error {
	store := q.services.Queues
	if err := store.CreateQueue(ctx, q.name); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("create queue %s: %w", q.name, err)
	}
	store.Consume(q.name, q)
	hard, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var lanes sync.WaitGroup
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		q.dispatch(ctx, hard, &lanes)
		if q.leaseDue(time.Now()) {
			q.lease(ctx)
			q.dispatch(ctx, hard, &lanes)
		}
		q.recommit(time.Now())
		timer.Reset(q.housekeeping(time.Now()))
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-timer.C:
		}
	}
	q.shutdown(stop, &lanes)
	return nil
}

// housekeeping closes connections that were idle for too long. It returns for
// how long nothing else will be due.
func (q *queue) housekeeping(now time.Time) time.Duration {
	q.mu.Lock()
	var old []*conn
	if q.idle > 0 && !now.Before(q.reapAt) {
		old = q.reap(now)
		q.reapAt = now.Add(idleTime / 5)
	}
	wait := leasePoll
	if q.idle > 0 {
		wait = q.reapAt.Sub(now)
	}
	if len(q.ring) > 0 {
		wait = min(wait, slowAfter/4)
	}
	if q.more {
		wait = min(wait, leasePause)
	}
	if q.hinted {
		wait = min(wait, hintPause)
	}
	if !q.next.IsZero() && q.used() < q.window {
		wait = min(wait, q.next.Sub(now))
	}
	if len(q.retries) > 0 {
		wait = min(wait, q.retryAt.Sub(now))
	}
	q.mu.Unlock()
	for _, c := range old {
		c.quit()
	}
	return max(wait, 0)
}

// reap takes the connections that were idle for too long.
func (q *queue) reap(now time.Time) []*conn {
	var old []*conn
	for _, d := range q.dests {
		n := 0
		for n < len(d.idle) && now.Sub(d.idle[n].idleSince) >= idleTime {
			n++
		}
		old = append(old, d.idle[:n]...)
		d.idle = slices.Clone(d.idle[n:])
		q.idle -= n
		q.forget(d)
	}
	return old
}

// graceTime is how long messages on their way may still take at shutdown.
const graceTime = 5 * time.Second

// shutdown lets what is being sent finish, and gives everything else back.
func (q *queue) shutdown(stop context.CancelFunc, lanes *sync.WaitGroup) {
	q.mu.Lock()
	q.open = false
	q.mu.Unlock()
	q.services.Queues.Consume(q.name, nil)
	grace := time.AfterFunc(q.grace, stop)
	lanes.Wait()
	grace.Stop()
	q.commits.Wait()
	q.mu.Lock()
	var items []*repository.Item
	var conns []*conn
	for _, d := range q.dests {
		items = append(items, d.waiting...)
		conns = append(conns, d.idle...)
	}
	q.mu.Unlock()
	for _, c := range conns {
		c.quit()
	}
	ctx, cancel := context.WithTimeout(context.Background(), graceTime)
	defer cancel()
	if err := q.services.Queues.Release(ctx, items); err != nil && len(items) > 0 {
		q.log.Error("give queue items back", "queue", q.name, "err", err)
	}
	q.lastCommits(ctx)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total, q.busy, q.slow, q.idle, q.ring, q.retries = 0, 0, 0, 0, nil, nil
	q.dests, q.wanting = map[string]*destination{}, map[string]*destination{}
}
