package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

// rows is a store in memory.
type rows struct {
	mu    sync.Mutex
	m     map[[2]string]map[int64]local.RateCount
	puts  int
	reads int
	err   error
	put   chan struct{} // told of each put, when not nil
}

func newRows() *rows { return &rows{m: map[[2]string]map[int64]local.RateCount{}} }

func (r *rows) RateCounts(_ context.Context, limiter string, now time.Time, most int) (out []local.RateCount, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, buckets := range r.m {
		for _, c := range buckets {
			if k[0] == limiter && c.Until.After(now) && len(out) < most {
				out = append(out, c)
			}
		}
	}
	return out, r.err
}

func (r *rows) RateCountsOf(_ context.Context, limiter, key string, now time.Time) (out []local.RateCount, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	for _, c := range r.m[[2]string{limiter, key}] {
		if c.Until.After(now) {
			out = append(out, c)
		}
	}
	return out, r.err
}

func (r *rows) PutRateCounts(_ context.Context, counts []local.RateCount) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.put != nil {
		select {
		case r.put <- struct{}{}:
		default:
		}
	}
	if r.err != nil {
		return r.err
	}
	for _, c := range counts {
		k := [2]string{c.Limiter, c.Key}
		if r.m[k] == nil {
			r.m[k] = map[int64]local.RateCount{}
		}
		r.m[k][c.Bucket] = c
		r.puts++
	}
	return nil
}

func (r *rows) ForgetRateCounts(_ context.Context, now time.Time, _ int) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, buckets := range r.m {
		for b, c := range buckets {
			if !c.Until.After(now) {
				delete(buckets, b)
				n++
			}
		}
		if len(buckets) == 0 {
			delete(r.m, k)
		}
	}
	return n, r.err
}

func (r *rows) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (o one) flush() {
	if err := o.Flush(context.Background()); err != nil {
		o.t.Error(err)
	}
}

// A process that starts again goes on where the last one was, whether it loads
// all counters or reads each when it is used.
func TestRestart(t *testing.T) {
	for _, load := range []bool{true, false} {
		store, c := newRows(), &clock{time.Unix(1e9, 0)}
		first := newOne(t, store, 3, 10*time.Second, time.Second, c.now)
		first.take("a", 1)
		c.t = c.t.Add(4 * time.Second)
		first.take("a", 1)
		first.take("b", 3)
		first.flush()
		c.t = c.t.Add(time.Second)
		first.take("a", 1) // lost: the process dies
		store.reads = 0

		second := newOne(t, store, 3, 10*time.Second, time.Second, c.now)
		if load {
			if err := second.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if !second.take("a", 1) || second.take("a", 1) || second.take("b", 1) || !second.take("new", 3) {
			t.Errorf("load %t: the counters are not those of the last flush", load)
		}
		if want := map[bool]int{true: 0, false: 3}[load]; store.reads != want {
			t.Errorf("load %t: %d keys were read, want %d", load, store.reads, want)
		}
		c.t = c.t.Add(5 * time.Second) // the first count of a is ten seconds old
		if !second.take("a", 1) || second.take("a", 1) || second.take("b", 1) {
			t.Errorf("load %t: what is stored does not expire in steps", load)
		}
		c.t = c.t.Add(10 * time.Second)
		before := store.reads
		if !second.take("another", 3) || store.reads != before {
			t.Errorf("load %t: a window after the start keys are still read", load)
		}
	}
}

// Only what changed is stored, and what could not be stored is tried again.
func TestFlush(t *testing.T) {
	store, c := newRows(), &clock{time.Unix(1e9, 0)}
	o := newOne(t, store, 100, time.Minute, time.Second, c.now)
	for i := range flushRows + 10 {
		o.take(fmt.Sprint(i), 1)
	}
	o.flush()
	if store.puts != flushRows+10 {
		t.Errorf("%d counts were stored", store.puts)
	}
	o.flush()
	o.take("1", 1)
	o.take("1", 1)
	c.t = c.t.Add(time.Second)
	o.take("1", 1)
	store.fail(errors.New("disk full"))
	if err := o.Flush(t.Context()); err == nil {
		t.Error("no error")
	}
	o.take("2", 200)
	store.fail(nil)
	o.flush()
	o.flush()
	if store.puts != flushRows+12 {
		t.Errorf("%d counts were stored, want two more", store.puts)
	}
	key := [2]string{o.l.name, "1"}
	if got := store.m[key]; len(got) != 2 || got[1e9].N != 3 || got[1e9+1].N != 1 || !got[1e9].Until.Equal(time.Unix(1e9+60, 0)) {
		t.Errorf("stored are %v", got)
	}
	c.t = c.t.Add(59 * time.Second)
	if err := o.forget(t.Context()); err != nil || len(store.m) != 1 {
		t.Errorf("%v, %d keys are kept", err, len(store.m))
	}
}

// Keys that are put out of memory come back with their counts, also those that
// are not stored so far.
func TestKeysPutOut(t *testing.T) {
	store, c := newRows(), &clock{time.Unix(1e9, 0)}
	o := newOne(t, store, 1, time.Hour, 0, c.now)
	c.t = c.t.Add(2 * time.Hour) // from now on memory is complete
	o.take("stored", 1)
	o.flush()
	o.take("waiting", 1)
	for i := range maxKeys*2 + 10 {
		o.take(fmt.Sprint(i), 1)
	}
	if tb := o.l.table; len(tb.young)+len(tb.old) > 2*maxKeys {
		t.Errorf("%d keys are in memory", len(tb.young)+len(tb.old))
	}
	if o.take("stored", 1) || o.take("waiting", 1) {
		t.Error("a key that was put out may pass again")
	}
	store.fail(errors.New("gone"))
	list := []Charge{{Limit: o.l, Key: "unknown", N: 1}}
	if err := o.Take(t.Context(), list); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("a store that cannot be read: %v", err)
	}
}

