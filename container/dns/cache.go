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

// cache keeps answers for as long as they say, never more than max and
// maxCacheBytes.
type cache struct {
	mu      sync.Mutex
	max     int
	entries map[cacheKey]cacheEntry
	bytes   int // of all entries, about
}

// maxCacheBytes bounds the cache as the number of entries cannot: an answer may
// have 64 kB, and whoever sends mail chooses what is asked for.
const maxCacheBytes = 32 << 20

// size returns about how much memory an answer takes: a record is several times
// as large as on the wire.
func (e cacheEntry) size() int {
	n := 256
	for _, rr := range e.rrs {
		n += 128 + 2*dns.Len(rr)
	}
	return n
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
		c.remove(k)
		return e, false
	}
	return e, true
}

// remove takes an entry out, if it is there.
func (c *cache) remove(k cacheKey) {
	if e, ok := c.entries[k]; ok {
		c.bytes -= e.size()
		delete(c.entries, k)
	}
}

func (c *cache) put(k cacheKey, e cacheEntry, now time.Time) {
	if c.max <= 0 || !now.Before(e.expires) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(k)
	size := e.size()
	for len(c.entries) > 0 && (len(c.entries) >= c.max || c.bytes+size > maxCacheBytes) {
		c.evict(now)
	}
	c.entries[k] = e
	c.bytes += size
}

// evict makes room for an entry. It looks at a few entries that the map
// happens to give: expired ones all go, else the one that ends first. A list in
// order of use would cost more than it saves.
func (c *cache) evict(now time.Time) {
	const sample = 8
	var victim cacheKey
	var first time.Time
	looked, removed := 0, false
	for k, e := range c.entries {
		if !now.Before(e.expires) {
			c.remove(k)
			removed = true
		} else if first.IsZero() || e.expires.Before(first) {
			victim, first = k, e.expires
		}
		if looked++; looked == sample {
			break
		}
	}
	if !removed {
		c.remove(victim)
	}
}

func (c *cache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}
