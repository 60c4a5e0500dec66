// Package metrics counts what the server does, over Prometheus's client
// library. Names follow mailetd_<part>_<thing>_total|_seconds|_bytes; labels
// have few values and never an address.
package metrics

import (
	"errors"
	"regexp"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Set is the metrics of one server.
type Set struct {
	*prometheus.Registry

	mu       sync.Mutex
	counters map[string]prometheus.Counter
}

// New returns an empty set.
func New() *Set {
	return &Set{Registry: prometheus.NewRegistry(), counters: map[string]prometheus.Counter{}}
}

var badName = regexp.MustCompile(`[^a-zA-Z0-9_:]`)

// Counter returns the counter called name, made at the first call. Characters
// that Prometheus does not take become "_".
func (s *Set) Counter(name, help string) prometheus.Counter {
	name = badName.ReplaceAllString(name, "_")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "_" + name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.counters[name]; ok {
		return c
	}
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	s.MustRegister(c)
	s.counters[name] = c
	return c
}

// CounterVec returns the counters called name, one for each combination of values
// of labels, made at the first call.
func (s *Set) CounterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return registered(s, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
}

// Histogram returns the histogram called name, made at the first call. The
// buckets are upper bounds.
func (s *Set) Histogram(name, help string, buckets ...float64) prometheus.Histogram {
	return registered(s, prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}))
}

// HistogramVec returns the histograms called name, one for each combination of
// values of labels, made at the first call.
func (s *Set) HistogramVec(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return registered(s, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels))
}

// registered returns c, or what was registered under its name before. The same
// name for something else is a mistake in the program.
func registered[C prometheus.Collector](s *Set, c C) C {
	err := s.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		return already.ExistingCollector.(C)
	}
	if err != nil {
		panic(err)
	}
	return c
}
