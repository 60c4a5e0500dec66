package cmd

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/mailetd/mailetd/repository/sqlite"
)

// gatherTimeout bounds what one look at the metrics may ask of the store.
const gatherTimeout = 5 * time.Second

// measure lets the metrics of a running server show its store, its connections
// and the process.
func (l *live) measure(store *sqlite.Store) {
	seconds := l.metrics.Histogram("mailetd_store_transaction_seconds", "How long a transaction of the store took, the disk included.",
		0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)
	store.OnTransaction(func(took time.Duration) { seconds.Observe(took.Seconds()) })
	l.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&storeCollector{store: store}, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mailetd_smtp_connections_open", Help: "SMTP and LMTP connections that are open."},
			func() float64 { return float64(len(l.smtp.Connections())) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mailetd_info", Help: "1, with the version.", ConstLabels: prometheus.Labels{"version": Version}},
			func() float64 { return 1 }))
}

// storeCollector asks the store when somebody looks. Who looks gives no credentials,
// and may look often: so the answer is kept for a while, longer when it took long
// to get, and one asks for all who look at the same time.
type storeCollector struct {
	store *sqlite.Store

	mu    sync.Mutex
	kept  []prometheus.Metric
	until time.Time
}

// How long an answer is kept: at least keepLeast, and keepTimes as long as it took,
// so that those who look take a small part of one processor at most.
const (
	keepLeast = 2 * time.Second
	keepTimes = 20
)

var (
	queueMails = prometheus.NewDesc("mailetd_queue_mails", "Mails in a queue: ready, delayed, leased by a worker, or dead: set aside, because they cannot be read.", []string{"queue", "state"}, nil)
	queueAge   = prometheus.NewDesc("mailetd_queue_oldest_seconds", "How long ago the mail that is in a queue longest came; 0: it is empty.", []string{"queue"}, nil)
	storeBytes = prometheus.NewDesc("mailetd_store_bytes", "What the store takes on the disk: database, log, bodies.", []string{"part"}, nil)
	storeFree  = prometheus.NewDesc("mailetd_store_free_bytes", "What is left on the disk of the store.", nil, nil)
	commits    = prometheus.NewDesc("mailetd_store_transactions_total", "Transactions of the store.", nil, nil)
	operations = prometheus.NewDesc("mailetd_store_operations_total", "Changes in them: as many as there are in one transaction share one flush of the disk.", nil, nil)
	waiting    = prometheus.NewDesc("mailetd_store_waiting", "Changes that wait for the writer.", nil, nil)
)

// Describe implements prometheus.Collector.
func (*storeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queueMails, queueAge, storeBytes, storeFree, commits, operations, waiting} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.holdings() {
		ch <- m
	}
	stats := c.store.Stats()
	ch <- prometheus.MustNewConstMetric(commits, prometheus.CounterValue, float64(stats.Commits))
	ch <- prometheus.MustNewConstMetric(operations, prometheus.CounterValue, float64(stats.Operations))
	ch <- prometheus.MustNewConstMetric(waiting, prometheus.GaugeValue, float64(stats.Waiting))
}

// holdings returns what is in the store, as it was when it was looked at last.
func (c *storeCollector) holdings() []prometheus.Metric {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := time.Now()
	if began.Before(c.until) {
		return c.kept
	}
	ctx, cancel := context.WithTimeout(context.Background(), gatherTimeout)
	defer cancel()
	c.kept = append(c.queues(ctx), c.room(ctx)...)
	c.until = time.Now().Add(max(keepLeast, keepTimes*time.Since(began)))
	return c.kept
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// queues returns what is in the queues. What cannot be read is an error of the
// whole answer: a queue that is not shown looks like an empty one.
func (c *storeCollector) queues(ctx context.Context) (out []prometheus.Metric) {
	queues, err := c.store.QueueStates(ctx)
	if err != nil {
		return []prometheus.Metric{prometheus.NewInvalidMetric(queueMails, err)}
	}
	dead, err := c.store.Dead(ctx)
	if err != nil {
		return []prometheus.Metric{prometheus.NewInvalidMetric(queueMails, err)}
	}
	now := time.Now()
	for _, q := range queues {
		age := 0.0
		if !q.Oldest.IsZero() {
			age = max(0, now.Sub(q.Oldest).Seconds())
		}
		out = append(out, gauge(queueMails, float64(q.Ready), q.Queue, "ready"), gauge(queueMails, float64(q.Delayed), q.Queue, "delayed"),
			gauge(queueMails, float64(q.Leased), q.Queue, "leased"), gauge(queueMails, float64(dead[q.Queue]), q.Queue, "dead"),
			gauge(queueAge, age, q.Queue))
	}
	return out
}

// room returns what the store takes. Bodies that there was no time to look at are
// left out.
func (c *storeCollector) room(ctx context.Context) []prometheus.Metric {
	room, err := c.store.Room(ctx)
	if err != nil {
		return []prometheus.Metric{prometheus.NewInvalidMetric(storeBytes, err)}
	}
	out := []prometheus.Metric{gauge(storeBytes, float64(room.Database), "database"),
		gauge(storeBytes, float64(room.Log), "log"), gauge(storeFree, float64(room.Free))}
	if room.Bodies >= 0 {
		out = append(out, gauge(storeBytes, float64(room.Bodies), "bodies"))
	}
	return out
}
