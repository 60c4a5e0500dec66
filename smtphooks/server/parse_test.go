package server

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/smtphooks"
)

func TestValidHelo(t *testing.T) {
	for _, tc := range []struct {
		name       string
		helo, ehlo bool
	}{
		{"client.test", true, true}, {"client", true, true}, {"a_b.test", true, true}, {"x-1.test", true, true},
		{"127.0.0.1", true, true}, {"[127.0.0.1]", true, true}, {"::1", true, true}, {"[::1]", true, true},
		{"IPv6:::1", false, true}, {"[IPv6:2001:db8::1]", false, true}, {"[ipv6:::ffff:1.2.3.4]", false, true},
		{"0a1b2c", false, true}, {"1.test", true, true}, {"client.1test", false, true},
		{"127.0.0.1/24", false, false}, {"sub..bad", false, false}, {"[]", false, false}, {"(x)", false, false},
		{"a b", false, false}, {"-x.test", false, false}, {"x-.test", false, false}, {"[client.test]", false, false},
		{"fe80::1%eth0", false, false}, {"[IPv6:x]", false, false}, {strings.Repeat("a", 64) + ".test", false, false},
		{"grüße.test", false, false}, {".", false, false},
	} {
		if got := validHelo(tc.name, false); got != tc.helo {
			t.Errorf("HELO %s: got %t, want %t", tc.name, got, tc.helo)
		}
		if got := validHelo(tc.name, true); got != tc.ehlo {
			t.Errorf("EHLO %s: got %t, want %t", tc.name, got, tc.ehlo)
		}
	}
}

func TestNetworks(t *testing.T) {
	for _, tc := range []struct {
		word    string
		in, out string
	}{
		{"127.0.0.1", "127.0.0.1", "127.0.0.2"}, {"127.*", "127.9.9.9", "128.0.0.1"}, {"10.1.*", "10.1.2.3", "10.2.0.0"},
		{"10.1.2.*", "10.1.2.3", "10.1.3.3"}, {"10.*.*.*", "10.1.2.3", "11.1.1.1"},
		{"10.0.0.0/8", "10.9.9.9", "11.0.0.0"}, {"10.0.0.0/255.0.0.0", "10.9.9.9", "11.0.0.0"}, {"0.0.0.0/0", "1.2.3.4", "::1"},
		{"0.0.0.0/0.0.0.0", "1.2.3.4", "::1"}, {"2001:db8::/32", "2001:db8::1", "2001:db9::1"}, {"2001:db8::%32", "2001:db8::1", "2001:db9::1"},
		{"::1", "::1", "127.0.0.1"}, {"trusted.test", "127.0.0.1", "127.0.0.2"}, {"trusted.test/24", "127.0.0.2", "127.0.1.1"},
		{"localhost", "127.0.0.1", "127.0.0.2"},
	} {
		n, h, err := smtphooks.ParseNetwork(tc.word)
		if err == nil && h != nil {
			n, err = h.Resolve(context.Background(), fakeDNS{})
		}
		if err != nil || !n.Contains(netip.MustParseAddr(tc.in)) || n.Contains(netip.MustParseAddr(tc.out)) {
			t.Errorf("%s: got %v, %v", tc.word, n, err)
		}
	}
	if n, _, err := smtphooks.ParseNetwork("*"); err != nil || !n.Contains(netip.MustParseAddr("1.2.3.4")) || !n.Contains(netip.IPv6Loopback()) {
		t.Errorf("*: got %v, %v", n, err)
	}
	for _, bad := range []string{"10.0.0.0/33", "10.0.0.0/255.0.255.0", "10.0.0.0/x", "999.1.1.1", "10.0.0", "1:2:x", "/8", "x.*", "1.2.3.4.*", "host.test/99", "*.test"} {
		if n, h, err := smtphooks.ParseNetwork(bad); err == nil {
			t.Errorf("%s: accepted as %v, %v", bad, n, h)
		}
	}
}

