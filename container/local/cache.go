package local

import (
	"strings"
	"sync"
	"time"
)

const (
	cacheTime    = 10 * time.Second
	verifiedTime = 5 * time.Minute
	maxCached    = 50000
)

// cache keeps answers of the store for a while. A change clears it; an answer
// that was read before the change but arrives after it is not kept.
type cache[V any] struct {
	mu      sync.RWMutex
	entries map[string]cacheEntry[V]
	gen     uint64
	limit   int
	life    time.Duration
}

type cacheEntry[V any] struct {
	value V
	until time.Time
}

func (c *cache[V]) init(limit int, life time.Duration) {
	c.entries, c.limit, c.life = map[string]cacheEntry[V]{}, limit, life
}

// get returns the answer kept for key. gen is for put.
func (c *cache[V]) get(key string, now time.Time) (v V, ok bool, gen uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.entries[key]
	if !ok || now.After(e.until) {
		return v, false, c.gen
	}
	return e.value, true, c.gen
}

func (c *cache[V]) put(key string, v V, now time.Time, gen uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if gen != c.gen {
		return
	}
	if len(c.entries) >= c.limit {
		// Cheaper than keeping an order, and rare.
		clear(c.entries)
	}
	c.entries[key] = cacheEntry[V]{v, now.Add(c.life)}
}

func (c *cache[V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	clear(c.entries)
}

// lower is strings.ToLower without an allocation for what is in lower case.
func lower(s string) string { return strings.ToLower(s) }
