package ldap

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/ldap/ldaptest"
)

// wire stands between client and server: it passes so many octets each way, then
// nothing, and keeps the connections open.
func wire(t *testing.T, server string, toServer, toClient int64) (addr string) {
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
			s, err := net.Dial("tcp", server)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			open = append(open, c, s)
			mu.Unlock()
			wg.Go(func() { _, _ = io.CopyN(s, c, toServer) }) // what ends it is told by the test
			wg.Go(func() { _, _ = io.CopyN(c, s, toClient) })
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

// TestHangsAnywhere: a directory that falls silent in the middle of an answer is an
// error after a while, and never the answer that there is nothing.
func TestHangsAnywhere(t *testing.T) {
	const all = 1 << 40
	ann := container.MustAddress("ann@here.test")
	for _, each := range []func(int64) (toServer, toClient int64){
		func(n int64) (int64, int64) { return all, n },
		func(n int64) (int64, int64) { return n, all },
	} {
		answers := 0
		for n := int64(0); n < 400; n += 31 {
			s := ldaptest.New(t, nil, people...)
			toServer, toClient := each(n)
			set := settings("ldap://" + wire(t, s.Addr(), toServer, toClient))
			set.ReadTimeout, set.ConnectionTimeout = 50*time.Millisecond, 50*time.Millisecond
			start := time.Now()
			got, err := client(t, set).Values(t.Context(), ann, "description")
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("after %d octets: %v, %v", n, took, err)
			}
			switch {
			case err == nil && len(got) != 2:
				t.Errorf("after %d octets: got %q", n, got)
			case err == nil:
				answers++
			}
		}
		if answers == 0 {
			t.Error("no answer at all")
		}
	}
}
