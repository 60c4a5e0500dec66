package server

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

// reconnect dials until the server lets one in again, as it does a moment after
// another connection has ended.
func (h *harness) reconnect() *client {
	h.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		c := h.dial()
		if s, err := c.br.ReadString('\n'); err == nil {
			if !strings.HasPrefix(s, "220 ") {
				h.t.Fatalf("banner %q", s)
			}
			return c
		}
		if time.Now().After(deadline) {
			h.t.Fatal("the server lets nobody in")
		}
	}
}

func TestConnectionLimits(t *testing.T) {
	for _, limit := range []string{"<connectionLimit> 1 </connectionLimit>", "<connectionLimitPerIP>1</connectionLimitPerIP>"} {
		t.Run(limit, func(t *testing.T) {
			h := start(t, limit)
			first := h.dial()
			first.expect("220 ...")
			h.dial().eof()
			first.send("QUIT\r\n")
			first.expect("221 ...")
			first.eof()
			h.reconnect()
		})
	}
}

const proxyRequired = `<proxyRequired>true</proxyRequired><authorizedAddresses>192.0.2.0/24</authorizedAddresses>`

func proxyV2(command, family byte, src string) string {
	b := []byte("\r\n\r\n\x00\r\nQUIT\n")
	b = append(b, 0x20|command, family)
	ip := net.ParseIP(src)
	addr := ip.To16()
	if family == 0x11 {
		addr = ip.To4()
	}
	payload := append(append(append([]byte{}, addr...), addr...), 0, 1, 0, 2)
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	return string(append(b, payload...))
}

func TestProxy(t *testing.T) {
	for _, tc := range []struct{ name, header, ip string }{
		{"v1 TCP4", "PROXY TCP4 192.0.2.1 198.51.100.1 1234 25\r\n", "192.0.2.1"},
		{"v1 TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 1234 25\r\n", "2001:db8::1"},
		{"v2 TCP4", proxyV2(1, 0x11, "192.0.2.1"), "192.0.2.1"},
		{"v2 TCP6", proxyV2(1, 0x21, "2001:db8::1"), "2001:db8::1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, proxyRequired)
			c := h.dial()
			c.expect("220 ...") // before the header, as in James
			c.send(tc.header + "EHLO client.test\r\n")
			c.expect("250-mx.here.test Hello client.test [" + tc.ip + "])")
		})
	}
	for _, tc := range []struct{ name, header string }{
		{"no header", "EHLO client.test\r\n"},
		{"UNKNOWN", "PROXY UNKNOWN\r\n"},
		{"v2 LOCAL", proxyV2(0, 0x11, "192.0.2.1")},
		{"v2 UDP", proxyV2(1, 0x12, "192.0.2.1")},
		{"rubbish", "PROXY TCP4 x y z\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, proxyRequired)
			c := h.dial()
			c.expect("220 ...")
			c.send(tc.header + "NOOP\r\n")
			c.expect("451 Unable to process request")
			c.eof()
		})
	}
}

// TestProxyConnectionLimit: behind a proxy each client has its own number of
// connections, and the proxy as many as it needs.
func TestProxyConnectionLimit(t *testing.T) {
	h := start(t, "<proxyRequired>true</proxyRequired><connectionLimitPerIP>2</connectionLimitPerIP>")
	from := func(ip, reply string) *client {
		c := h.dial()
		c.send("PROXY TCP4 " + ip + " 198.51.100.1 1234 25\r\nHELO x\r\n")
		c.expect("220 ...", reply)
		return c
	}
	first := from("192.0.2.1", "250 ...")
	from("192.0.2.1", "250 ...")
	from("192.0.2.2", "250 ...")
	from("192.0.2.1", "421 4.7.0 Too many connections from your address, try again later").eof()
	first.send("QUIT\r\n")
	first.expect("221 ...")
	first.eof()
	for deadline := time.Now().Add(patience); ; {
		c := h.dial()
		c.send("PROXY TCP4 192.0.2.1 198.51.100.1 1234 25\r\nHELO x\r\n")
		c.expect("220 ...")
		if strings.HasPrefix(c.line(), "250 ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the place is not free again")
		}
	}
	h.stop()
	h.wait()
	if n := len(h.endpoints[0].tally.perIP); n != 0 || h.endpoints[0].tally.total != 0 {
		t.Errorf("%d addresses and %d connections are counted at the end", n, h.endpoints[0].tally.total)
	}
}

