package server

import (
	"context"
	"crypto/tls"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/smtphooks"
)

const jamesPackage = "org.apache.james.smtpserver."

// chainXML is a <handlerchain> of classes in James's package, each with its
// parameters behind a blank.
func chainXML(handlers ...string) string {
	var b strings.Builder
	for _, h := range handlers {
		class, params, _ := strings.Cut(h, " ")
		b.WriteString(`<handler class="` + jamesPackage + class + `">` + params + `</handler>`)
	}
	return "<handlerchain>" + b.String() + "</handlerchain>"
}

const loginBob = "AUTH PLAIN AGJvYkBoZXJlLnRlc3QAc2VjcmV0\r\n"

// TestOptionalHandlersOnMail: what the handlers leave on the mail.
func TestOptionalHandlersOnMail(t *testing.T) {
	priority := chainXML("priority.SmtpMtPriorityParameterHook", "priority.SmtpMtPriorityMessageHook")
	domains := chainXML("MailPriorityHandler <priorityEntries><priorityEntry><domain>HERE.test</domain><priority>-3</priority></priorityEntry>" +
		"<priorityEntry><domain>localhost</domain><priority>4</priority></priorityEntry></priorityEntries>")
	tlsHooks := chainXML("tls.SmtpRequireTlsParameterHook", "tls.SmtpRequireTlsMessageHook")
	for _, tc := range []struct {
		name, chain, auth, params, rcpts, header string
		attr                                     string
		want                                     container.Value
	}{
		{"attribute", chainXML("SetMailAttributeMessageHook <name>port</name><value>25</value>"), "", "", "", "", "port", "25"},
		{"priority", priority, "", " MT-PRIORITY=-4", "", "", container.AttrPriority, int32(-4)},
		{"priority not allowed", priority, "", " MT-PRIORITY=4", "", "", container.AttrPriority, int32(0)},
		{"priority of a user", priority, loginBob, " mt-priority=4", "", "", container.AttrPriority, int32(4)},
		{"no priority", priority, "", "", "", "", container.AttrPriority, nil},
		{"domain", domains, "", "", "", "", container.AttrPriority, int32(-3)},
		{"highest domain", domains, "", "", "RCPT TO:<x@localhost>\r\n", "", container.AttrPriority, int32(4)},
		{"no TLS wanted", tlsHooks, "", "", "", "TLS-Required: no\r\n", container.AttrRequireTLS, false},
		{"no TLS wanted twice", tlsHooks, "", "", "", "TLS-Required: No\r\nTLS-Required: No\r\n", container.AttrRequireTLS, nil},
		{"REQUIRETLS in the clear", tlsHooks, "", " REQUIRETLS", "", "", container.AttrRequireTLS, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, tc.chain)
			c := h.dial()
			c.send("HELO x\r\n" + tc.auth + "MAIL FROM:<a@far.test>" + tc.params + "\r\nRCPT TO:<bob@here.test>\r\n" + tc.rcpts + "DATA\r\n" + tc.header + "\r\n.\r\nQUIT\r\n")
			for line := c.line(); !strings.HasPrefix(line, "221"); line = c.line() {
				if line[0] != '2' && line[0] != '3' {
					t.Fatal(line)
				}
			}
			if got := h.one().Attributes[tc.attr]; !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %v (%T), want %v (%T)", got, got, tc.want, tc.want)
			}
		})
	}
}

func TestSetMimeHeader(t *testing.T) {
	h := start(t, chainXML("SetMimeHeaderHandler <headername>X-Port</headername><headervalue>25</headervalue>"))
	c := h.begin()
	c.send("x-port: 1\r\nSubject: s\r\nX-Port: 2\r\n\r\nbody\r\n.\r\n")
	c.expect("250 ...")
	header, body := content(t, h.one())
	if strings.Count(strings.ToLower(header), "x-port:") != 1 || !strings.Contains(header, "X-Port: 25\r\n") || !strings.Contains(header, "Subject: s\r\n") || body != "body\r\n" {
		t.Errorf("header %q, body %q", header, body)
	}
}

func TestFutureReleaseDelaysQueue(t *testing.T) {
	h := start(t, chainXML("futurerelease.FutureReleaseEHLOHook", "futurerelease.FutureReleaseMailParameterHook"))
	c := h.dial()
	const mail = "RCPT TO:<bob@here.test>\r\nDATA\r\n.\r\n"
	c.send(loginBob + "EHLO x\r\nMAIL FROM:<a@far.test> HOLDFOR=3600 HOLDFOR=x\r\nMAIL FROM:<a@far.test>\r\n" + mail + "MAIL FROM:<a@far.test> HOLDFOR=3600\r\n" + mail)
	c.expect("220 ...", "235 ...", "250-...", "250-SMTPUTF8", "250-PIPELINING", "250-ENHANCEDSTATUSCODES", "250-8BITMIME", "250-FUTURERELEASE 86400 ...", "250-CHUNKING", "250 BINARYMIME",
		"501 ...", "250 ...", "250 ...", "354 ...", "250 ...", "250 ...", "250 ...", "354 ...", "250 ...")
	if got := h.queue.delays; !reflect.DeepEqual(got, []time.Duration{0, time.Hour}) {
		t.Errorf("delays %v", got)
	}
}

