package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/smtphooks"
)

// reload puts the servers in xml in force.
func (h *harness) reload(xml string) (*conf.Report, error) {
	h.t.Helper()
	r := &conf.Report{}
	return r, h.Reload(context.Background(), conf.SMTPServers(conf.ParseXML("smtpserver.xml", []byte(xml), r), r), smtphooks.NewRegistry(), r)
}

func (h *harness) mustReload(xml string) {
	h.t.Helper()
	if r, err := h.reload(xml); err != nil {
		h.t.Fatal(err, r.Problems())
	}
}

func dialAddr(t testing.TB, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, nc)
}

// binds returns a server for each of the comma lists of addresses.
func binds(lists ...string) string {
	var out strings.Builder
	for _, l := range lists {
		out.WriteString(strings.Replace(strings.TrimSuffix(strings.TrimPrefix(smtpserverXML(""), "<smtpservers>"), "</smtpservers>"),
			"127.0.0.1:0", l, 1))
	}
	return "<smtpservers>" + out.String() + "</smtpservers>"
}

func TestReloadKeepsConnections(t *testing.T) {
	h := start(t, "<smtpGreeting>old</smtpGreeting><connectionLimit>2</connectionLimit>")
	addr := h.Addrs()[0].String()
	busy := h.begin()
	busy.send("Subject: half\r\n\r\n")
	h.mustReload(smtpserverXML("<smtpGreeting>new</smtpGreeting><connectionLimit>2</connectionLimit><heloEhloEnforcement>false</heloEhloEnforcement>"))
	if got := h.Addrs()[0].String(); got != addr {
		t.Fatalf("listens on %s, before on %s", got, addr)
	}
	fresh := h.dial()
	fresh.talk("S: 220 new\nC: MAIL FROM:<a@far.test>\nS: 250 ...")
	h.dial().eof() // the old connection counts
	busy.send("the rest\r\n.\r\nRSET\r\n")
	busy.expect("250 2.6.0 ...", "250 ...")
	if n := len(h.Connections()); n != 2 {
		t.Errorf("%d connections are listed, want 2", n)
	}
	// Both end at shutdown.
	h.stop()
	busy.expect("421 4.3.2 ...")
	fresh.expect("421 4.3.2 ...")
	h.wait()
	h.one()
	if _, err := h.reload(smtpserverXML("")); !errors.Is(err, ErrEnded) {
		t.Errorf("Reload after the end: %v", err)
	}
}

func TestReloadBroken(t *testing.T) {
	h := start(t, "<smtpGreeting>old</smtpGreeting>")
	r, err := h.reload(smtpserverXML("<smtpGreeting>new</smtpGreeting>" + `<handlerchain><handler class="a.B"/><handler class="c.D"/></handlerchain>`))
	if !errors.Is(err, ErrConfiguration) || len(r.Problems()) != 2 {
		t.Errorf("got %v, %v; want two problems", err, r.Problems())
	}
	h.dial().expect("220 old")
}

func TestReloadAddresses(t *testing.T) {
	h := start(t, "")
	first := h.Addrs()[0].String()
	old := h.dial()
	old.expect("220 ...")
	h.mustReload(binds("127.0.0.1:0,[::1]:0", "127.0.0.1:0"))
	if n := len(h.Addrs()); n != 3 || h.Addrs()[0].String() != first {
		t.Fatalf("listens on %v", h.Addrs())
	}
	for _, l := range h.Listeners() {
		dialAddr(t, l.Addr.String()).expect("220 ...")
	}
	second := h.Addrs()[1].String()
	h.mustReload(binds(second, "127.0.0.1:0")) // spelled with its port now
	if nc, err := net.Dial("tcp", second); err != nil {
		t.Error(err)
	} else {
		newClient(t, nc).expect("220 ...")
	}
	h.mustReload("<smtpservers/>")
	if nc, err := net.Dial("tcp", first); err == nil {
		nc.Close()
		t.Error("a removed address is listened on")
	}
	old.talk("C: NOOP\nS: 250 ...")
	h.mustReload(smtpserverXML(""))
	h.dial().expect("220 ...")
}

