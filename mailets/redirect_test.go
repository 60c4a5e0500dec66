package mailets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/dns/dnstest"
	"github.com/mailetd/mailetd/container/mime"
)

const redirectHeader = "Received: from client by mx\r\nReturn-Path: <old@example.org>\r\nMessage-ID: <orig-1@example.org>\r\n" +
	"Date: Sat, 22 Aug 2026 10:00:00 +0000\r\nFrom: Ann <ann@example.org>\r\nReply-To: reply@example.org\r\n" +
	"To: Bob <bob@example.com>, list@example.net\r\nCc: cc@example.net\r\nSubject: Quarterly report\r\nX-Other: 1\r\n"

func redirectMail() *container.Mail {
	m := testMail("bob@example.com", "alice@example.com")
	m.Name = "Mail1"
	m.Message = container.NewMessage([]byte(redirectHeader), container.BytesBody("Hello.\r\n"))
	return m
}

// text returns the whole message.
func text(t testing.TB, m *container.Mail) string {
	t.Helper()
	var b strings.Builder
	if n, err := m.Message.WriteTo(&b); err != nil || n != m.Message.Size() {
		t.Fatalf("%d octets of %d written, %v", n, m.Message.Size(), err)
	}
	return b.String()
}

// onlyEntry returns the one mail that was sent.
func onlyEntry(t testing.TB, out *container.Outbox) *container.Mail {
	t.Helper()
	if out.Len() != 1 {
		t.Fatalf("got %d entries, want 1", out.Len())
	}
	if e := out.Entries()[0]; e.Queue != container.SpoolQueue || e.Delay != 0 {
		t.Fatalf("got %+v", e)
	}
	return out.Entries()[0].Mail
}

