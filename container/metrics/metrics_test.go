package metrics_test

import (
	"testing"

	"github.com/mailetd/mailetd/container/metrics"
)

// TestAgain: whoever asks for a metric a second time, after a reload for example,
// gets the same one; names are made fit.
func TestAgain(t *testing.T) {
	s := metrics.New()
	s.Counter("a.b total", "help").Inc()
	s.Counter("a_b_total", "other help").Inc()
	s.Counter("2nd", "help").Inc()
	s.Counter("", "help").Inc()
	for range 2 {
		s.CounterVec("vec_total", "help", "x").WithLabelValues("1").Inc()
		s.Histogram("one_seconds", "help", 1, 2).Observe(1)
		s.HistogramVec("many_seconds", "help", []float64{1, 2}, "x").WithLabelValues("1").Observe(1)
	}
	got, err := s.Gather()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"a_b_total": 2, "_2nd": 1, "_": 1, "vec_total": 2, "one_seconds": 2, "many_seconds": 2}
	for _, f := range got {
		m := f.GetMetric()[0]
		if n := m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount()); n != want[f.GetName()] {
			t.Errorf("%s: got %g, want %g", f.GetName(), n, want[f.GetName()])
		}
		delete(want, f.GetName())
	}
	for name := range want {
		t.Errorf("there is no %s", name)
	}
}