// An address that another process has leaves everything as it was, also the
// socket that had been put out of the way.
func TestReloadAddressTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	h := start(t, "<smtpGreeting>old</smtpGreeting>")
	_, port, _ := net.SplitHostPort(h.Addrs()[0].String())
	h.mustReload(binds("127.0.0.1:" + port)) // the port has a number now
	if _, err := h.reload(binds("0.0.0.0:"+port, taken.Addr().String())); err == nil {
		t.Fatal("the address is taken, and Reload does not say so")
	}
	dialAddr(t, "127.0.0.1:"+port).expect("220 ...")
	h.mustReload(binds("0.0.0.0:" + port))
	dialAddr(t, "127.0.0.1:"+port).expect("220 ...")
	if got := h.Addrs(); len(got) != 1 || strings.HasPrefix(got[0].String(), "127.") {
		t.Errorf("listens on %v", got)
	}
}

const trap = `<handlerchain><handler class="org.apache.james.smtpserver.fastfail.SpamTrapHandler"><spamTrapRecip>trap@here.test</spamTrapRecip></handler></handlerchain>`

// What handlers and the server remember of clients survives.
func TestReloadRemembers(t *testing.T) {
	h := start(t, trap)
	c := h.dial()
	c.talk("S: 220 ...\nC: HELO x\nS: 250 ...\nC: MAIL FROM:<a@far.test>\nS: 250 ...\nC: RCPT TO:<trap@here.test>\nS: 554 ...")
	h.mustReload(smtpserverXML(trap + "<limits><connectionRate>1</connectionRate></limits>"))
	c = h.dial()
	c.talk("S: 220 ...\nC: HELO x\nS: 250 ...\nC: MAIL FROM:<a@far.test>\nS: 250 ...\nC: RCPT TO:<bob@here.test>\nS: 554 ...")
	h.mustReload(smtpserverXML(trap + "<limits><connectionRate>1</connectionRate></limits>"))
	h.dial().expect("421 4.7.0 ...")
}

// Reloading goes on while clients come and go: none is turned away.
func TestReloadUnderLoad(t *testing.T) {
	h := start(t, "")
	addr := h.Addrs()[0].String()
	done, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(done)
		for range 200 {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				failed <- err
				return
			}
			b := make([]byte, 3)
			if _, err := nc.Read(b); err != nil || string(b) != "220" {
				failed <- errors.New("greeted with " + string(b))
			}
			nc.Close()
		}
	}()
	for {
		h.mustReload(smtpserverXML(""))
		select {
		case err := <-failed:
			t.Fatal(err)
		case <-done:
			return
		default:
		}
	}
}

// TestReloadGivenUp: when whoever asked for it goes away, names in
// <authorizedAddresses> cannot be looked up any more, and nothing changes.
func TestReloadGivenUp(t *testing.T) {
	h := start(t, "<smtpGreeting>old</smtpGreeting><authorizedAddresses>127.0.0.1</authorizedAddresses>")
	r := &conf.Report{}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	xml := smtpserverXML("<smtpGreeting>new</smtpGreeting><authorizedAddresses>client.example.org</authorizedAddresses>")
	err := h.Reload(ctx, conf.SMTPServers(conf.ParseXML("smtpserver.xml", []byte(xml), r), r), smtphooks.NewRegistry(), r)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	h.dial().expect("220 old")
}

// TestReloadWithoutDNS: a host that may relay does not lose that because it cannot
// be looked up for a moment; one that is new, or listed no more, may not.
func TestReloadWithoutDNS(t *testing.T) {
	const name, other = "mail.broken.test", "other.broken.test"
	list := func(names string) string {
		return smtpserverXML("<authorizedAddresses>" + names + "</authorizedAddresses>")
	}
	h := start(t, "<authorizedAddresses>"+name+"</authorizedAddresses>")
	ip := netip.MustParseAddr("192.0.2.7")
	if h.endpoints[0].authorized(ip) {
		t.Fatal("authorized before")
	}
	h.endpoints[0].found = map[string]smtphooks.Networks{name: {netip.PrefixFrom(ip, 32)}} // when it could be looked up
	for _, step := range []struct {
		names string
		want  bool
	}{{name + "," + other, true}, {name, true}, {other, false}, {name, false}} {
		h.mustReload(list(step.names))
		if got := h.endpoints[0].authorized(ip); got != step.want {
			t.Errorf("%s: authorized: %t", step.names, got)
		}
	}
}
