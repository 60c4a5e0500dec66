package ratelimit

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

func redisTake(t *testing.T, r *Redis, l *Limit, key string, n int64) bool {
	t.Helper()
	list := []Charge{{Limit: l, Key: key, N: n}}
	if err := r.Take(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	return list[0].Within
}

func connect(t *testing.T, c RedisConfig) *Redis {
	t.Helper()
	r := NewRedis(c)
	t.Cleanup(func() { r.Close() })
	return r
}

// Both backends decide alike, whatever the windows are.
func TestRedisWindows(t *testing.T) {
	m := miniredis.RunT(t)
	r := connect(t, RedisConfig{Addrs: []string{m.Addr()}})
	for name, rule := range map[string]Rule{
		"fixed": {3, 10 * time.Second, 0}, "sliding": {3, 10 * time.Second, time.Second}, "no divisor": {5, 10 * time.Second, 4 * time.Second},
		"fine": {4, 24 * time.Hour, time.Millisecond},
	} {
		c := &clock{time.Unix(1e9, 5e8)}
		m.SetTime(c.t)
		memory := NewCounters(nil, nil, c.now)
		in, _ := r.Limit(name, rule)
		at, _ := memory.Limit(name, rule)
		for i := range 60 {
			c.t = c.t.Add(rule.Duration / 17)
			m.SetTime(c.t)
			list := []Charge{{Limit: at, Key: "k", N: int64(i % 4)}}
			if err := memory.Take(t.Context(), list); err != nil {
				t.Fatal(err)
			}
			if got := redisTake(t, r, in, "k", int64(i%4)); got != list[0].Within {
				t.Fatalf("%s, step %d: Redis says %t, memory %t", name, i, got, list[0].Within)
			}
		}
		if ttl := m.TTL(redisPrefix + in.name + "/k"); ttl <= 0 || ttl > 2*rule.Duration+rule.Duration/2 {
			t.Errorf("%s: the key is kept for %v", name, ttl)
		}
	}
}

// Two machines have one allowance, and a server that lost its scripts gets them
// again.
func TestRedisShared(t *testing.T) {
	m := miniredis.RunT(t)
	a, b := connect(t, RedisConfig{Addrs: []string{m.Addr()}}), connect(t, RedisConfig{Addrs: []string{m.Addr()}})
	checkShared(t, a, b)
	list := make([]Charge, 3)
	l, _ := a.Limit("m", Rule{1 << 62, time.Hour, 0})
	for i, n := range []int64{1 << 40, 0, 1 << 40} {
		list[i] = Charge{Limit: l, Key: "k", N: n}
	}
	if err := a.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	m.FlushAll()
	if err := a.Take(t.Context(), list); err != nil || !list[0].Within || !list[1].Within || !list[2].Within {
		t.Errorf("%v %+v", err, list)
	}
	if got := m.HGet(redisPrefix+l.name+"/k", mustKeys(t, m, redisPrefix+l.name+"/k")[0]); got != "2199023255552" {
		t.Errorf("the sum is %s", got)
	}
}

func mustKeys(t *testing.T, m *miniredis.Miniredis, key string) []string {
	t.Helper()
	keys, err := m.HKeys(key)
	if err != nil || len(keys) == 0 {
		t.Fatal(keys, err)
	}
	return keys
}

// checkShared lets two machines take at once.
func checkShared(t *testing.T, a, b *Redis) {
	t.Helper()
	var passed atomic.Int64
	var wg sync.WaitGroup
	for _, r := range []*Redis{a, b, a, b} {
		l, _ := r.Limit("n", Rule{100, 24 * time.Hour, time.Hour})
		wg.Go(func() {
			for range 20 {
				list := []Charge{{Limit: l, Key: "k", N: 1}, {Limit: l, Key: "k", N: 1}, {Limit: l, Key: "k", N: 101}}
				if err := r.Take(context.Background(), list); err != nil || list[2].Within {
					t.Errorf("%v %+v", err, list)
				}
				for _, c := range list {
					if c.Within {
						passed.Add(1)
					}
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 100 {
		t.Errorf("%d passed, want 100", passed.Load())
	}
}

// A server that does not answer is an error in time; one that is a replica by
// now, or gone, is passed over for the master.
func TestRedisFails(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	r := connect(t, RedisConfig{Addrs: []string{silent.Addr().String()}})
	l, _ := r.Limit("n", Rule{1, time.Hour, 0})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Take(ctx, []Charge{{Limit: l, Key: "k", N: 1}}); err == nil {
		t.Error("a server that does not answer is no error")
	} else if !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout") {
		t.Errorf("got %v", err)
	}

	m := miniredis.RunT(t)
	m.SetError("READONLY You can't write against a read only replica.")
	master := miniredis.RunT(t)
	both := connect(t, RedisConfig{Topology: "master-replica", Addrs: []string{m.Addr(), master.Addr()}})
	l, _ = both.Limit("n", Rule{1, time.Hour, 0})
	if !redisTake(t, both, l, "k", 1) || redisTake(t, both, l, "k", 1) || both.at.Load() != 1 {
		t.Errorf("the master is not found: %d", both.at.Load())
	}
	master.SetError("OOM command not allowed")
	if err := both.Take(t.Context(), []Charge{{Limit: l, Key: "k", N: 1}}); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("got %v", err)
	}
}

func TestRedisLogin(t *testing.T) {
	m := miniredis.RunT(t)
	m.RequireUserAuth("me", "secret")
	good := connect(t, RedisConfig{Addrs: []string{m.Addr()}, Username: "me", Password: "secret", DB: 3, Timeout: 5 * time.Second})
	l, _ := good.Limit("n", Rule{1, time.Hour, 0})
	redisTake(t, good, l, "k", 1)
	if keys := m.DB(3).Keys(); len(keys) != 1 {
		t.Errorf("database 3 has %v", keys)
	}
	bad := connect(t, RedisConfig{Addrs: []string{m.Addr()}, Password: "wrong"})
	if err := bad.Take(t.Context(), []Charge{{Limit: l, Key: "k", N: 1}}); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("got %v", err)
	}
}

// TestRedisServer asks a real Redis, where there is one.
func TestRedisServer(t *testing.T) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return // miniredis is all there is without it
	}
	socket := filepath.Join(t.TempDir(), "s")
	cmd := exec.Command(program, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", filepath.Dir(socket))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); _ = cmd.Wait() })
	a, b := connect(t, RedisConfig{Addrs: []string{socket}}), connect(t, RedisConfig{Addrs: []string{socket}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for a.Ping(ctx) != nil && ctx.Err() == nil { // each try waits for a while itself
	}
	checkShared(t, a, b)
	l, _ := a.Limit("fine", Rule{1 << 40, 24 * time.Hour, time.Millisecond})
	if !redisTake(t, a, l, "k", 1<<39) || !redisTake(t, b, l, "k", 1<<39) || redisTake(t, a, l, "k", 1) {
		t.Error("a real Redis counts otherwise")
	}
}

func BenchmarkRedis(b *testing.B) {
	m := miniredis.RunT(b)
	r := NewRedis(RedisConfig{Addrs: []string{m.Addr()}})
	defer r.Close()
	l, _ := r.Limit("n", Rule{1 << 50, time.Hour, time.Minute})
	list := []Charge{{Limit: l, Key: "somebody@example.com", N: 1}}
	for b.Loop() {
		if err := r.Take(b.Context(), list); err != nil {
			b.Fatal(err)
		}
	}
}
