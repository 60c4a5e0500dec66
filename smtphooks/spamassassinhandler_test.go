package smtphooks

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// TestSpamAssassinTakesTooLong: a daemon that makes some progress all the time must
// not keep the client waiting until it gives up, and sends the message again.
func TestSpamAssassinTakesTooLong(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.Close()
	wg.Go(func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			_, _ = io.Copy(io.Discard, c) // until the other side closes
			c.Close()
		}
	})
	for onFailure, refuses := range map[string]bool{"accept": false, "defer": true} {
		r := &conf.Report{}
		xml := fmt.Sprintf("<handler><spamdHost>127.0.0.1</spamdHost><spamdPort>%d</spamdPort><timeout>1 hour</timeout><onFailure>%s</onFailure></handler>",
			l.Addr().(*net.TCPAddr).Port, onFailure)
		h := newSpamAssassin(conf.ParseParams(xml, r), Services{Log: slog.New(slog.DiscardHandler)}).(*SpamAssassinHandler)
		if r.HasErrors() || h.patience > 8*time.Minute {
			t.Fatal(r.Problems(), h.patience)
		}
		h.patience = 20 * time.Millisecond
		m := container.NewMail(container.Address{}, nil, container.NewMessage([]byte("Subject: x\r\n"), container.BytesBody("hello\r\n")))
		if d := h.Message(t.Context(), NewSession("x", netip.MustParseAddr("192.0.2.1"), nil), m); d.Refuses() != refuses {
			t.Errorf("%s: %+v", onFailure, d)
		}
	}
}
