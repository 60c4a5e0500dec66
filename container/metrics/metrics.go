// Package metrics counts what the server does, over Prometheus's client
// library. Names follow mailetd_<part>_<thing>_total|_seconds|_bytes; labels
// have few values and never an address.
package metrics

import (
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
