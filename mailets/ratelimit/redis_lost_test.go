package ratelimit

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// mute is a way to a Redis server that loses all answers once a script was called.
type mute struct {
	addr  string
	calls atomic.Int32
}

func newMute(t *testing.T, server string) *mute {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mute{addr: l.Addr().String()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	keep := func(c net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		open = append(open, c)
	}
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			keep(client)
			redis, err := net.Dial("tcp", server)
			if err != nil {
				t.Error(err)
				return
			}
			keep(redis)
			var lost atomic.Bool
			wg.Go(func() { m.forward(client, redis, &lost) })
			wg.Go(func() {
				b := make([]byte, 4096)
				for {
					n, err := redis.Read(b)
					if err != nil {
						return
					}
					if !lost.Load() {
						_, _ = client.Write(b[:n])
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return m
}

func (m *mute) forward(client io.Reader, redis io.Writer, lost *atomic.Bool) {
	b := make([]byte, 4096)
	for {
		n, err := client.Read(b)
		if err != nil {
			return
		}
		if c := bytes.Count(bytes.ToLower(b[:n]), []byte("evalsha")); c > 0 {
			lost.Store(true)
			m.calls.Add(int32(c))
		}
		_, _ = redis.Write(b[:n])
	}
}

// A charge whose answer is lost is not made again and again: that would use up the
// limit while Redis is slow. And it does not hold up the mail for long.
func TestRedisAnswerLost(t *testing.T) {
	server := miniredis.RunT(t)
	direct := connect(t, RedisConfig{Addrs: []string{server.Addr()}})
	l, _ := direct.Limit("n", Rule{10, time.Hour, 0})
	redisTake(t, direct, l, "k", 1) // the script is known from now on
	way := newMute(t, server.Addr())
	r := connect(t, RedisConfig{Addrs: []string{way.addr}, Timeout: 100 * time.Millisecond})
	start := time.Now()
	if err := r.Take(t.Context(), []Charge{{Limit: l, Key: "k", N: 1}}); err == nil {
		t.Fatal("a lost answer is no error")
	}
	if n := way.calls.Load(); n != 1 {
		t.Errorf("the charge was made %d times, in %s; want once", n, time.Since(start))
	}
	if !redisTake(t, direct, l, "k", 8) || redisTake(t, direct, l, "k", 1) {
		t.Error("the limit is not used up by 1, 1 and 8")
	}
}

// Connections that broke when Redis was started again cost no mail.
func TestRedisStartedAgain(t *testing.T) {
	m := miniredis.RunT(t)
	r := connect(t, RedisConfig{Addrs: []string{m.Addr()}, Timeout: 5 * time.Second})
	l, _ := r.Limit("n", Rule{10, time.Hour, 0})
	for range 5 {
		redisTake(t, r, l, "k", 1)
		m.Close()
		if err := m.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	if !redisTake(t, r, l, "k", 5) || redisTake(t, r, l, "k", 1) {
		t.Error("what was counted before is not what counts")
	}
}