// Limits share counters when name, window and step are the same; the limit is
// each one's own.
func TestShared(t *testing.T) {
	c := NewCounters(nil, nil, nil)
	a, _ := c.Limit("n", Rule{5, time.Hour, 0})
	b, shared := c.Limit("n", Rule{3, time.Hour, time.Hour})
	if !shared {
		t.Error("not shared")
	}
	for name, r := range map[string]Rule{"m": {5, time.Hour, 0}, "n": {5, time.Hour, time.Minute}} {
		if _, shared := c.Limit(name, r); shared {
			t.Errorf("%s %v is shared", name, r)
		}
	}
	list := []Charge{{Limit: a, Key: "k", N: 2}, {Limit: b, Key: "k", N: 2}, {Limit: b, Key: "k", N: 1}, {Limit: a, Key: "k", N: 2}}
	if err := c.Take(t.Context(), list); err != nil || !list[0].Within || list[1].Within || !list[2].Within || !list[3].Within {
		t.Errorf("%v %+v", err, list)
	}
}

// What was written while the clock was wrong locks nobody out.
func TestClockWasWrong(t *testing.T) {
	store, c := newRows(), &clock{time.Unix(2e9, 0)}
	newOne(t, store, 1, time.Hour, time.Minute, c.now).take("k", 1)
	o := newOne(t, store, 1, time.Hour, time.Minute, c.now)
	o.take("k", 1)
	o.flush()
	c.t = time.Unix(1e9, 0)
	for _, load := range []bool{true, false} {
		again := newOne(t, store, 1, time.Hour, time.Minute, c.now)
		if load {
			if err := again.Load(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if !again.take("k", 1) {
			t.Errorf("load %t: a count of the future counts", load)
		}
	}
}

// Run stores at short intervals, soon when there is much, and at the end.
func TestRun(t *testing.T) {
	store := newRows()
	store.put = make(chan struct{}, 1)
	var log strings.Builder
	o := newOne(t, store, math.MaxInt64, time.Hour, 0, nil)
	o.log = slog.New(slog.NewTextHandler(&log, nil))
	o.take("k", 1)
	store.err = errors.New("disk full")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	<-store.put // by the clock
	store.fail(nil)
	<-store.put // again
	for i := range flushKeys + 2 {
		o.take(fmt.Sprint(i), 1)
	}
	<-store.put // as they are many
	o.take("last", 1)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(store.m) != flushKeys+4 {
		t.Errorf("%d keys are stored", len(store.m))
	}
	if strings.Count(log.String(), "disk full") != 1 {
		t.Errorf("the log has %q", log.String())
	}
	if err := NewCounters(nil, nil, nil).Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestLoadFails(t *testing.T) {
	store := newRows()
	o := newOne(t, store, 1, time.Hour, 0, nil)
	store.fail(errors.New("gone"))
	if err := o.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("got %v", err)
	}
}

func TestConcurrentFlush(t *testing.T) {
	store := newRows()
	o := newOne(t, store, math.MaxInt64, time.Hour, time.Minute, nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2000 {
				o.take(fmt.Sprint(i%50), 1)
			}
		})
	}
	for range 20 {
		o.flush()
	}
	wg.Wait()
	o.flush()
	sum := int64(0)
	for _, buckets := range store.m {
		for _, c := range buckets {
			sum += c.N
		}
	}
	if sum != 8000 {
		t.Errorf("%d are stored, want 8000", sum)
	}
}

func BenchmarkTakeStored(b *testing.B) {
	o := newOne(b, newRows(), math.MaxInt64, time.Hour, time.Minute, nil)
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	for b.Loop() {
		o.take("somebody@example.com", 1)
	}
	stop()
	<-done
}