// Every address word in every parameter.
func TestRedirectWords(t *testing.T) {
	const post, me, both = "bob@example.com", "sender@example.org", "bob@example.com alice@example.com"
	for _, tc := range []struct{ params, rcpts, to, from, reply, sender string }{
		{"", both, "Bob <bob@example.com>, list@example.net", "", "", me},
		{"<recipients>Postmaster</recipients>", post, post, "", "", me},
		{"<recipients>SENDER</recipients>", me, me, "", "", me},
		{"<recipients>reversePath</recipients>", me, me, "", "", me},
		{"<recipients>from</recipients>", me, "ann@example.org", "", "", me},
		{"<recipients>replyTo</recipients>", "reply@example.org", "reply@example.org", "", "", me},
		{"<recipients>recipients</recipients>", both, "bob@example.com, list@example.net", "", "", me},
		{"<recipients>to</recipients><to>x@example.net</to>", both, "x@example.net", "", "", me},
		{"<recipients>unaltered</recipients><to>sender</to>", both, me, "", "", me},
		{"<recipients>unaltered, x@example.net</recipients><to>unaltered</to>", "x@example.net", "Bob <bob@example.com>, list@example.net", "", "", me},
		{"<recipients>null, x@example.net, X@Example.net</recipients>", "x@example.net", "x@example.net", "", "", me},
		{"<recipients>x@example.net</recipients><to>null</to>", "x@example.net", "-", "", "", me},
		{`<recipients>"Last, First" &lt;x@example.net&gt;,postmaster</recipients>`, "x@example.net " + post, "x@example.net, " + post, "", "", me},
		{"<to>x@example.net</to>", "x@example.net", "x@example.net", "", "", me},
		{"<to>x@example.net</to><to>y@example.net</to>", "x@example.net y@example.net", "x@example.net, y@example.net", "", "", me},
		{"<to>x@example.net</to><sender>Postmaster</sender>", "x@example.net", "x@example.net", post, "", post},
		{"<to>x@example.net</to><sender>sender</sender>", "x@example.net", "x@example.net", me, "", me},
		{"<to>x@example.net</to><sender>unaltered</sender>", "x@example.net", "x@example.net", "", "", me},
		{"<to>x@example.net</to><sender>a@example.net</sender>", "x@example.net", "x@example.net", "a@example.net", "", "a@example.net"},
		{"<to>x@example.net</to><sender>a@example.net</sender><reversePath>unaltered</reversePath>", "x@example.net", "x@example.net", "a@example.net", "", me},
		{"<to>x@example.net</to><reversePath>null</reversePath>", "x@example.net", "x@example.net", "", "", ""},
		{"<to>x@example.net</to><reversePath>POSTMASTER</reversePath>", "x@example.net", "x@example.net", "", "", post},
		{"<to>x@example.net</to><reversePath>r@example.net</reversePath>", "x@example.net", "x@example.net", "", "", "r@example.net"},
		{"<to>x@example.net</to><replyTo>r@example.net</replyTo>", "x@example.net", "x@example.net", "", "r@example.net", me},
		{"<to>x@example.net</to><replyto>r@example.net</replyto>", "x@example.net", "x@example.net", "", "r@example.net", me},
		{"<to>x@example.net</to><replyto>r@example.net</replyto><replyTo>Sender</replyTo>", "x@example.net", "x@example.net", "", me, me},
		{"<to>x@example.net</to><replyTo>postmaster</replyTo>", "x@example.net", "x@example.net", "", post, me},
		{"<to>x@example.net</to><replyTo>unaltered</replyTo>", "x@example.net", "x@example.net", "", "", me},
		{"<to>x@example.net</to><replyTo>null</replyTo>", "x@example.net", "x@example.net", "", "-", me},
	} {
		for _, kind := range []string{"unaltered", "none"} {
			ma, problems := load(t, testRegistry(t), "Redirect", tc.params+"<inline>"+kind+"</inline>")
			if len(problems) > 0 && !strings.Contains(problems[0], "no <recipients>") {
				t.Fatal(problems)
			}
			m := redirectMail()
			n := onlyEntry(t, serve(t, ma, m))
			field := func(name, want, old string) {
				got, ok := mime.Get(n.Message.Header(), name)
				if want == "" {
					want = old
				}
				if want == "-" && ok || want != "-" && got != want {
					t.Errorf("%s (%s): %s is %q, want %q", tc.params, kind, name, got, want)
				}
			}
			field("To", tc.to, "")
			field("From", tc.from, "Ann <ann@example.org>")
			field("Reply-To", tc.reply, "reply@example.org")
			if got := strings.Join(container.AddressStrings(n.Recipients), " "); got != tc.rcpts || n.Sender.String() != tc.sender {
				t.Errorf("%s: got %s to %s", tc.params, n.Sender, got)
			}
			if m.State != container.StateGhost || text(t, m) != redirectHeader+"\r\nHello.\r\n" {
				t.Errorf("%s: state %s of the mail, or its text changed", tc.params, m.State)
			}
		}
	}
}

func TestResendLeavesTheRest(t *testing.T) {
	for _, tc := range []struct{ params, rcpts, to, sender string }{
		{"<to>x@example.net</to>", "bob@example.com alice@example.com", "x@example.net", "sender@example.org"},
		{"<recipients>x@example.net</recipients>", "x@example.net", "Bob <bob@example.com>, list@example.net", "sender@example.org"},
		{"<sender>a@example.net</sender>", "bob@example.com alice@example.com", "Bob <bob@example.com>, list@example.net", "sender@example.org"},
		{"<reversePath>postmaster</reversePath><static>true</static>", "bob@example.com alice@example.com", "Bob <bob@example.com>, list@example.net", "bob@example.com"},
	} {
		ma, _ := load(t, testRegistry(t), "Resend", tc.params)
		n := onlyEntry(t, serve(t, ma, redirectMail()))
		to, _ := mime.Get(n.Message.Header(), "To")
		if got := strings.Join(container.AddressStrings(n.Recipients), " "); got != tc.rcpts || to != tc.to || n.Sender.String() != tc.sender {
			t.Errorf("%s: got %s to %s, To %s", tc.params, n.Sender, got, to)
		}
	}
}

