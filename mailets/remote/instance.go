package remote

import (
	"context"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailetd/mailetd/container"
)

// Group holds the RemoteDelivery instances of one server and lets those with
// the same queue share its worker.
type Group struct {
	services Services

	mu     sync.Mutex
	queues map[string]*queue
}

// NewGroup returns a group without instances. It opens and starts nothing.
func NewGroup(s Services) *Group {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	return &Group{services: s, queues: map[string]*queue{}}
}

// Instance is one configured RemoteDelivery.
type Instance struct {
	cfg      Config
	id       string
	services *Services
	log      *slog.Logger
	queue    *queue
	counters map[string]prometheus.Counter // by outcome; nil counts nothing
	replies  map[int]prometheus.Counter    // by the first digit of the reply, 0: none
}

// Add returns the instance of a configuration. Two equal configurations are one
// instance.
func (g *Group) Add(c Config) *Instance {
	c = c.withDefaults()
	g.mu.Lock()
	defer g.mu.Unlock()
	q, ok := g.queues[c.Queue]
	if !ok {
		q = newQueue(c.Queue, &g.services)
		g.queues[c.Queue] = q
	}
	in := &Instance{cfg: c, id: c.key(), services: &g.services, log: g.services.Log, queue: q}
	if m := g.services.Metrics; m != nil {
		in.counters = map[string]prometheus.Counter{}
		for _, r := range []string{container.Delivered, container.Deferred, container.Failed} {
			in.counters[r] = m.Counter("mailetd_remote_"+r+"_total", "recipients of remote delivery attempts: "+r)
		}
		in.counters[container.Relayed] = in.counters[container.Delivered]
		replies := m.CounterVec("mailetd_remote_replies_total",
			"Recipients of remote delivery attempts, by what the host replied; none: no host was reached, or the cause is ours.", "class")
		in.replies = map[int]prometheus.Counter{0: replies.WithLabelValues("none")}
		for digit, class := range map[int]string{2: "2xx", 4: "4xx", 5: "5xx"} {
			in.replies[digit] = replies.WithLabelValues(class)
		}
	}
	q.add(in)
	return in
}

// Run empties the queue of the instance until ctx is done. Of the instances that
// share a queue the first one does the work for all; the others wait for it.
func (in *Instance) Run(ctx context.Context) error { return in.queue.run(ctx) }

// Consuming returns the queue of the instance, and whether its worker runs.
func (in *Instance) Consuming() (queue string, ok bool) {
	q := in.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.name, q.leader != nil && q.open
}

// Split returns the queue entries for a mail: one for each domain among its
// recipients, called <name>-to-<domain>, or one for the gateways under the name
// it has. m is not changed.
//
// Source: RemoteDelivery.service.
func (in *Instance) Split(m *container.Mail) []container.Entry {
	if len(in.cfg.Gateways) > 0 {
		return []container.Entry{{Mail: m.Clone(), Queue: in.cfg.Queue, Destination: in.Destination("")}}
	}
	names, rcpts := domains(m.Recipients)
	groups := make([][]container.Address, len(names))
	for i, domain := range names {
		groups[i] = rcpts[domain]
	}
	out := make([]container.Entry, len(names))
	for i, c := range m.CloneFor(groups) {
		c.Name = m.Name + "-to-" + names[i]
		out[i] = container.Entry{Mail: c, Queue: in.cfg.Queue, Destination: in.Destination(names[i])}
	}
	return out
}
