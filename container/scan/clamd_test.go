package scan

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

func TestClamd(t *testing.T) {
	large := strings.Repeat("All work and no play.\r\n", 20000)
	for _, tc := range []struct {
		name, body, answer, found, err string
		buffer                         int
	}{
		{name: "clean", body: "hi\r\n", answer: "stream: OK\x00"},
		{name: "clean, large", body: large, answer: "stream: OK\x00"},
		{name: "clean, odd buffer", body: large, answer: "stream: OK\x00", buffer: 7},
		{name: "empty", answer: "stream: OK\x00"},
		{name: "found", body: "x", answer: "stream: Win.Test.EICAR_HDB-1 FOUND\x00", found: "Win.Test.EICAR_HDB-1"},
		{name: "found, no name", body: "x", answer: "stream: FOUND\x00", found: "unknown"},
		{name: "end instead of NUL", body: "x", answer: "stream: OK"},
		{name: "line end", body: "x", answer: "stream: OK\n\x00"},
		{name: "error", body: "x", answer: "INSTREAM size limit exceeded. ERROR\x00", err: "size limit exceeded"},
		{name: "other error", body: "x", answer: "stream: Can't allocate memory ERROR\x00", err: "Can't allocate memory"},
		{name: "nonsense", body: "x", answer: "\x01\x02hello\r\nX: y\x00", err: `answers "hello X: y"`},
		{name: "nothing", body: "x", err: "unexpected EOF"},
		{name: "endless", body: "x", answer: strings.Repeat("x", 2*maxAnswer), err: "EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := make(chan string, 1)
			d := &Clamd{peer(t, 5*time.Second, func(c net.Conn) {
				s, err := readInstream(bufio.NewReader(c))
				if err != nil {
					t.Error(err)
				}
				got <- s
				_, _ = io.WriteString(c, tc.answer)
			}), tc.buffer}
			found, err := d.Scan(t.Context(), message(tc.body))
			if found != tc.found || (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %q, %v", found, err)
			}
			if s := <-got; s != "Subject: x\r\n\r\n"+tc.body {
				t.Errorf("the daemon got %d octets", len(s))
			}
		})
	}
}

func TestClamdTrouble(t *testing.T) {
	huge := container.NewMessage(nil, container.BytesBody(strings.Repeat("x", 32<<20)))
	t.Run("hangs", func(t *testing.T) {
		d := &Clamd{peer(t, 50*time.Millisecond, hang), 0}
		if _, err := d.Scan(t.Context(), message("x")); err == nil || !strings.Contains(err.Error(), "timeout") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("does not read", func(t *testing.T) {
		stop := make(chan struct{})
		d := &Clamd{peer(t, 50*time.Millisecond, func(net.Conn) { <-stop }), 0}
		t.Cleanup(func() { close(stop) })
		if _, err := d.Scan(t.Context(), &huge); err == nil || !strings.Contains(err.Error(), "timeout") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("answers early", func(t *testing.T) {
		d := &Clamd{peer(t, 5*time.Second, func(c net.Conn) {
			_, _ = io.CopyN(io.Discard, c, 1<<20)
			_, _ = io.WriteString(c, "INSTREAM size limit exceeded. ERROR\x00")
			_ = c.(*net.TCPConn).CloseWrite()
			hang(c)
		}), 0}
		if _, err := d.Scan(t.Context(), &huge); err == nil || !strings.Contains(err.Error(), "size limit exceeded") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("refuses", func(t *testing.T) {
		d := &Clamd{refused(t), 0}
		if _, err := d.Scan(t.Context(), message("x")); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("answer in drops", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		d := &Clamd{peer(t, 100*time.Millisecond, func(c net.Conn) {
			_, _ = readInstream(bufio.NewReader(c))
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
			}
		}), 0}
		if _, err := d.Scan(ctx, message("x")); err == nil || ctx.Err() != nil {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("disk", func(t *testing.T) {
		d := &Clamd{peer(t, 5*time.Second, hang), 0}
		m := container.NewMessage(nil, broken{})
		if _, err := d.Scan(t.Context(), &m); err == nil || !strings.Contains(err.Error(), "disk on fire") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("shutdown", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		d := &Clamd{peer(t, time.Hour, func(c net.Conn) {
			_, _ = readInstream(bufio.NewReader(c))
			cancel()
			hang(c)
		}), 0}
		if _, err := d.Scan(ctx, message("x")); err == nil {
			t.Error("no error")
		}
	})
	t.Run("unknown host", func(t *testing.T) {
		d := &Clamd{Server{Host: "a host that is none", Port: 1, Step: time.Second}, 0}
		if _, err := d.Scan(t.Context(), message("x")); err == nil || !strings.Contains(err.Error(), "look up") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestClamdPing(t *testing.T) {
	for answer, ok := range map[string]bool{"PONG\x00": true, "UNKNOWN COMMAND\x00": false, "": false} {
		d := &Clamd{peer(t, 5*time.Second, func(c net.Conn) {
			if cmd, _ := bufio.NewReader(c).ReadString(0); cmd != "zPING\x00" {
				t.Errorf("command is %q", cmd)
			}
			_, _ = io.WriteString(c, answer)
		}), 0}
		if err := d.Ping(t.Context()); (err == nil) != ok {
			t.Errorf("%q: %v", answer, err)
		}
	}
}
