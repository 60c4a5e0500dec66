package amqp

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/mailets/amqp/amqptest"
)

// wire stands between client and broker: it passes so many octets each way, then
// nothing, and keeps the connections open.
func wire(t *testing.T, broker string, toBroker, toClient int64) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := []io.Closer{ln}
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", broker)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			open = append(open, c, b)
			mu.Unlock()
			wg.Go(func() { _, _ = io.CopyN(b, c, toBroker) }) // what ends it is told by the test
			wg.Go(func() { _, _ = io.CopyN(c, b, toClient) })
		}
	})
	t.Cleanup(func() {
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}

// TestHangsAnywhere: a broker that falls silent in the middle of a frame, or stops
// to read in the middle of a message, holds nobody up for longer than the timeout.
func TestHangsAnywhere(t *testing.T) {
	const timeout, slack, all = 50 * time.Millisecond, 5 * time.Second, 1 << 40
	large := [][]byte{bytes.Repeat([]byte("x"), 16<<20)}
	for _, tc := range []struct {
		name     string
		messages [][]byte
		each     func(n int64) (toBroker, toClient int64)
		last     int64
	}{
		{"the answer", batch("a"), func(n int64) (int64, int64) { return all, n }, 400},
		{"the question", batch("a"), func(n int64) (int64, int64) { return n, all }, 600},
		{"the message", large, func(n int64) (int64, int64) { return n * 1000, all }, 600},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for n := int64(0); n < tc.last; n += 53 {
				b := amqptest.New(t)
				toBroker, toClient := tc.each(n)
				addr := wire(t, b.Addr(), toBroker, toClient)
				p := publisher(t, func(c *Config) {
					c.Timeout = timeout
					c.URIs = []string{"amqp://" + addr}
				}, b)
				start := time.Now()
				err := p.Publish(t.Context(), tc.messages)
				if took := time.Since(start); took > timeout+slack {
					t.Errorf("after %d octets: %v, %v", n, took, err)
				}
			}
		})
	}
}
