package engine

import (
	"context"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/metrics"
)

// Measure counts in m what comes to each processor, and how long each mailet
// takes: once for all mailets of a class in a processor. Call it before the first
// Run.
func (e *Engine) Measure(m *metrics.Set) {
	mails := m.CounterVec("mailetd_processor_mails_total", "Mails that came to a processor.", "processor")
	seconds := m.HistogramVec("mailetd_mailet_seconds", "How long a mailet took for a mail.",
		[]float64{0.0001, 0.001, 0.01, 0.1, 1, 10}, "processor", "mailet")
	// Not mailetd_mailet_…_total: a MetricsMailet may be called failures.
	failures := m.CounterVec("mailetd_processor_failures_total", "Mails that a mailet could not serve.", "processor", "mailet")
	for state, p := range e.processors {
		p.mails = mails.WithLabelValues(state)
		for i := range p.steps {
			s := &p.steps[i]
			s.seconds = seconds.WithLabelValues(state, s.mailetName)
			s.failures = failures.WithLabelValues(state, s.mailetName)
		}
	}
}

// measured lets the mailet of s serve m.
func measured(ctx context.Context, s *step, m *container.Mail, out *container.Outbox) error {
	if s.seconds == nil {
		return safeService(ctx, s, m, out)
	}
	began := time.Now()
	err := safeService(ctx, s, m, out)
	s.seconds.Observe(time.Since(began).Seconds())
	if err != nil {
		s.failures.Inc()
	}
	return err
}
