package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

var benchMessage = "From: a@far.test\r\nTo: bob@here.test\r\nSubject: bench\r\nMessage-ID: <x@far.test>\r\n\r\n" +
	strings.Repeat(strings.Repeat("0123456789", 7)+"12345678\r\n", 128) + ".\r\n"

// BenchmarkAccept measures accepted mails of 10 kB over 20 connections on
// loopback; the queue drops everything. Beside it stands a server of go-smtp that
// drops everything, too, and asks nobody anything.
func BenchmarkAccept(b *testing.B) {
	b.Run("mailetd", func(b *testing.B) {
		h := start(b, dsnHooks)
		h.queue.drop = true
		benchAccept(b, h.Addrs()[0].String())
	})
	b.Run("go-smtp", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return dropSession{}, nil }))
		s.Domain = "mx.here.test"
		ended := make(chan error)
		go func() { ended <- s.Serve(l) }()
		b.Cleanup(func() {
			_ = s.Close() // ends Serve, which tells
			if err := <-ended; err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				b.Error(err)
			}
		})
		benchAccept(b, l.Addr().String())
	})
}

// dropSession takes everything and keeps nothing.
type dropSession struct{}

func (dropSession) Reset()                               {}
func (dropSession) Logout() error                        { return nil }
func (dropSession) Mail(string, *smtp.MailOptions) error { return nil }
func (dropSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (dropSession) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func benchAccept(b *testing.B, addr string) {
	work := make(chan struct{})
	done := make(chan error)
	const sessions = 20
	for range sessions {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		c := newClient(b, nc)
		if err := c.nc.SetDeadline(time.Now().Add(10 * time.Minute)); err != nil {
			b.Fatal(err)
		}
		c.expect("220 ...")
		c.send("EHLO bench.test\r\n")
		for !strings.HasPrefix(c.line(), "250 ") {
		}
		go func() { done <- c.sendAll(work) }()
	}
	b.SetBytes(int64(len(benchMessage)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	for range sessions {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

// sendAll sends one mail per element of work, two packets each.
func (c *client) sendAll(work <-chan struct{}) error {
	head := []byte("MAIL FROM:<a@far.test>\r\nRCPT TO:<bob@here.test>\r\nDATA\r\n")
	body := []byte(benchMessage)
	for range work {
		if _, err := c.nc.Write(head); err != nil {
			return err
		}
		for i := range 4 {
			if i == 3 {
				if _, err := c.nc.Write(body); err != nil {
					return err
				}
			}
			line, err := c.br.ReadSlice('\n')
			if err != nil {
				return err
			}
			if line[0] != '2' && line[0] != '3' {
				return fmt.Errorf("reply %q", line)
			}
		}
	}
	return nil
}