func TestRedirectHeader(t *testing.T) {
	for _, tc := range []struct{ params, has, hasNot string }{
		{"<subject>New</subject>", "\r\nSubject: New\r\n", "Quarterly"},
		{"<prefix>[x]</prefix>", "\r\nSubject: [x] Quarterly report\r\n", "zzz"},
		{"<prefix>[x]</prefix><subject>grüße</subject>", "\r\nSubject: [x] =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n", "Quarterly"},
		{"<isReply>true</isReply>", "In-Reply-To: <orig-1@example.org>\r\n", "zzz"},
		{"<isReply>false</isReply>", "X-Other: 1\r\n", "In-Reply-To"},
		{"<inline>none</inline><message>Look here</message>", "Look here\r\n", "Hello."},
		{"<inline>none</inline>", "Received: from client by mx\r\n", "X-Other"},
		{"<inline>none</inline>", "MIME-Version: 1.0", "Return-Path"},
		{"<inline>none</inline>", "Subject: Quarterly report\r\n", "Message-ID: <orig-1"},
		{"<inline>body</inline>", "Message:\r\nHello.\r\n", "X-Other"},
		{"<inline>heads</inline>", "X-Other: 1\r\n", "Hello."},
		{"<inline>all</inline>", "Message Headers:\r\n", "filename"},
		{"<inline>none</inline><attachment>message</attachment>", "message/rfc822", "zzz"},
		{"<inline>none</inline><attachment>heads</attachment>", "X-Other: 1", "Hello."},
		{"<inline>none</inline><attachment>body</attachment>", "Hello.", "X-Other"},
		{"<inline>none</inline><attachment>all</attachment>", "\r\nMessage:\r\nHello.", "message/rfc822"},
		{"<inline>none</inline><attachError>true</attachError>", "filename=Reasons", "zzz"},
		{"<attachment>message</attachment><message>m</message><attachError>true</attachError>", "\r\n\r\nHello.\r\n", "multipart"},
		{"<inline>unaltered</inline>", redirectHeader + "\r\nHello.\r\n", "zzz"},
	} {
		ma := mustLoad(t, testRegistry(t), "Redirect", "<recipients>x@example.net</recipients><to>unaltered</to>"+tc.params)
		m := redirectMail()
		m.ErrorMessage = "it broke"
		got := text(t, onlyEntry(t, serve(t, ma, m)))
		if !strings.Contains(got, tc.has) || strings.Contains(got, tc.hasNot) {
			t.Errorf("%s: want %q, not %q in\n%s", tc.params, tc.has, tc.hasNot, got)
		}
	}
	m := redirectMail()
	m.Message.SetHeader([]byte("Auto-Submitted: auto-replied\r\n" + redirectHeader))
	auto := onlyEntry(t, serve(t, mustLoad(t, testRegistry(t), "Redirect", "<recipients>x@example.net</recipients><inline>body</inline>"), m))
	if v, _ := mime.Get(auto.Message.Header(), "Auto-Submitted"); v != "auto-replied" {
		t.Errorf("Auto-Submitted is %q", v)
	}
	m = redirectMail()
	m.Message = container.NewMessage([]byte("Subject: x\r\n"), nil)
	n := onlyEntry(t, serve(t, mustLoad(t, testRegistry(t), "Forward", "<forwardTo>x@example.net</forwardTo>"), m))
	if v, ok := mime.Get(n.Message.Header(), "Date"); !ok || v == "" {
		t.Error("a missing Date was not added")
	}
}