// TestDisabledKeyword: <disabledFeatures> names the keyword, without its
// parameters.
func TestDisabledKeyword(t *testing.T) {
	h := start(t, `<disabledFeatures>FUTURERELEASE</disabledFeatures>`+chainXML("futurerelease.FutureReleaseEHLOHook"))
	c := h.dial()
	c.send(loginBob + "EHLO x\r\n")
	c.expect("220 ...", "235 ...", "250-...", "250-SMTPUTF8", "250-PIPELINING", "250-ENHANCEDSTATUSCODES", "250-8BITMIME", "250-CHUNKING", "250 BINARYMIME")
}

func TestSupressDuplicate(t *testing.T) {
	h := start(t, `<handlerchain><handler class="org.apache.james.protocols.smtp.core.fastfail.SupressDuplicateRcptHandler"/>`+
		`<handler class="org.apache.james.smtpserver.dsn.DSNRcptParameterHook"/></handlerchain>`)
	c := h.dial()
	c.send("HELO x\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<bob@here.test>\r\nRCPT TO:<Bob@HERE.test>\r\nRCPT TO:<alice@here.test>\r\n" +
		"RCPT TO:<alice@here.test> NOTIFY=BAD\r\nDATA\r\n.\r\n")
	c.expect("220 ...", "250 ...", "250 ...", "250 2.1.5 Recipient <bob@here.test> OK", "250 2.1.5 Recipient <Bob@here.test> OK",
		"250 ...", "501 ...", "354 ...", "250 ...")
	want := []container.Address{container.MustAddress("bob@here.test"), container.MustAddress("alice@here.test")}
	if got := h.one().Recipients; !reflect.DeepEqual(got, want) {
		t.Errorf("recipients %v", got)
	}
}

// TestRequireTLS: under STARTTLS and under implicit TLS.
func TestRequireTLS(t *testing.T) {
	hooks := chainXML("tls.EnforceMtaSts", "tls.SmtpRequireTlsEhloHook", "tls.SmtpRequireTlsParameterHook", "tls.SmtpRequireTlsMessageHook")
	for _, attr := range []string{"startTLS", "socketTLS"} {
		dir := t.TempDir()
		h := start(t, tlsXML(t, dir, attr)+`<auth><announce>never</announce></auth>`+hooks)
		trusted := trust(t, filepath.Join(dir, "cert.pem"))
		c := h.dial()
		if attr == "startTLS" {
			c.send("STARTTLS\r\n")
			c.expect("220 ...", "220 ...")
			c.startTLS(trusted)
		} else {
			c = newClient(t, tls.Client(c.nc, trusted))
			c.expect("220 ...")
		}
		c.send("EHLO x\r\nMAIL FROM:<a@far.test> REQUIRETLS REQUIRETLS\r\nMAIL FROM:<a@far.test> REQUIRETLS=1\r\nMAIL FROM:<a@far.test> REQUIRETLS\r\n" +
			"RCPT TO:<bob@here.test>\r\nDATA\r\nTLS-Required: No\r\n\r\n.\r\n")
		c.expect("250-...", "250-SMTPUTF8", "250-PIPELINING", "250-ENHANCEDSTATUSCODES", "250-8BITMIME", "250-REQUIRETLS", "250-CHUNKING", "250 BINARYMIME",
			"501 The Mail parameter cannot contain more than one REQUIRETLS parameter at the same time", "501 5.5.4 ...", "250 ...", "250 ...", "354 ...", "250 ...")
		if v, ok := h.one().Attributes.Bool(container.AttrRequireTLS); !v || !ok {
			t.Errorf("%s: attribute %v", attr, h.one().Attributes[container.AttrRequireTLS])
		}
	}
}

// TestLifespan: the connection ends in the middle of a command and of a message.
func TestLifespan(t *testing.T) {
	h := start(t, chainXML("netty.MaxConnectionLifespanHandler <duration>100ms</duration>"))
	for _, script := range []string{"", "HELO x", "HELO x\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<bob@here.test>\r\nDATA\r\nhalf"} {
		c := h.dial()
		c.send(script)
		for {
			if _, err := c.br.ReadString('\n'); err != nil {
				break
			}
		}
		c.eof()
	}
	if n := len(h.queue.all()); n != 0 {
		t.Errorf("%d mails stored", n)
	}
}

// TestLifespanLetsReplyPass: a message that arrived in time is answered.
func TestLifespanLetsReplyPass(t *testing.T) {
	h := start(t, chainXML("netty.MaxConnectionLifespanHandler <duration>1h</duration>"))
	h.queue.hold, h.queue.entered = make(chan struct{}), make(chan struct{}, 1)
	c := h.begin()
	c.send(".\r\nNOOP\r\n")
	<-h.queue.entered
	for _, conn := range h.open() {
		conn.expire()
	}
	close(h.queue.hold)
	c.expect("250 2.6.0 Message received")
	c.eof()
	other := h.dial()
	other.expect("220 ...")
	for _, conn := range h.open() {
		conn.expire()
	}
	other.eof()
}

