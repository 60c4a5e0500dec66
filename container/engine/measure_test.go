package engine

import (
	"errors"
	"io"
	"log/slog"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/metrics"
)

// gathered returns a metric by its name and the values of its labels.
func gathered(t *testing.T, set *metrics.Set, name string, values ...string) *dto.Metric {
	t.Helper()
	families, err := set.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			same := len(m.GetLabel()) == len(values)
			for i, l := range m.GetLabel() {
				same = same && l.GetValue() == values[i]
			}
			if same {
				return m
			}
		}
	}
	t.Fatalf("there is no %s %q", name, values)
	return nil
}

func TestMeasure(t *testing.T) {
	bad := mailetFunc(func(*container.Mail, *container.Outbox) error { return errors.New("disk full") })
	good := mailetFunc(func(*container.Mail, *container.Outbox) error { return nil })
	e := &Engine{log: slog.New(slog.NewTextHandler(io.Discard, nil)), processors: map[string]*processor{
		"root": {state: "root", steps: []step{
			{matcher: rcpts("a"), mailet: good, mailetName: "Good"},
			{matcher: all, mailet: good, mailetName: "Good"},
			{matcher: all, mailet: bad, mailetName: "Bad", onMailet: reaction{state: container.StateError}},
		}},
		"error": {state: "error"},
	}}
	set := metrics.New()
	e.Measure(set)
	e.Measure(set) // of a second engine, after a reload: it counts on
	for range 2 {
		m := container.NewMail(container.Address{}, []container.Address{container.MustAddress("b@x.test")}, container.Message{})
		m.State = "root"
		if err := e.Run(t.Context(), m, &container.Outbox{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"mailetd_processor_mails_total", []string{"root"}, 2},
		{"mailetd_processor_mails_total", []string{"error"}, 2},
		{"mailetd_processor_failures_total", []string{"Good", "root"}, 0},
		{"mailetd_processor_failures_total", []string{"Bad", "root"}, 2},
	} {
		if got := gathered(t, set, tc.name, tc.labels...).GetCounter().GetValue(); got != tc.want {
			t.Errorf("%s %q: got %g, want %g", tc.name, tc.labels, got, tc.want)
		}
	}
	// The first mailet of that name saw none of them.
	if got := gathered(t, set, "mailetd_mailet_seconds", "Good", "root").GetHistogram().GetSampleCount(); got != 2 {
		t.Errorf("Good took %d mails, want 2", got)
	}
}

// TestMeasureBesideCounters: whatever a MetricsMailet is called, the server starts.
func TestMeasureBesideCounters(t *testing.T) {
	set := metrics.New()
	for _, name := range []string{"failures", "seconds", "seconds_count", "errors", ""} {
		set.Counter("mailetd_mailet_"+name+"_total", "Mails that passed a MetricsMailet.")
	}
	(&Engine{processors: map[string]*processor{"root": {state: "root", steps: []step{{matcher: all, mailetName: "Null"}}}}}).Measure(set)
	if _, err := set.Gather(); err != nil {
		t.Error(err)
	}
}
