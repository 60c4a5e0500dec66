package ratelimit

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// one is a backend with one limit.
type one struct {
	*Counters
	l *Limit
	t testing.TB
}

func newOne(t testing.TB, store local.RateStorage, limit int64, duration, precision time.Duration, now func() time.Time) one {
	c := NewCounters(store, nil, now)
	l, shared := c.Limit("x", Rule{limit, duration, precision})
	if shared {
		t.Error("the first limit is shared")
	}
	return one{c, l, t}
}

func (o one) take(key string, n int64) bool {
	list := [1]Charge{{Limit: o.l, Key: key, N: n}}
	if err := o.Take(context.Background(), list[:]); err != nil {
		o.t.Error(err)
	}
	return list[0].Within
}

func TestTake(t *testing.T) {
	type step struct {
		at   time.Duration
		n    int64
		want bool
	}
	const s = time.Second
	for _, tc := range []struct {
		name                string
		limit               int64
		duration, precision time.Duration
		steps               []step
	}{
		{"fixed", 2, 10 * s, 0, []step{{0, 1, true}, {9 * s, 1, true}, {9 * s, 1, false}, {10 * s, 2, true}, {11 * s, 1, false}}},
		{"sliding", 2, 10 * s, s, []step{{0, 1, true}, {9 * s, 1, true}, {9 * s, 1, false}, {10 * s, 1, true}, {10 * s, 1, false}, {19 * s, 1, true}, {19 * s, 1, false}}},
		{"precision longer than the window", 1, s, 10 * s, []step{{0, 1, true}, {0, 1, false}, {s, 1, true}}},
		{"not a divisor", 1, 10 * s, 4 * s, []step{{0, 1, true}, {10 * s, 1, false}, {12 * s, 1, true}}},
		{"refused is not charged", 10, 10 * s, 0, []step{{0, 8, true}, {0, 3, false}, {0, 2, true}, {0, 1, false}}},
		{"too large at all", 10, 10 * s, 0, []step{{0, 11, false}, {0, 10, true}}},
		{"nothing", 1, s, 0, []step{{0, 0, true}, {0, -5, true}, {0, 1, true}, {0, 0, true}, {0, 1, false}}},
		{"overflow", math.MaxInt64, s, 0, []step{{0, math.MaxInt64, true}, {0, math.MaxInt64, false}, {0, 1, false}, {s, 1, true}}},
		{"the clock goes back", 2, 10 * s, s, []step{{5 * s, 1, true}, {0, 1, true}, {0, 1, false}, {14 * s, 1, false}, {15 * s, 2, true}}},
		{"a precision of nothing", 2, 24 * time.Hour, 1, []step{{0, 1, true}, {time.Hour, 1, true}, {23 * time.Hour, 1, false}, {24*time.Hour + 2*time.Minute, 1, true}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &clock{time.Unix(1e9, 0)}
			start := c.t
			l := newOne(t, nil, tc.limit, tc.duration, tc.precision, c.now)
			for i, st := range tc.steps {
				c.t = start.Add(st.at)
				if got := l.take("k", st.n); got != st.want {
					t.Fatalf("step %d %+v: got %t", i, st, got)
				}
			}
			if !l.take("another", 1) {
				t.Error("keys share a counter")
			}
		})
	}
}

// Within any window, less one step, no more than the limit passes; and a key
// that was idle for a window and a step may use all of it.
func FuzzTake(f *testing.F) {
	f.Add(uint64(1), uint8(5), uint8(10), uint8(3))
	f.Fuzz(func(t *testing.T, seed uint64, limit, duration, precision uint8) {
		d := time.Duration(duration)*time.Second + time.Second
		p := time.Duration(precision) * time.Second
		c := &clock{time.Unix(1e9, 0)}
		l := newOne(t, nil, int64(limit)+1, d, p, c.now)
		r := rand.New(rand.NewPCG(seed, 1))
		type taken struct {
			at time.Time
			n  int64
		}
		var log []taken
		for range 300 {
			c.t = c.t.Add(time.Duration(r.IntN(int(d) / 4)))
			n := int64(r.IntN(5))
			if !l.take("k", n) {
				continue
			}
			log = append(log, taken{c.t, n})
			if p == 0 || p >= d {
				continue // fixed windows let twice the limit pass around their edge
			}
			sum := int64(0)
			for _, e := range log {
				if c.t.Sub(e.at) <= d-p {
					sum += e.n
				}
			}
			if sum > int64(limit)+1 {
				t.Fatalf("%d within %v, limit %d", sum, d, limit+1)
			}
		}
		c.t = c.t.Add(d + max(p, d))
		if !l.take("k", int64(limit)+1) {
			t.Error("an idle key is still charged")
		}
	})
}

func TestForgets(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	l := newOne(t, nil, 1, time.Minute, time.Second, c.now)
	for i := range 10000 {
		c.t = c.t.Add(time.Second)
		if !l.take(fmt.Sprint(i), 1) {
			t.Fatal(i)
		}
		if n := len(l.l.table.young) + len(l.l.table.old); n > 130 {
			t.Fatalf("%d keys are remembered of 60 in use", n)
		}
	}
	if l.take("9999", 1) || !l.take("9000", 1) {
		t.Error("the last key is forgotten, or one of long ago is not")
	}
}

func TestManyKeys(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	l := newOne(t, nil, 1, time.Hour, 0, c.now)
	for i := range maxKeys*2 + 10 {
		l.take(fmt.Sprint(i), 1)
	}
	if n := len(l.l.table.young) + len(l.l.table.old); n > 2*maxKeys {
		t.Errorf("%d keys are remembered", n)
	}
}

func TestConcurrent(t *testing.T) {
	l := newOne(t, nil, 1000, time.Hour, time.Minute, nil)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if l.take("k", 1) {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 1000 {
		t.Errorf("%d passed, want 1000", passed.Load())
	}
}

func BenchmarkTake(b *testing.B) {
	l := newOne(b, nil, math.MaxInt64, time.Hour, time.Minute, nil)
	for b.Loop() {
		l.take("somebody@example.com", 1)
	}
}