// gateRcpt is a hook that waits at RCPT.
type gateRcpt struct{ entered, leave chan struct{} }

func (g gateRcpt) Rcpt(context.Context, *smtphooks.Session, smtphooks.Recipient) smtphooks.Decision {
	g.entered <- struct{}{}
	<-g.leave
	return smtphooks.Decision{}
}

// TestLifespanOverBeforeMessage: a client that was cut off sends its message again,
// so that what had arrived of it, here all, must not be stored.
func TestLifespanOverBeforeMessage(t *testing.T) {
	gate := gateRcpt{make(chan struct{}, 1), make(chan struct{})}
	reg := smtphooks.NewRegistry()
	reg.Handler("test.Gate", func(*conf.Params, smtphooks.Services) any { return gate })
	h := startWith(t, `<handlerchain><handler class="test.Gate"/></handlerchain>`, reg, Options{})
	c := h.dial()
	c.send("HELO x\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<bob@here.test>\r\nDATA\r\n\r\nx\r\n.\r\n")
	<-gate.entered
	for _, conn := range h.open() {
		conn.expire()
	}
	close(gate.leave)
	for {
		if _, err := c.br.ReadString('\n'); err != nil {
			break
		}
	}
	h.stop()
	h.wait()
	if n := len(h.queue.all()); n != 0 {
		t.Errorf("%d mails stored", n)
	}
}

func TestTooManyAuthFailures(t *testing.T) {
	h := start(t, "")
	c := h.dial()
	c.expect("220 ...")
	for range maxAuthFailures - 1 {
		c.send("AUTH PLAIN AGJvYkBoZXJlLnRlc3QAd3Jvbmc=\r\n")
		c.expect("535 Authentication Failed")
	}
	c.send("EHLO x\r\nRSET\r\nAUTH PLAIN AGJvYkBoZXJlLnRlc3QAd3Jvbmc=\r\n" + loginBob)
	c.expect("250-...", "250-...", "250-...", "250-...", "250-...", "250-...", "250 ...", "250 2.0.0 OK", "421 4.7.0 mx.here.test Too many authentication failures, closing transmission channel")
	c.eof()
}

// TestSPFHeader: a mail that was checked tells so.
func TestSPFHeader(t *testing.T) {
	h := start(t, `<proxyRequired>true</proxyRequired>`+chainXML("fastfail.SPFHandler"))
	c := h.dial()
	c.send("PROXY TCP4 192.0.2.1 127.0.0.1 1000 25\r\nEHLO client.test\r\nMAIL FROM:<\"a)\\\"b\"@spf.test>\r\nRCPT TO:<bob@here.test>\r\nDATA\r\n.\r\n")
	c.expect("220 ...", "250-...", "250-...", "250-...", "250-...", "250-...", "250-...", "250 ...", "250 ...", "250 ...", "354 ...", "250 ...")
	const want = `pass (mx.here.test: result for spf.test) client-ip=192.0.2.1; envelope-from="\"a)\\\"b\"@spf.test"; helo="client.test"; identity=mailfrom; receiver=mx.here.test`
	if got, _ := h.one().Attributes.String("org.apache.james.spf.header"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestMappedClass: a class of somebody else stands for one of ours.
func TestMappedClass(t *testing.T) {
	const foreign = "com.linagora.tmail.smtp.TMailValidRcptHandler"
	reg := smtphooks.NewRegistry()
	reg.Map(foreign, jamesPackage+"fastfail.ValidRcptHandler")
	reg.Map("com.acme.Core", jamesPackage+"NoAuthCmdHandlerLoader")
	reg.Map(jamesPackage+"SendMailHandler", "com.acme.Nothing")
	h := startWith(t, `<handlerchain coreHandlersPackage="com.acme.Core"><handler class="`+foreign+`"/></handlerchain>`, reg, Options{})
	h.dial().talk("S: 220 ...\nC: AUTH PLAIN\nS: 500 5.5.1 Command AUTH unrecognized.\nC: HELO x\nS: 250 ...\nC: MAIL FROM:<a@far.test>\nS: 250 ...\n" +
		"C: RCPT TO:<nobody@here.test>\nS: 550 5.1.1 Unknown user: nobody@here.test\nC: RCPT TO:<bob@here.test>\nS: 250 ...\nC: DATA\nS: 354 ...\nC: .\nS: 250 ...")
	reg = smtphooks.NewRegistry()
	reg.Map("com.acme.Handler", "ValidRcptHandler")
	for class, want := range map[string]string{
		"com.acme.Handler": `Can not load ValidRcptHandler: no such handler class (did you mean "` + jamesPackage + `fastfail.ValidRcptHandler"?); the full name must be written`,
		foreign:            "Can not load " + foreign + ": a class that only others have; say in classes.properties that it stands for " + jamesPackage + "fastfail.ValidRcptHandler",
	} {
		_, r := build(t, smtpserverXML(`<handlerchain><handler class="`+class+`"/></handlerchain>`), reg, Options{})
		if got := r.Problems(); len(got) != 1 || got[0].Text != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}