func TestRedirectEnvelope(t *testing.T) {
	m := redirectMail()
	m.RemoteAddr, m.RemoteHost, m.ErrorMessage = "192.0.2.1", "far.example", "e"
	m.Set("other", "x")
	m.Set(container.AttrSMTPAuthUser, "u")
	m.Set(container.AttrRequireTLS, true)
	m.Set(container.AttrBodyType, "8BITMIME")
	m.Set(container.AttrRecordedRcpts, []container.Value{"a@b"})
	n := onlyEntry(t, serve(t, mustLoad(t, testRegistry(t), "Redirect", "<recipients>jörg@example.net</recipients><passThrough>true</passThrough>"), m))
	want := container.Attributes{container.AttrSentByMailet: true, container.AttrRequireTLS: true, container.AttrBodyType: "8BITMIME",
		container.AttrSMTPUTF8: true, container.AttrRecordedRcpts: []container.Value{"a@b"}}
	a, _ := n.Attributes.MarshalJSON()
	b, _ := want.MarshalJSON()
	if len(n.Attributes) != len(want) || len(a) != len(b) {
		t.Errorf("attributes %s, want %s", a, b)
	}
	if n.State != container.StateRoot || n.RemoteAddr != "127.0.0.1" || n.RemoteHost != "mx.example.com" || !strings.HasPrefix(n.Name, "Mail1!") || n.ID != m.ID || n.ErrorMessage != "e" {
		t.Errorf("got %+v", n)
	}
	if m.State != container.StateRoot || len(m.Recipients) != 2 || len(m.Attributes) != 5 {
		t.Errorf("the mail changed: %+v", m)
	}
}

// A header can have very many addresses.
func TestRedirectManyAddresses(t *testing.T) {
	var b strings.Builder
	const n = 50_000
	for i := range n {
		fmt.Fprintf(&b, "Reply-To: u%d@x.test, u%d@x.test\r\n", i, i)
	}
	m := redirectMail()
	m.Message.SetHeader([]byte(b.String()))
	got := onlyEntry(t, serve(t, mustLoad(t, testRegistry(t), "Redirect", "<recipients>replyTo</recipients><to>unaltered</to>"), m))
	if len(got.Recipients) != n {
		t.Errorf("got %d recipients", len(got.Recipients))
	}
}

// A loop within the server ends: copies of copies are refused.
func TestRedirectLoopEnds(t *testing.T) {
	ma, _ := load(t, testRegistry(t), "Resend", "")
	m, rounds := redirectMail(), 0
	for ; rounds < 20; rounds++ {
		out := &container.Outbox{}
		if err := ma.Service(t.Context(), m, out); err != nil {
			if !errors.Is(err, container.ErrTooManyCopies) || m.State == container.StateGhost {
				t.Errorf("%v, state %s", err, m.State)
			}
			break
		}
		m = onlyEntry(t, out)
	}
	if rounds != 8 {
		t.Errorf("ended after %d rounds", rounds)
	}
}

// A mail whose new recipients are nobody is not lost.
func TestRedirectNobody(t *testing.T) {
	for _, params := range []string{"<recipients>sender</recipients>", "<recipients>null</recipients>", "<to>reversePath, from</to>"} {
		for _, pass := range []string{"true", "false"} {
			m, out := redirectMail(), &container.Outbox{}
			m.Sender = container.Address{}
			err := mustLoad(t, testRegistry(t), "Redirect", params+"<passThrough>"+pass+"</passThrough>").Service(t.Context(), m, out)
			if (err != nil) != (pass == "false") || out.Len() != 0 || m.State != container.StateRoot {
				t.Errorf("%s, passThrough %s: %v, %d sent, state %s", params, pass, err, out.Len(), m.State)
			}
		}
	}
}

func TestForward(t *testing.T) {
	for _, tc := range []struct{ params, want string }{
		{"<forwardTo>x@example.net, postmaster</forwardTo>", "x@example.net bob@example.com"},
		{"<forwardTo>x@example.net</forwardTo><forwardto>y@example.net</forwardto>", "y@example.net"},
		{"<forwardTo>recipients, X &lt;x@example.net&gt;</forwardTo>", "bob@example.com alice@example.com x@example.net"},
	} {
		m := redirectMail()
		n := onlyEntry(t, serve(t, mustLoad(t, testRegistry(t), "Forward", tc.params), m))
		if got := strings.Join(container.AddressStrings(n.Recipients), " "); got != tc.want || n.Sender != m.Sender {
			t.Errorf("%s: got %s from %s", tc.params, got, n.Sender)
		}
		if got := text(t, n); got != redirectHeader+"\r\nHello.\r\n" {
			t.Errorf("%s: message is %q", tc.params, got)
		}
	}
}