func TestProxyRelaying(t *testing.T) {
	h := start(t, proxyRequired)
	for ip, want := range map[string]string{"192.0.2.1": "client.example.org", "192.0.2.2": "192.0.2.2"} {
		c := h.dial()
		c.send("PROXY TCP4 " + ip + " 198.51.100.1 1234 25\r\nHELO x\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<x@other.test>\r\nDATA\r\n.\r\n")
		c.expect("220 ...", "250 ...", "250 ...", "250 ...", "354 ...", "250 ...")
		mails := h.queue.all()
		m := mails[len(mails)-1]
		header, _ := content(t, m)
		if m.RemoteHost != want || m.RemoteAddr != ip || !strings.HasPrefix(header, "Received: from "+want+" (HELO x) (["+ip+"])\r\n") {
			t.Errorf("%s: remote host %q address %q, header %q", ip, m.RemoteHost, m.RemoteAddr, header)
		}
		if ok, _ := m.Attributes.Bool(container.AttrSMTPIsAuthNetwork); !ok {
			t.Errorf("%s may not relay", ip)
		}
	}
}

func TestProxyAndTLS(t *testing.T) {
	dir := t.TempDir()
	const header = "PROXY TCP4 192.0.2.1 198.51.100.1 1234 25\r\n"
	t.Run("outside", func(t *testing.T) {
		h := start(t, proxyRequired+tlsXML(t, dir, "socketTLS"))
		c := h.dial()
		c.send(header)
		c.startTLS(trust(t, dir+"/cert.pem"))
		c.talk("S: 220 ...\nC: HELO x\nS: 250 mx.here.test Hello x [192.0.2.1])")
	})
	t.Run("inside", func(t *testing.T) {
		h := start(t, proxyRequired+"<proxyFirst>false</proxyFirst>"+tlsXML(t, dir, "socketTLS"))
		c := h.dial()
		c.startTLS(trust(t, dir+"/cert.pem"))
		c.send(header)
		c.talk("S: 220 ...\nC: HELO x\nS: 250 mx.here.test Hello x [192.0.2.1])")
	})
}

// TestIdle: with a limit of a second, silence closes without a word wherever it
// falls, and what was begun is not carried out.
func TestIdle(t *testing.T) {
	for _, tc := range []struct{ name, sent string }{
		{"at the banner", ""},
		{"in a command", "NO"},
		{"in SASL", "AUTH LOGIN\r\n"},
		{"in DATA", envelope + "To: x\r\n\r\nMAIL FROM:<evil@far.test>\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, "<connectiontimeout>1</connectiontimeout>")
			c := h.dial()
			c.send(tc.sent)
			for {
				s, err := c.br.ReadString('\n')
				if err != nil {
					if ne, ok := err.(net.Error); ok && ne.Timeout() {
						t.Fatal("connection stays open")
					}
					break
				}
				if strings.HasPrefix(s, "421") {
					t.Errorf("got %q", s)
				}
			}
			if len(h.queue.all()) > 0 {
				t.Error("a broken off message was stored")
			}
		})
	}
}

// TestSlowSender: the limit is about silence, not about the whole message.
func TestSlowSender(t *testing.T) {
	t.Parallel()
	h := start(t, "<connectiontimeout>4</connectiontimeout>")
	c := h.begin()
	tick := time.NewTicker(1200 * time.Millisecond)
	defer tick.Stop()
	for _, part := range []string{"To: x\r", "\n\r", "\nbody\r\n.", "\r\n"} {
		<-tick.C
		c.send(part)
	}
	c.expect("250 ...")
}

func TestShutdownIdle(t *testing.T) {
	h := start(t, "")
	idle := h.dial()
	idle.expect("220 ...")
	h.stop()
	idle.expect("421 4.3.2 mx.here.test Service not available, closing transmission channel")
	idle.eof()
	h.wait()
	if nc, err := net.Dial("tcp", h.Addrs()[0].String()); err == nil {
		nc.Close()
		t.Error("the port is still open")
	}
}