func TestConfigurationProblems(t *testing.T) {
	handler := func(class string) string {
		return `<handlerchain><handler class="` + class + `"/></handlerchain>`
	}
	for _, tc := range []struct{ xml, want string }{
		{handler("org.apache.james.smtpserver.fastfail.ValidRcptHandlr"), `error: Can not load org.apache.james.smtpserver.fastfail.ValidRcptHandlr: no such handler class (did you mean "org.apache.james.smtpserver.fastfail.ValidRcptHandler"?)`},
		{handler("ValidRcptHandler"), `error: Can not load ValidRcptHandler: no such handler class (did you mean "org.apache.james.smtpserver.fastfail.ValidRcptHandler"?); the full name must be written`},
		{handler("org.apache.james.examples.LoggingRcptHook"), "error: Can not load org.apache.james.examples.LoggingRcptHook: an example of James, which writes each recipient to its log; the log has them in any case: remove the <handler>"},
		{handler("com.acme.Nothing"), "error: Can not load com.acme.Nothing: no such handler class; the full name must be written"},
		{`<handlerchain coreHandlersPackage="com.acme.Core"/>`, "error: coreHandlersPackage: Can not load com.acme.Core: no such bundle"},
		{`<handlerchain jmxHandlersPackage="com.acme.Monitor"/>`, "warning: jmxHandlersPackage com.acme.Monitor is ignored"},
		{`<handlerchain><handler class="org.apache.james.smtpserver.fastfail.ValidRcptHandler"><recipientRewriteTableCheck>x</recipientRewriteTableCheck></handler></handlerchain>`, `error: <recipientRewriteTableCheck>: "x" is not one of mappingExists, anyMappingValid, allMappingsValid`},
		{`<handlerchain><handler class="org.apache.james.smtpserver.fastfail.ValidRcptHandler"><enable>x</enable></handler></handlerchain>`, `warning: <enable> is not a parameter of`},
		{`<authorizedAddresses>127.0.0.0/8 10.0.0.0/99</authorizedAddresses>`, `error: <authorizedAddresses>: "10.0.0.0/99"`},
		{`<tls startTLS="true"><privateKey>nowhere/k</privateKey><certificates>nowhere/c</certificates></tls>`, "error: <certificates>: nowhere/c: no such file"},
	} {
		_, r := build(t, smtpserverXML(tc.xml), nil, Options{})
		var got []string
		for _, p := range r.Problems() {
			if p.Pos.Line == 0 {
				t.Errorf("%s: no position: %v", tc.xml, p)
			}
			got = append(got, p.Severity.String()+": "+p.Text)
		}
		if len(got) != 1 || !strings.HasPrefix(got[0], tc.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.xml, got, tc.want)
		}
	}
}

// TestSampleChains: what James's own sample files have loads without a word.
func TestSampleChains(t *testing.T) {
	for _, xml := range []string{
		`<handlerchain><handler class="org.apache.james.smtpserver.fastfail.ValidRcptHandler"/><handler class="org.apache.james.smtpserver.CoreCmdHandlerLoader"/></handlerchain>`,
		`<handlerchain coreHandlersPackage="org.apache.james.smtpserver.NoAuthCmdHandlerLoader" enableJmx="true" jmxHandlersPackage="org.apache.james.smtpserver.jmx.JMXHandlersLoader">
			<handler class="org.apache.james.protocols.smtp.core.esmtp.AuthCmdHandler"/></handlerchain>`,
		dsnHooks,
	} {
		if _, r := build(t, smtpserverXML(xml), nil, Options{}); len(r.Problems()) > 0 {
			t.Errorf("%s:\n%v", xml, r.Problems())
		}
	}
}

// TestExplicitAuth: AuthCmdHandler beside the bundle without AUTH brings AUTH.
func TestExplicitAuth(t *testing.T) {
	h := start(t, `<handlerchain coreHandlersPackage="org.apache.james.smtpserver.NoAuthCmdHandlerLoader">
		<handler class="org.apache.james.protocols.smtp.core.esmtp.AuthCmdHandler"/></handlerchain>`)
	h.dial().talk("S: 220 ...\nC: AUTH PLAIN AGJvYkBoZXJlLnRlc3QAc2VjcmV0\nS: 235 ...")
}

