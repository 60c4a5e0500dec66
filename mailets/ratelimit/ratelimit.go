// Package ratelimit counts what passes within a time window, by key, in memory.
// Counters start at zero with the process, and each process has its own.
package ratelimit

import (
	"sync"
	"time"
)

// maxKeys bounds the keys that are remembered. Beyond twice as many the counters
// that were not used lately are forgotten before their window is over.
const maxKeys = 100_000

// maxBuckets bounds the parts of a window, and with it the memory of one key.
const maxBuckets = 1000

// Limiter lets so much pass per key within any window. Its methods may be called by
// several goroutines at once.
//
// The window moves in steps: time is cut into buckets as long as the precision,
// and what counts is the sum of the current bucket and of those before it, as
// many as the window is long. With a precision as long as the window this is a
// fixed window, which starts again from zero at each multiple of its length.
type Limiter struct {
	limit   int64
	step    time.Duration
	buckets int64
	now     func() time.Time
	epoch   time.Time

	mu sync.Mutex
	// young has the keys used since turned, old those used in the period before.
	// A key in neither has not been used for a whole window.
	young, old map[string]*window
	turned     int64 // bucket
}

// window holds the counts of one key.
type window struct {
	counts []count // oldest first, none empty
	sum    int64
}

type count struct{ bucket, n int64 }

// New returns a limiter of limit per duration. A precision of 0, or longer than
// the window, is the window itself. now is the clock, nil for time.Now.
func New(limit int64, duration, precision time.Duration, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	duration = max(duration, 1)
	if precision <= 0 || precision > duration {
		precision = duration
	}
	precision = max(precision, duration/maxBuckets)
	return &Limiter{
		limit: limit, step: precision, buckets: int64((duration + precision - 1) / precision), now: now, epoch: now(),
		young: map[string]*window{}, old: map[string]*window{},
	}
}

// Take adds n to what passed for key, and reports whether that keeps within the
// limit. If not, nothing is added. Less than one is never too much, and adds
// nothing.
func (l *Limiter) Take(key string, n int64) bool {
	if n <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := int64(l.now().Sub(l.epoch) / l.step)
	w := l.get(key, bucket)
	w.expire(bucket - l.buckets)
	if n > l.limit-w.sum {
		return false
	}
	w.add(bucket, n)
	return true
}

// get returns the window of key, and forgets keys that were not used for as long
// as a window.
func (l *Limiter) get(key string, bucket int64) *window {
	if bucket-l.turned >= l.buckets || len(l.young) >= maxKeys {
		l.old, l.young = l.young, map[string]*window{}
		l.turned = bucket
	}
	if w, ok := l.young[key]; ok {
		return w
	}
	w, ok := l.old[key]
	if !ok {
		w = &window{}
	}
	delete(l.old, key)
	l.young[key] = w
	return w
}

// expire drops the counts up to bucket last.
func (w *window) expire(last int64) {
	i := 0
	for i < len(w.counts) && w.counts[i].bucket <= last {
		w.sum -= w.counts[i].n
		i++
	}
	w.counts = w.counts[:copy(w.counts, w.counts[i:])]
}

func (w *window) add(bucket, n int64) {
	w.sum += n
	if last := len(w.counts) - 1; last >= 0 && w.counts[last].bucket >= bucket {
		w.counts[last].n += n // a clock that went back counts as now
		return
	}
	w.counts = append(w.counts, count{bucket, n})
}
