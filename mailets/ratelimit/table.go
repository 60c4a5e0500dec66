package ratelimit

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

// maxKeys bounds the keys of a table that are in memory: beyond twice as many
// those that were not used lately are left to the store, or forgotten before
// their window is over where there is none.
const maxKeys = 100_000

// table has the counters of one name.
type table struct {
	name    string
	step    time.Duration
	buckets int64
	store   local.RateStorage // nil: memory only

	mu sync.Mutex
	// young has the keys used since turned, old those used in the period before.
	// A key in neither has not been used for a whole window, or was put out.
	young, old map[string]*window
	turned     int64 // bucket
	// missing is the last bucket in which keys that count may have been in the
	// store and not in memory. A window later all that count are in memory.
	missing int64
	// dirty has the windows with counts that are not stored, flushing those that
	// are being stored now. They may have been put out of young and old.
	dirty, flushing map[string]*window
}

// window holds the counts of one key.
type window struct {
	counts []count // oldest first, none empty
	sum    int64
}

type count struct {
	bucket, n int64
	dirty     bool
}

func newTable(l *Limit, store local.RateStorage, now time.Time) *table {
	t := &table{name: l.name, step: l.step, buckets: l.buckets, store: store, missing: math.MinInt64 / 2,
		young: map[string]*window{}, old: map[string]*window{}, dirty: map[string]*window{}}
	if store != nil {
		t.missing = t.bucket(now)
	}
	t.turned = t.bucket(now)
	return t
}

func (t *table) bucket(now time.Time) int64 { return now.UnixNano() / int64(t.step) }

// take adds n to what passed for key if that keeps within limit. It returns
// how many keys wait to be stored.
func (t *table) take(ctx context.Context, limit int64, key string, n int64, now time.Time) (within bool, waiting int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	bucket := t.bucket(now)
	w, err := t.get(ctx, key, bucket, now)
	if err != nil {
		return false, 0, err
	}
	w.expire(bucket - t.buckets)
	if n > limit-w.sum {
		return false, len(t.dirty), nil
	}
	w.add(bucket, n)
	if t.store != nil && len(t.dirty) < 2*maxKeys {
		t.dirty[key] = w
	}
	return true, len(t.dirty), nil
}

// get returns the window of key.
func (t *table) get(ctx context.Context, key string, bucket int64, now time.Time) (*window, error) {
	t.turn(bucket)
	if w, ok := t.young[key]; ok {
		return w, nil
	}
	w := t.old[key]
	if w == nil {
		w = t.dirty[key]
	}
	if w == nil {
		w = t.flushing[key]
	}
	if w == nil {
		w = &window{}
		if t.store != nil && bucket-t.missing <= t.buckets {
			counts, err := t.store.RateCountsOf(ctx, t.name, key, now)
			if err != nil {
				return nil, err
			}
			for _, c := range counts {
				t.restore(w, c, bucket)
			}
		}
	}
	delete(t.old, key)
	t.young[key] = w
	return w, nil
}

// turn forgets keys that were not used for as long as a window, and puts out
// some when they are too many.
func (t *table) turn(bucket int64) {
	early := len(t.young) >= maxKeys
	if bucket-t.turned < t.buckets && !early {
		return
	}
	if early && len(t.old) > 0 && t.store != nil {
		t.missing = bucket
	}
	t.old, t.young = t.young, map[string]*window{}
	t.turned = bucket
}

// restore adds a stored count. One that is further ahead than a window was
// written while the clock was wrong.
func (t *table) restore(w *window, c local.RateCount, now int64) {
	if c.Bucket <= now-t.buckets || c.Bucket > now+t.buckets || c.N <= 0 {
		return
	}
	i := len(w.counts)
	for i > 0 && w.counts[i-1].bucket > c.Bucket {
		i--
	}
	w.counts = append(w.counts, count{})
	copy(w.counts[i+1:], w.counts[i:])
	w.counts[i] = count{bucket: c.Bucket, n: c.N}
	w.sum += c.N
}

// load brings stored counts into memory, as many as it may have.
func (t *table) load(ctx context.Context, now time.Time) error {
	counts, err := t.store.RateCounts(ctx, t.name, now, maxKeys)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	bucket := t.bucket(now)
	if len(t.young) > 0 || len(t.old) > 0 || len(counts) == maxKeys {
		return nil // each key is asked for when it is used
	}
	for _, c := range counts {
		w := t.old[c.Key]
		if w == nil {
			w = &window{}
			t.old[c.Key] = w
		}
		t.restore(w, c, bucket)
	}
	t.missing = math.MinInt64 / 2
	return nil
}

// unstored returns the counts that are not stored; they are taken to be stored
// until fail says otherwise.
func (t *table) unstored() []local.RateCount {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []local.RateCount
	for key, w := range t.dirty {
		for i := range w.counts {
			c := &w.counts[i]
			if c.dirty {
				c.dirty = false
				until := (c.bucket + t.buckets) * int64(t.step)
				out = append(out, local.RateCount{Limiter: t.name, Key: key, Bucket: c.bucket, N: c.n, Until: time.Unix(0, until)})
			}
		}
	}
	t.flushing, t.dirty = t.dirty, map[string]*window{}
	return out
}

// stored ends what unstored began; failed are the counts that could not be
// stored.
func (t *table) stored(failed []local.RateCount) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range failed {
		w := t.dirty[f.Key]
		if w == nil {
			w = t.flushing[f.Key]
		}
		for i := range w.counts {
			if w.counts[i].bucket == f.Bucket && len(t.dirty) < 2*maxKeys {
				w.counts[i].dirty = true
				t.dirty[f.Key] = w
			}
		}
	}
	t.flushing = nil
}

// expire drops the counts up to bucket last.
func (w *window) expire(last int64) {
	i := 0
	for i < len(w.counts) && w.counts[i].bucket <= last {
		w.sum -= w.counts[i].n
		i++
	}
	if i > 0 {
		w.counts = w.counts[:copy(w.counts, w.counts[i:])]
	}
}

func (w *window) add(bucket, n int64) {
	w.sum += n
	if last := len(w.counts) - 1; last >= 0 && w.counts[last].bucket >= bucket {
		w.counts[last].n += n // a clock that went back counts as now
		w.counts[last].dirty = true
		return
	}
	w.counts = append(w.counts, count{bucket, n, true})
}