// FuzzCommand: whatever lines a client sends, each is answered by exactly one
// reply, as long as the connection lasts, and every reply line is well-formed.
func FuzzCommand(f *testing.F) {
	f.Add("EHLO x\r\nMAIL FROM:<a@b.test> RET=FULL SIZE=1 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<bob@here.test> NOTIFY=NEVER ORCPT=rfc822;x\r\nRSET\r\nQUIT")
	f.Add("MAIL FROM:<\"a\\\"b\"@[IPv6:::1]> X=\r\nRCPT TO:<@>\r\nNOOP\r\nFOO\tbar\r\n\r\nHELO \xff")
	f.Add("MAIL FROM:<>\r\nRCPT TO:<bob>\r\nSTARTTLS x\r\nVRFY")
	f.Add("AUTH PLAIN AAA=\r\nRSET\r\nAUTH LOGIN\r\n*\r\nHELP")
	var cfg []conf.SMTPServer
	r := &conf.Report{}
	cfg = conf.SMTPServers(conf.ParseXML("x", []byte(smtpserverXML(dsnHooks)), r), r)
	s := New(cfg, smtphooks.NewRegistry(), smtphooks.Services{DefaultDomain: "here.test", Hostname: "mx.here.test",
		Local: fakeLocal{}, DNS: fakeDNS{}, Queue: &fakeQueue{}}, Options{}, r)
	f.Fuzz(func(t *testing.T, input string) {
		lines := strings.Split(input, "\n")
		for i, l := range lines {
			lines[i] = strings.ReplaceAll(l, "\r", "")
			if verb := strings.ToUpper(strings.TrimSpace(lines[i])); strings.HasPrefix(verb, "DATA") {
				lines[i] = "NOOP" // what follows would not be commands
			}
		}
		out := converse(s, strings.Join(lines, "\r\n")+"\r\n")
		got, last := countReplies(t, out)
		closed := strings.HasPrefix(last, "221") || strings.Contains(last, "QUIT") || strings.HasPrefix(last, "451 Unable to process request")
		if want := 1 + len(lines); got != want && !(closed && got < want) {
			t.Errorf("%d replies to %d lines:\n%q\n%s", got, len(lines), lines, out)
		}
	})
}

// countReplies counts the replies in out and returns the last line.
func countReplies(t *testing.T, out []byte) (n int, last string) {
	t.Helper()
	for line := range bytes.Lines(out) {
		text, crlf := bytes.CutSuffix(line, []byte("\r\n"))
		last = string(text)
		if !crlf || len(text) < 4 || slices.ContainsFunc(text[:3], func(c byte) bool { return c < '0' || c > '9' }) {
			t.Fatalf("bad reply line %q", line)
		}
		if bytes.ContainsAny(text, "\r\n\x00") {
			t.Fatalf("control character in %q", line)
		}
		if text[3] == ' ' {
			n++
		}
	}
	return n, last
}

// converse hands all of input to a connection at once and returns its answer.
func converse(s *Server, input string) []byte {
	nc := &memoryConn{in: []byte(input)}
	c := newConn(s.endpoints[0], nc, netip.MustParseAddr("127.0.0.1"))
	c.serve(context.Background())
	return nc.out
}

// memoryConn is a connection without a network.
type memoryConn struct {
	in, out []byte
}

func (m *memoryConn) Read(p []byte) (int, error) {
	if len(m.in) == 0 {
		return 0, net.ErrClosed
	}
	n := copy(p, m.in)
	m.in = m.in[n:]
	return n, nil
}
func (m *memoryConn) Write(p []byte) (int, error)      { m.out = append(m.out, p...); return len(p), nil }
func (m *memoryConn) Close() error                     { return nil }
func (m *memoryConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (m *memoryConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (m *memoryConn) SetDeadline(time.Time) error      { return nil }
func (m *memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (m *memoryConn) SetWriteDeadline(time.Time) error { return nil }

func TestIdleMemory(t *testing.T) {
	_, r := build(t, smtpserverXML(""), nil, Options{})
	if r.HasErrors() {
		t.Fatal(r.Problems())
	}
	c := newInput(nil)
	c.enlarge()
	if len(c.buf) != largeBuffer {
		t.Errorf("during DATA the buffer has %d octets", len(c.buf))
	}
	c.shrink()
	if len(c.buf) != smallBuffer || c.pooled != nil {
		t.Errorf("after DATA the buffer has %d octets", len(c.buf))
	}
}
