package remote

import (
	"math"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/remote/hoptest"
)

func TestPlanUntil(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	delays, retries := "1 minute, 2 * 1 hour", "5"
	plan, _ := NewPlan(&retries, &delays)
	for n, want := range map[int]time.Duration{1: 4*time.Hour + time.Minute, 2: 4 * time.Hour, 5: time.Hour, 6: 0} {
		if got := plan.until(now, n); got.Sub(now) != want {
			t.Errorf("from retry %d on: got %v, want %v", n, got.Sub(now), want)
		}
	}
	huge := Plan{Retries: 1 << 40, waits: []wait{{1, 1000 * 24 * time.Hour}}}
	if got := huge.until(now, 1); got.Sub(now) != math.MaxInt64 {
		t.Errorf("got %v, want the far future", got)
	}
}

// A report of delay knows until when delivery will be tried.
func TestDelayedUntil(t *testing.T) {
	until := make(chan time.Time, 1)
	c := testConfig()
	delays, retries := "1 hour, 2 hours", "2"
	c.Plan, _ = NewPlan(&retries, &delays)
	r := newRig(t, c, func(s *Services) {
		s.Report = func(m *container.Mail, _ string, _ *container.Outbox) error {
			at, _ := m.Attributes.Time(container.AttrRetryUntil)
			until <- at
			return nil
		}
	}).run()
	hop := r.oneHop(hoptest.Options{})
	hop.On("RCPT", "", "451 4.2.1 later")
	r.send(byMail(-time.Second, "N", "bob@there.test"))
	if got := time.Until(<-until); got < 179*time.Minute || got > 3*time.Hour {
		t.Errorf("tried for %v, want 3 hours", got)
	}
	if e := r.outgoing(1)[0]; e.Mail.Attributes[container.AttrRetryUntil] != nil {
		t.Errorf("the mail in the queue has %v", e.Mail.Attributes)
	}
}