func TestFakeDomainCheck(t *testing.T) {
	zone := dnstest.New(t, "mx.test. 60 IN MX 10 a.test.", "host.test. 60 IN A 192.0.2.1", "null.test. 60 IN MX 0 .")
	zone.Fail("broken.test", "SERVFAIL")
	s := testServices(t)
	s.DNS = dns.New(dns.Config{Servers: []string{zone.Addr()}})
	r := container.NewRegistry()
	Register(r, s)
	ma := mustLoad(t, r, "Forward", "<forwardTo>x@example.net</forwardTo><fakeDomainCheck>true</fakeDomainCheck>")
	for sender, ok := range map[string]bool{"a@mx.test": true, "a@host.test": true, "a@[192.0.2.3]": true, "": true,
		"a@null.test": false, "a@nothing.test": false, "a@broken.test": false} {
		m, out := redirectMail(), &container.Outbox{}
		if m.Sender = (container.Address{}); sender != "" {
			m.Sender = container.MustAddress(sender)
		}
		err := ma.Service(t.Context(), m, out)
		if (err == nil) != ok || (out.Len() == 1) != ok || (m.State == container.StateGhost) != ok {
			t.Errorf("%s: %v, %d sent, state %s", sender, err, out.Len(), m.State)
		}
	}
}

func TestRedirectParameters(t *testing.T) {
	for _, tc := range []struct{ class, params, want string }{
		{"Redirect", "", "warning: Redirect has no <recipients>"},
		{"Resend", "<to>x@y.test</to>", "warning: Resend has no <recipients>"},
		{"Redirect", "<recipients>unaltered</recipients>", "warning: Redirect has no <recipients>"},
		{"Redirect", "<recipients>bob</recipients>", "error: <recipients>: "},
		{"Redirect", "<recipients>a@b@c</recipients>", "error: <recipients>: "},
		{"Redirect", "<recipients>delete</recipients>", "\"delete\" cannot stand here"},
		{"Redirect", "<to>x@y.test, Delete</to>", "\"Delete\" cannot stand here"},
		{"Redirect", "<to>x@y.test</to><sender>from</sender>", "\"from\" cannot stand here"},
		{"Redirect", "<to>x@y.test</to><sender>null</sender>", "\"null\" cannot stand here"},
		{"Redirect", "<to>x@y.test</to><sender>a@y.test, b@y.test</sender>", "error: <sender>: "},
		{"Redirect", "<to>x@y.test</to><replyTo>recipients</replyTo>", "cannot stand here"},
		{"Redirect", "<to>x@y.test</to><replyto>x</replyto>", "error: <replyto>: "},
		{"Redirect", "<to>x@y.test</to><reversePath>to</reversePath>", "cannot stand here"},
		{"Redirect", "<to>x@y.test</to><inline>everything</inline>", "warning: <inline> is \"everything\""},
		{"Redirect", "<to>x@y.test</to><attachment>unaltered</attachment>", "warning: <attachment> is \"unaltered\""},
		{"Redirect", "<to>x@y.test</to><isReply>1</isReply>", "warning: <isReply> is"},
		{"Redirect", "<to>x@y.test</to><notice>1</notice>", "error: <notice> is not a parameter"},
		{"Forward", "", "error: <forwardTo>: there is nobody"},
		{"Forward", "<forwardTo>,</forwardTo>", "error: <forwardTo>: there is nobody"},
		{"Forward", "<forwardTo>x y</forwardTo>", "error: <forwardTo>: "},
		{"Forward", "<forwardTo>x@y.test</forwardTo><inline>none</inline>", "error: <inline> is not a parameter"},
		{"Forward", "<forwardTo>x@y.test</forwardTo><passThrough>x</passThrough>", "warning: <passThrough> is"},
		{"NotifySender", "<to>x@y.test</to>", "warning: <to> is \"x@y.test\""},
		{"NotifySender", "<to>postmaster</to>", "warning: <to> is \"postmaster\""},
		{"NotifySender", "<recipients>x@y.test</recipients>", "error: <recipients> is not a parameter"},
		{"NotifySender", "<sender>from</sender>", "error: <sender>: "},
		{"NotifyPostmaster", "<sendingAddress>x</sendingAddress>", "error: <sendingAddress>: "},
		{"NotifyPostmaster", "<to>sender</to>", "warning: <to> is \"sender\""},
	} {
		_, problems := load(t, testRegistry(t), tc.class, tc.params)
		if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, tc.want) }) || len(problems) > 2 {
			t.Errorf("%s %s: got %q, want %q", tc.class, tc.params, problems, tc.want)
		}
	}
}