func TestShutdownFinishesMessage(t *testing.T) {
	h := start(t, "")
	busy, idle := h.begin(), h.dial()
	idle.expect("220 ...")
	h.stop()
	idle.expect("421 ...")
	// More than one read can take in.
	busy.send("To: x\r\n\r\n" + strings.Repeat("body\r\n", 100_000) + ".\r\nNOOP\r\n")
	busy.expect("250 2.6.0 Message received", "421 ...")
	busy.eof()
	h.wait()
	h.one()
}

func TestShutdownWaitsForCommit(t *testing.T) {
	h := start(t, "")
	h.queue.hold, h.queue.entered = make(chan struct{}), make(chan struct{}, 1)
	c := h.begin()
	c.send(".\r\n")
	<-h.queue.entered
	h.stop()
	close(h.queue.hold)
	c.expect("250 2.6.0 Message received", "421 ...")
	h.wait()
}

func TestShutdownGraceEnds(t *testing.T) {
	h := startWith(t, "", nil, Options{Grace: 50 * time.Millisecond})
	c := h.begin()
	c.send("To: x\r\n")
	h.stop()
	c.eof()
	h.wait()
	if len(h.queue.all()) > 0 {
		t.Error("half a message was stored")
	}
}

func TestClose(t *testing.T) {
	h := start(t, "")
	c := h.begin()
	h.stop()
	h.Close()
	c.eof()
	h.wait()
}

func TestConnectionsAndDisconnect(t *testing.T) {
	h := start(t, "<jmxName>submission</jmxName>")
	bob, other := h.dial(), h.dial()
	bob.send("AUTH PLAIN AGJvYkBoZXJlLnRlc3QAc2VjcmV0\r\n")
	bob.expect("220 ...", "235 ...")
	other.expect("220 ...")
	if n := len(h.Connections()); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	n := h.Disconnect(func(i ConnInfo) bool { return i.User == "bob@here.test" && i.Server == "submission" && !i.Encrypted })
	if n != 1 {
		t.Errorf("%d disconnected, want 1", n)
	}
	bob.eof()
	other.talk("C: NOOP\nS: 250 ...")
}

func TestListenFails(t *testing.T) {
	taken := start(t, "")
	h, r := build(t, strings.ReplaceAll(smtpserverXML(""), "127.0.0.1:0", "127.0.0.1:0,"+taken.Addrs()[0].String()), nil, Options{})
	if r.HasErrors() {
		t.Fatal(r.Problems())
	}
	if err := h.Listen(context.Background()); err == nil {
		t.Fatal("the port is taken, and Listen does not say so")
	}
	if nc, err := net.Dial("tcp", h.Addrs()[0].String()); err == nil {
		nc.Close()
		t.Error("the other port stays open")
	}
}

func TestRunWithoutServers(t *testing.T) {
	h, _ := build(t, "<smtpservers/>", nil, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Run(ctx); err != nil {
		t.Error(err)
	}
}

// The parameters of recipients are kept in memory, so they are bounded too: one
// valid recipient given again and again must not fill it.
func TestRecipientsHaveBoundedSize(t *testing.T) {
	h := start(t, dsnHooks)
	c := h.dial()
	c.expect("220 ...")
	c.send("HELO client.test\r\nMAIL FROM:<a@far.test>\r\n")
	c.expect("250 ...", "250 ...")
	rcpt := "RCPT TO:<bob@here.test> ORCPT=rfc822;" + strings.Repeat("x", 8000) + "\r\n"
	accepted := 0
	for {
		c.send(rcpt)
		reply := c.line()
		if strings.HasPrefix(reply, "452 4.5.3 ") {
			break
		}
		if accepted++; !strings.HasPrefix(reply, "250 ") || accepted*len(rcpt) > 2*maxRecipientOctets {
			t.Fatalf("recipient %d: %s", accepted, reply)
		}
	}
	if accepted < 100 {
		t.Errorf("only %d recipients", accepted)
	}
	// What was accepted counts, and the next transaction begins anew.
	c.send("DATA\r\n")
	c.expect("354 ...")
	c.send("Subject: x\r\n\r\n.\r\nMAIL FROM:<a@far.test>\r\n" + rcpt)
	c.expect("250 ...", "250 ...", "250 ...")
	if n := len(h.one().Recipients); n != accepted {
		t.Errorf("the mail has %d recipients, %d were accepted", n, accepted)
	}
}
