package server

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/conf"
)

func paceOf(idle, commands time.Duration, rate int) pace {
	return newPace(&endpoint{cfg: conf.SMTPServer{IdleTimeout: idle, Limits: conf.SMTPLimits{CommandTime: commands, DataRate: rate}}})
}

// A client that sends one octet every so often is never idle, and comes to an end
// all the same, both with a command and with content.
func TestPaceEndsSlowloris(t *testing.T) {
	const each = 50 * time.Second
	for _, tc := range []struct {
		name    string
		content bool
		within  time.Duration
	}{{"a line without end", false, 5 * time.Minute}, {"content", true, 11 * time.Minute}} {
		p := paceOf(5*time.Minute, time.Hour, 100)
		now, begin := time.Unix(1e9, 0), time.Unix(1e9, 0)
		for {
			end, _ := p.until(now, tc.content)
			if !end.After(now.Add(each)) {
				break
			}
			p.waited(each, 1, tc.content)
			if now = now.Add(each); now.Sub(begin) > tc.within {
				t.Fatalf("%s: still there after %v", tc.name, now.Sub(begin))
			}
		}
	}
}

// Whole commands without end are bounded as well, and an accepted message begins
// a new account.
func TestPaceOfCommands(t *testing.T) {
	p := paceOf(5*time.Minute, time.Hour, 100)
	now := time.Unix(1e9, 0)
	spent := time.Duration(0)
	for ; ; spent += 4 * time.Minute {
		end, slow := p.until(now, false)
		if slow && end.Sub(now) < 4*time.Minute {
			break
		}
		if spent > time.Hour {
			t.Fatal("NOOP goes on for ever")
		}
		p.waited(4*time.Minute, 6, false)
		p.line = time.Time{}
	}
	if spent < 55*time.Minute {
		t.Errorf("ended after %v", spent)
	}
	p.settle()
	if _, slow := p.until(now, false); slow {
		t.Error("a message does not settle the account")
	}
}

// Credit does not grow beyond what there is at first: a burst buys no later rest.
func TestPaceCredit(t *testing.T) {
	p := paceOf(5*time.Minute, 0, 100)
	p.waited(time.Millisecond, 1<<30, true)
	now := time.Unix(1e9, 0)
	if end, _ := p.until(now, true); end.Sub(now) > 5*time.Minute {
		t.Errorf("%v after a gigabyte", end.Sub(now))
	}
	// Who keeps the rate stays: 100 octets a second, in lumps after long silence.
	p = paceOf(5*time.Minute, 0, 100)
	for range 1000 {
		end, slow := p.until(now, true)
		if slow && end.Sub(now) < 4*time.Minute {
			t.Fatal("a client with the demanded rate is ended")
		}
		p.waited(4*time.Minute, 24_000, true)
	}
	// No limits: nothing ends.
	p = paceOf(0, 0, 0)
	p.waited(time.Hour, 0, true)
	p.waited(time.Hour, 0, false)
	for _, content := range []bool{true, false} {
		if end, _ := p.until(now, content); !end.IsZero() {
			t.Errorf("without limits a read ends at %v", end)
		}
	}
}

// Seen from outside: the credit is spent already, so that nobody has to wait.
func TestTooSlow(t *testing.T) {
	for name, tc := range map[string]struct {
		limits, sent string
		replies      []string
	}{
		"commands": {"<limits><commandTime>1</commandTime></limits>", "NOOP\r\nNO", []string{"220 ...", "250 ..."}},
		"sasl":     {"<limits><commandTime>1</commandTime></limits>", "AUTH LOGIN\r\n", []string{"220 ...", "334 ..."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, "<connectiontimeout>60</connectiontimeout>"+tc.limits)
			c := h.dial()
			c.send(tc.sent)
			c.expect(append(tc.replies, "421 4.4.2 mx.here.test Too slow, closing transmission channel")...)
			c.eof()
		})
	}
}

// A message that comes too slowly is broken off with a reply, by DATA and by BDAT,
// and each chunk does not begin a new account.
func TestTooSlowWithContent(t *testing.T) {
	for name, tc := range map[string]struct {
		sent string
		want []string
	}{
		"DATA": {"DATA\r\nSubject: x\r\n", []string{"354 ..."}},
		"BDAT": {"BDAT 1\r\nxBDAT 100 LAST\r\ny", []string{"250 ..."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, "")
			client, server := net.Pipe()
			c := newConn(h.endpoints[0], server, netip.MustParseAddr("192.0.2.1"))
			c.pace.credit = 300 * time.Millisecond
			served := make(chan struct{})
			go func() { defer close(served); c.serve(t.Context()) }()
			nc := newClient(t, client)
			go io.WriteString(client, strings.TrimSuffix(envelope, "DATA\r\n")+tc.sent)
			nc.expect("220 ...", "250 ...", "250 ...", "250 ...")
			nc.expect(append(tc.want, "421 4.4.2 mx.here.test Too slow, closing transmission channel")...)
			client.Close()
			<-served
			if len(h.queue.all()) > 0 {
				t.Error("half a message was stored")
			}
		})
	}
}