func TestNotifyEnvelope(t *testing.T) {
	for _, tc := range []struct{ class, params, rcpt, to, from, auto string }{
		{"NotifySender", "", "sender@example.org", "sender@example.org", "bob@example.com", "auto-replied"},
		{"NotifySender", "<to>From</to><sender>x@example.com</sender>", "sender@example.org", "ann@example.org", "x@example.com", "auto-replied"},
		{"NotifySender", "<to>UNALTERED</to><sender>sender</sender>", "sender@example.org", "Bob <bob@example.com>, list@example.net", "sender@example.org", "auto-replied"},
		{"NotifySender", `<sender>"Mail Desk, Example" &lt;x@example.com&gt;</sender>`, "sender@example.org", "sender@example.org", "x@example.com", "auto-replied"},
		{"NotifySender", "<sender/><sendingAddress>x@example.com</sendingAddress>", "sender@example.org", "sender@example.org", "bob@example.com", "auto-replied"},
		{"NotifyPostmaster", "", "bob@example.com", "bob@example.com", "bob@example.com", "auto-generated"},
		{"NotifyPostmaster", "<to>unaltered</to><sendingAddress>x@example.com</sendingAddress>", "bob@example.com", "Bob <bob@example.com>, list@example.net", "x@example.com", "auto-generated"},
	} {
		m := redirectMail()
		n := onlyEntry(t, serve(t, mustLoad(t, testRegistry(t), tc.class, tc.params), m))
		for name, want := range map[string]string{"To": tc.to, "From": tc.from, "Auto-Submitted": tc.auto, "Subject": "Re: Quarterly report", "In-Reply-To": "<orig-1@example.org>"} {
			if got, _ := mime.Get(n.Message.Header(), name); got != want {
				t.Errorf("%s %s: %s is %q, want %q", tc.class, tc.params, name, got, want)
			}
		}
		if !n.Sender.IsNull() || len(n.Recipients) != 1 || n.Recipients[0].String() != tc.rcpt || m.State != container.StateRoot || mime.Has(n.Message.Header(), "Reply-To") {
			t.Errorf("%s %s: got %+v", tc.class, tc.params, n)
		}
	}
}

func TestReportsHaveTheSenderWithoutItsName(t *testing.T) {
	for _, class := range []string{"Bounce", "DSNBounce", "NotifySender", "NotifyPostmaster"} {
		ma := mustLoad(t, testRegistry(t), class, `<sender>"Mail Desk, Example" &lt;x@example.com&gt;</sender>`)
		n := onlyEntry(t, serve(t, ma, redirectMail()))
		if from, _ := mime.Get(n.Message.Header(), "From"); from != "x@example.com" {
			t.Errorf("%s: From is %q", class, from)
		}
	}
}

// A report goes as protected as the mail went (RFC 8689 §5).
func TestReportsKeepRequireTLS(t *testing.T) {
	for _, class := range []string{"Bounce", "DSNBounce", "NotifySender", "NotifyPostmaster"} {
		m := redirectMail()
		m.Set(container.AttrRequireTLS, true)
		n := onlyEntry(t, serve(t, mustLoad(t, testRegistry(t), class, ""), m))
		if is, _ := n.Attributes.Bool(container.AttrRequireTLS); !is {
			t.Errorf("%s: attributes are %v", class, n.Attributes)
		}
	}
}

