package dns

import (
	"sync"
	"time"

	"github.com/miekg/dns"
)

// cacheKey is one question; name is canonical.
type cacheKey struct {
	name string
	typ  uint16
}

type cacheEntry struct {
	rrs     []dns.RR // none: the record is known to be missing
	expires time.Time
}

// cache keeps answers for as long as they say, and never more than max.
type cache struct {
	mu      sync.Mutex
	max     int
	entries map[cacheKey]cacheEntry
}

func newCache(size int) *cache {
	return &cache{max: size, entries: map[cacheKey]cacheEntry{}}
}

func (c *cache) get(k cacheKey, now time.Time) (cacheEntry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[k]
	if !ok {
		return e, false
	}
	if !now.Before(e.expires) {
		delete(c.entries, k)
		return e, false
	}
	return e, true
}

func (c *cache) put(k cacheKey, e cacheEntry, now time.Time) {
	if c.max <= 0 || !now.Before(e.expires) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[k]; !ok && len(c.entries) >= c.max {
		c.evict(now)
	}
	c.entries[k] = e
}

// evict makes room for one entry. It looks at a few entries that the map
// happens to give: expired ones all go, else the one that ends first. A list in
// order of use would cost more than it saves.
func (c *cache) evict(now time.Time) {
	const sample = 8
	var victim cacheKey
	var first time.Time
	looked, removed := 0, false
	for k, e := range c.entries {
		if !now.Before(e.expires) {
			delete(c.entries, k)
			removed = true
		} else if first.IsZero() || e.expires.Before(first) {
			victim, first = k, e.expires
		}
		if looked++; looked == sample {
			break
		}
	}
	if !removed {
		delete(c.entries, victim)
	}
}

func (c *cache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}