func TestErrorLimit(t *testing.T) {
	h := start(t, "<limits><errors>3</errors></limits>")
	c := h.dial()
	// A message in between begins anew; 4xx do not count.
	c.talk(`S: 220 ...
	C: XA
	S: 500 ...
	C: XB
	S: 500 ...
	C: HELO client.test
	S: 250 ...
	C: MAIL FROM:<a@far.test>
	S: 250 ...
	C: RCPT TO:<bob@here.test>
	S: 250 ...
	C: DATA
	S: 354 ...
	C: .
	S: 250 ...
	C: XA
	S: 500 ...
	C: XB
	S: 500 ...
	C: NOOP
	S: 250 ...
	C: XC
	S: 500 ...
	S: 421 4.7.0 mx.here.test Too many errors, closing transmission channel
	CLOSED`)
	// Lines that are too long count as well; those who may relay are spared.
	c = h.dial()
	c.send(strings.Repeat(strings.Repeat("x", 9000)+"\r\n", 3))
	c.expect("220 ...", "500 ...", "500 ...", "500 ...", "421 4.7.0 ...")
	c.eof()
	h = start(t, "<limits><errors>3</errors></limits><authorizedAddresses>127.0.0.0/8</authorizedAddresses>")
	c = h.dial()
	c.send(strings.Repeat("XA\r\n", 10) + "QUIT\r\n")
	c.expect("220 ...", "500 ...", "500 ...", "500 ...", "500 ...", "500 ...", "500 ...", "500 ...", "500 ...", "500 ...", "500 ...", "221 ...")
}

func TestMessagesPerConnection(t *testing.T) {
	h := start(t, "<limits><messagesPerConnection>1</messagesPerConnection></limits>")
	c := h.begin()
	c.send(".\r\nMAIL FROM:<a@far.test>\r\nNOOP\r\n")
	c.expect("250 ...", "421 4.7.0 mx.here.test Too many messages on this connection, open another one")
	c.eof()
	h.one()
}

func TestConnectionRate(t *testing.T) {
	h := start(t, "<limits><connectionRate>2</connectionRate></limits>")
	h.dial().expect("220 ...")
	h.dial().expect("220 ...")
	c := h.dial()
	c.expect("421 4.7.0 Too many connections from your address, try again later")
	c.eof()
	h = start(t, "<limits><connectionRate>1</connectionRate></limits><authorizedAddresses>127.0.0.0/8</authorizedAddresses>")
	h.dial().expect("220 ...")
	h.dial().expect("220 ...")
}

// Behind a proxy the client counts, not the proxy.
func TestConnectionRateBehindProxy(t *testing.T) {
	h := start(t, "<limits><connectionRate>1</connectionRate></limits><proxyRequired>true</proxyRequired>")
	for _, step := range []struct{ ip, want string }{
		{"192.0.2.1", "250 ..."}, {"192.0.2.2", "250 ..."}, {"192.0.2.1", "421 4.7.0 Too many connections ..."},
	} {
		c := h.dial()
		c.expect("220 ...")
		c.send("PROXY TCP4 " + step.ip + " 198.51.100.1 1234 25\r\nNOOP\r\n")
		c.expect(step.want)
	}
}

func TestMeter(t *testing.T) {
	m, now := &meter{}, time.Unix(1e9, 0)
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2:1") // one /64
	for i := range 10 {
		if !m.admit([]netip.Addr{a, b}[i%2], 10, now) {
			t.Fatalf("connection %d refused", i+1)
		}
	}
	if m.admit(a, 10, now) || m.admit(b, 10, now.Add(5*time.Second)) {
		t.Error("the eleventh is let in")
	}
	if !m.admit(netip.MustParseAddr("2001:db8:0:1::1"), 10, now) {
		t.Error("a neighbour is refused")
	}
	if !m.admit(a, 10, now.Add(6*time.Second)) || m.admit(a, 10, now.Add(6*time.Second)) {
		t.Error("want one more after a tenth of a minute")
	}
}

// However many addresses come, the memory for them is bounded.
func TestMeterIsBounded(t *testing.T) {
	m, now := &meter{}, time.Unix(1e9, 0)
	for i := range 3 * maxMetered {
		m.admit(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), 10, now)
	}
	if len(m.paid) > maxMetered {
		t.Errorf("%d addresses", len(m.paid))
	}
}