func TestNotifyAddresses(t *testing.T) {
	m := redirectMail()
	m.Sender = container.Address{}
	n := onlyEntry(t, serve(t, mustLoad(t, testRegistry(t), "NotifyPostmaster", "<sender>sender</sender>"), m))
	if got, _ := mime.Get(n.Message.Header(), "From"); got != "bob@example.com" {
		t.Errorf("null sender: From is %q", got)
	}
	m = redirectMail()
	m.Sender = container.MustAddress("jörg@example.org")
	n = onlyEntry(t, serve(t, mustLoad(t, testRegistry(t), "NotifySender", ""), m))
	if utf8, _ := n.Attributes.Bool(container.AttrSMTPUTF8); !utf8 {
		t.Errorf("attributes are %v", n.Attributes)
	}
}

func TestNotifySilence(t *testing.T) {
	null := redirectMail()
	null.Sender = container.Address{}
	report := redirectMail()
	report.Message.SetHeader([]byte("Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; boundary=x\r\n"))
	for name, m := range map[string]*container.Mail{"null sender": null, "report": report} {
		ma := mustLoad(t, testRegistry(t), "NotifySender", "<passThrough>false</passThrough>")
		if out := serve(t, ma, m.Clone()); out.Len() != 0 {
			t.Errorf("%s: the sender is notified", name)
		}
		post := mustLoad(t, testRegistry(t), "NotifyPostmaster", "<passThrough>false</passThrough>")
		c := m.Clone()
		first := onlyEntry(t, serve(t, post, c))
		if c.State != container.StateGhost {
			t.Errorf("%s: state %s", name, c.State)
		}
		if out := serve(t, post, first); out.Len() != 0 || first.State != container.StateGhost {
			t.Errorf("%s: notice about a notice", name)
		}
	}
}

var changing = regexp.MustCompile(`=_[A-Z2-7]{26}|<[A-Z2-7]{26}@`)

// TestNotifyGolden compares whole messages; what is random is replaced.
func TestNotifyGolden(t *testing.T) {
	fixed := func() time.Time { return time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC) }
	for name, params := range map[string]string{
		"NotifySender":     "<prefix>[held]</prefix><notice>Your mail was held back.</notice><attachError>true</attachError>",
		"NotifyPostmaster": "<inline>heads</inline><attachment>none</attachment><message>Look at this, grüße.</message>",
		"Bounce":           "<attachment>heads</attachment>",
		"Redirect":         "<recipients>x@example.net</recipients><sender>postmaster</sender><prefix>[audit]</prefix><inline>none</inline><attachment>message</attachment><message>See below.</message>",
	} {
		ma := mustLoad(t, testRegistry(t), name, params)
		switch ma := ma.(type) {
		case *NotifySender:
			ma.now = fixed
		case *NotifyPostmaster:
			ma.now = fixed
		case *Bounce:
			ma.now = fixed
		}
		m := redirectMail()
		m.ErrorMessage = "550 5.7.1 it broke\r\nbadly"
		got := text(t, onlyEntry(t, serve(t, ma, m)))
		seen := map[string]string{}
		got = changing.ReplaceAllStringFunc(got, func(s string) string {
			if _, ok := seen[s]; !ok {
				seen[s] = s[:1] + "random-" + string(rune('1'+len(seen))) + strings.TrimLeft(s[len(s)-1:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
			}
			return seen[s]
		})
		golden(t, strings.ToLower(name)+".eml", container.ParseMessage([]byte(got)))
	}
}

// FuzzNotice: whatever subject, sender, error text and body are, a notice parses,
// its parts too, and its header has the fields that it should have and no other.
func FuzzNotice(f *testing.F) {
	f.Add("hello", "a@b.test", "550 no", "Hello.\r\n", byte(0))
	f.Add("x\r\nBcc: evil@example.com\r\n\r\nbody", `"a b"@b.test`, "no\r\n.\r\n--=_", "--=_x--\r\n\xff\x00", byte(3))
	f.Add(strings.Repeat("=?utf-8?q?=0D=0ABcc:_a?=", 100), "jörg@b.test", strings.Repeat("e", 3000), strings.Repeat("ü", 2000), byte(7))
	reg := testRegistry(f)
	kinds := []string{"none", "heads", "body", "all", "message"}
	var mas []container.Mailet
	for _, class := range []string{"NotifySender", "NotifyPostmaster", "Bounce"} {
		for _, k := range kinds {
			inline := k
			if k == "message" {
				inline = "none"
			}
			mas = append(mas, mustLoad(f, reg, class, "<attachError>true</attachError><attachment>"+k+"</attachment><inline>"+inline+"</inline>"))
		}
	}
	f.Fuzz(func(t *testing.T, subject, sender, text, body string, which byte) {
		from, err := container.ParseAddress(sender)
		if err != nil {
			return
		}
		m := testMail("bob@example.com")
		m.Sender, m.ErrorMessage = from, text
		m.Message = container.ParseMessage([]byte("Subject: " + subject + "\r\nMessage-ID: " + text + "\r\n\r\n" + body))
		out := &container.Outbox{}
		if err := mas[int(which)%len(mas)].Service(t.Context(), m, out); err != nil {
			t.Fatal(err)
		}
		if out.Len() == 0 {
			return // the message is a report itself
		}
		checkNotice(t, out.Entries()[0].Mail)
	})
}

func checkNotice(t *testing.T, n *container.Mail) {
	t.Helper()
	known := []string{"Date", "From", "To", "Subject", "Message-Id", "Auto-Submitted", "X-Mailetd-Notices", "In-Reply-To", "Mime-Version", "Content-Type", "Content-Transfer-Encoding"}
	var raw bytes.Buffer
	if _, err := n.Message.WriteTo(&raw); err != nil {
		t.Fatal(err)
	}
	e, err := message.Read(bytes.NewReader(raw.Bytes()))
	if err != nil {
		t.Fatalf("%v in\n%q", err, raw.String())
	}
	seen := map[string]int{}
	for fields := e.Header.Fields(); fields.Next(); {
		seen[fields.Key()]++
		if !slices.Contains(known, fields.Key()) {
			t.Fatalf("field %s in\n%q", fields.Key(), n.Message.Header())
		}
	}
	for _, name := range known[:6] {
		if seen[name] != 1 {
			t.Fatalf("%d fields %s in\n%q", seen[name], name, n.Message.Header())
		}
	}
	mr := e.MultipartReader()
	if mr == nil {
		t.Fatalf("no multipart:\n%q", raw.String())
	}
	parts := 0
	for {
		p, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !message.IsUnknownCharset(err) {
			t.Fatalf("%v in\n%q", err, raw.String())
		}
		parts++
		if _, err := io.Copy(io.Discard, p.Body); err != nil {
			t.Fatalf("part %d: %v in\n%q", parts, err, raw.String())
		}
	}
	if parts < 1 || parts > 3 {
		t.Fatalf("%d parts in\n%q", parts, raw.String())
	}
}

// Two servers whose postmasters cannot be reached at each other's come to an end.
func TestPostmastersOfTwoServers(t *testing.T) {
	var servers []container.Mailet
	for _, host := range []string{"a.test", "b.test"} {
		s := testServices(t)
		s.Hostname = host
		r := container.NewRegistry()
		Register(r, s)
		servers = append(servers, mustLoad(t, r, "NotifyPostmaster", ""))
	}
	m := redirectMail()
	m.Sender = container.Address{}
	for n := range 20 {
		out := serve(t, servers[n%2], m)
		if out.Len() == 0 {
			if n != 4 {
				t.Errorf("no notice after %d of them, want 4", n)
			}
			return
		}
		m = onlyEntry(t, out)
	}
	t.Error("it goes on for ever")
}
