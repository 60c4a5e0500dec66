package responder_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/mailets/responder"
)

var (
	bob = container.MustAddress("bob@here.test")
	now = time.Date(2026, 8, 22, 6, 44, 35, 0, time.UTC)
)

// notes keeps who was answered, in memory.
type notes struct {
	mu   sync.Mutex
	seen map[string]time.Time
	err  error
}

func (n *notes) NoteResponse(_ context.Context, user, handle, correspondent string, now, until time.Time) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err != nil {
		return false, n.err
	}
	key := user + "\x00" + handle + "\x00" + correspondent
	if old, ok := n.seen[key]; ok && old.After(now) {
		return false, nil
	}
	if n.seen == nil {
		n.seen = map[string]time.Time{}
	}
	n.seen[key] = until
	return true, nil
}

func newResponder(n *notes) *responder.Responder {
	return &responder.Responder{Notes: n, Hostname: "mx.here.test", Now: func() time.Time { return now }}
}

// mailOf returns a mail from sender with a header.
func mailOf(sender, header string) *container.Mail {
	var from container.Address
	if sender != "" {
		from = container.MustAddress(sender)
	}
	header = strings.ReplaceAll(strings.TrimRight(header, "\n")+"\n", "\n", "\r\n")
	return container.NewMail(from, []container.Address{bob}, container.ParseMessage([]byte(header+"\r\nHello.\r\n")))
}

func reply(t *testing.T, r *responder.Responder, m *container.Mail, a responder.Answer) (answer *container.Mail, why string) {
	t.Helper()
	var out container.Outbox
	sent, why, err := r.Reply(t.Context(), m, &out, a)
	if err != nil {
		t.Fatal(err)
	}
	if sent != (out.Len() == 1) || sent == (why != "") {
		t.Fatalf("sent %v, why %q, but %d mails", sent, why, out.Len())
	}
	if !sent {
		return nil, why
	}
	return out.Entries()[0].Mail, ""
}

func text(t *testing.T, m *container.Mail) string {
	t.Helper()
	var b strings.Builder
	if _, err := m.Message.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWhoIsAnswered(t *testing.T) {
	const person, toBob = "alice@far.test", "To: Bob <BOB@here.test>\n"
	for _, tc := range []struct {
		name, sender, header string
		change               func(*container.Mail, *responder.Answer)
		why                  string
	}{
		{name: "person", sender: person, header: toBob},
		{name: "in Cc", sender: person, header: "To: x@far.test\nCc: y@far.test, bob@here.test\n"},
		{name: "resent", sender: person, header: "To: x@far.test\nResent-To: bob@here.test\n"},
		{name: "alias", sender: person, header: "To: robert@here.test\n", change: func(_ *container.Mail, a *responder.Answer) {
			a.Aliases = []container.Address{container.MustAddress("robert@here.test")}
		}},
		{name: "not addressed", sender: person, header: "To: friends@far.test\n", why: "does not name the user"},
		{name: "not addressed, which does not matter", sender: person, header: "To: friends@far.test\n", change: func(_ *container.Mail, a *responder.Answer) { a.Unaddressed = true }},
		{name: "null sender", header: toBob, why: "sender is null"},
		{name: "null sender with Reply-To", header: toBob + "Reply-To: x@far.test\n", why: "sender is null",
			change: func(_ *container.Mail, a *responder.Answer) { a.ReplyTo = responder.ReplyToHeader }},
		{name: "own mail", sender: "Bob@here.test", header: toBob, why: "the user wrote"},
		{name: "own Reply-To", sender: person, header: toBob + "Reply-To: bob@HERE.test\n", why: "the user wrote",
			change: func(_ *container.Mail, a *responder.Answer) { a.ReplyTo = responder.ReplyToHeader }},
		{name: "robot in Reply-To", sender: person, header: toBob + "Reply-To: <no-reply@far.test>\n", why: "not a person",
			change: func(_ *container.Mail, a *responder.Answer) { a.ReplyTo = responder.ReplyToHeader }},
		{name: "made here", sender: person, header: toBob, why: "this server made",
			change: func(m *container.Mail, _ *responder.Answer) { m.Set(container.AttrSentByMailet, true) }},
		{name: "list", sender: person, header: toBob + "list-ID: <x.far.test>\n", why: "mailing list"},
		{name: "list unsubscribe", sender: person, header: toBob + "List-Unsubscribe: <mailto:x@far.test>\n", why: "mailing list"},
		{name: "unknown list field", sender: person, header: toBob + "List-X: 1\n", why: "mailing list"},
		{name: "bulk", sender: person, header: toBob + "Precedence: Bulk\n", why: "precedence bulk"},
		{name: "junk", sender: person, header: toBob + "Precedence:  junk (really)\n", why: "precedence junk"},
		{name: "precedence list", sender: person, header: toBob + "Precedence: list\n", why: "precedence list"},
		{name: "precedence first-class", sender: person, header: toBob + "Precedence: first-class\n"},
		{name: "replied", sender: person, header: toBob + "Auto-Submitted: auto-replied; x=y\n", why: "automatically"},
		{name: "unknown keyword", sender: person, header: toBob + "Auto-Submitted: AUTO-x\n", why: "automatically"},
		{name: "empty keyword", sender: person, header: toBob + "Auto-Submitted: \n", why: "automatically"},
		{name: "by hand", sender: person, header: toBob + "Auto-Submitted: (so) No; a=b\n"},
		{name: "second field counts", sender: person, header: toBob + "Auto-Submitted: no\nAuto-Submitted: auto-generated\n", why: "automatically"},
		{name: "many recipients", sender: person, header: toBob + "Cc: " + strings.Repeat("x@far.test, ", 5000) + "y@far.test\n"},
		{name: "very many recipients", sender: person, header: toBob + "Cc: " + strings.Repeat("x@far.test, ", 6000) + "y@far.test\n", why: "too many addresses"},
		{name: "very many places for an answer", sender: person, header: toBob + "Reply-To: x@far.test" + strings.Repeat(", x@far.test", 6000) + "\n", why: "too many addresses",
			change: func(_ *container.Mail, a *responder.Answer) { a.ReplyTo = responder.ReplyToHeader }},
		{name: "report", sender: person, header: toBob + "Content-Type: Multipart/Report;\n report-type=delivery-status; boundary=x\n", why: "report"},
		{name: "mixed", sender: person, header: toBob + "Content-Type: multipart/mixed; boundary=\"multipart/report\"\n"},
		{name: "OOF", sender: person, header: toBob + "X-Auto-Response-Suppress: DR, OOF\n", why: "no automatic answer"},
		{name: "All", sender: person, header: toBob + "X-Auto-Response-Suppress: All\n", why: "no automatic answer"},
		{name: "other suppression", sender: person, header: toBob + "X-Auto-Response-Suppress: DR, RN\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, a := mailOf(tc.sender, tc.header), responder.Answer{User: bob, Text: "away", Period: time.Hour}
			if tc.change != nil {
				tc.change(m, &a)
			}
			n := &notes{}
			_, why := reply(t, newResponder(n), m, a)
			if (why == "") != (tc.why == "") || !strings.Contains(why, tc.why) {
				t.Errorf("got reason %q, want %q", why, tc.why)
			}
			if tc.why != "" && len(n.seen) > 0 {
				t.Error("an answer that was not sent was noted")
			}
		})
	}
}

func TestRobots(t *testing.T) {
	for local, robot := range map[string]bool{
		"mailer-daemon": true, "MAILER-DAEMON": true, "ListServ": true, "majordomo": true, "owner-x": true, "x-request": true,
		"noreply": true, "no-reply": true, "No_Reply": true, "news-noreply": true, "noreply-123": true, "do-not-reply": true, "noreply+x": true,
		"x-bounces": true, "bounces+12-ab=far.test": true, "x-bounces+ab=far.test": true, "x-owner": true, `"no-reply"`: true,
		"alice": false, "owner": false, "request": false, "postmaster": false, "nora.eply": false, "reply": false,
	} {
		_, why := reply(t, newResponder(&notes{}), mailOf(local+"@far.test", "To: bob@here.test"), responder.Answer{User: bob})
		if (why != "") != robot {
			t.Errorf("%s: got reason %q, want robot %v", local, why, robot)
		}
	}
}

// One answer for each correspondent, handle and period; the spelling of an address
// does not matter.
func TestOnce(t *testing.T) {
	n := &notes{}
	at := now
	r := &responder.Responder{Notes: n, Now: func() time.Time { return at }, UserName: func(a container.Address) string { return strings.ToLower(a.Local) }}
	for _, tc := range []struct {
		after          time.Duration
		sender, handle string
		want           bool
	}{
		{0, "alice@far.test", "h", true},
		{time.Hour, "ALICE@Far.Test", "h", false},
		{time.Hour, "alice@far.test", "i", true},
		{time.Hour, "carol@far.test", "h", true},
		{24 * time.Hour, "alice@far.test", "h", true},
	} {
		at = now.Add(tc.after)
		_, why := reply(t, r, mailOf(tc.sender, "To: bob@here.test"), responder.Answer{User: bob, Handle: tc.handle, Period: 24 * time.Hour})
		if (why == "") != tc.want {
			t.Errorf("%s %s after %v: got reason %q, want answer %v", tc.sender, tc.handle, tc.after, why, tc.want)
		}
	}
	if _, ok := n.seen["bob\x00h\x00alice@far.test"]; !ok {
		t.Errorf("noted: %v, want under the name of the account", n.seen)
	}
	n.err = errors.New("disk full")
	var out container.Outbox
	if sent, _, err := r.Reply(t.Context(), mailOf("dave@far.test", "To: bob@here.test"), &out, responder.Answer{User: bob}); sent || !errors.Is(err, n.err) || out.Len() > 0 {
		t.Errorf("without a note: got sent %v, %v, %d mails", sent, err, out.Len())
	}
}

func TestMessage(t *testing.T) {
	m := mailOf("alice@far.test", "To: bob@here.test\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nMessage-ID: <2@far.test>\nReferences: <0@far.test>\n <1@far.test>\n")
	m.Set(container.AttrRequireTLS, true)
	answer, _ := reply(t, newResponder(&notes{}), m, responder.Answer{User: bob, Text: "Bin weg.\nGrüße", HTML: "<p>Bin weg.</p>"})
	h := answer.Message.Header()
	for name, want := range map[string]string{
		"From": "bob@here.test", "To": "alice@far.test", "Subject": "Re: Grüße", "In-Reply-To": "<2@far.test>",
		"References": "<0@far.test> <1@far.test> <2@far.test>", "Auto-Submitted": "auto-replied", "Date": "Sat, 22 Aug 2026 06:44:35 +0000", "MIME-Version": "1.0",
	} {
		if got, _ := mime.Text(h, name); got != want || mime.Count(h, name) != 1 {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if id, _ := mime.Get(h, "Message-ID"); !strings.HasSuffix(id, "@mx.here.test>") {
		t.Errorf("Message-ID: got %q", id)
	}
	if !answer.Sender.IsNull() || len(answer.Recipients) != 1 || answer.Recipients[0].String() != "alice@far.test" || answer.State != container.StateRoot {
		t.Errorf("envelope: from %s to %v in %s", answer.Sender, answer.Recipients, answer.State)
	}
	if v, _ := answer.Attributes.Bool(container.AttrRequireTLS); !v {
		t.Error("REQUIRETLS is lost")
	}
	var kinds []string
	err := mime.Walk(&answer.Message, mime.Limits{}, func(e *mime.Entity) error {
		kinds = append(kinds, e.MediaType)
		return nil
	})
	if got := strings.Join(kinds, " "); err != nil || got != "multipart/alternative text/plain text/html" {
		t.Errorf("structure: got %s, %v", got, err)
	}
	if plain, err := mime.PlainText(&answer.Message, 1000); err != nil || plain != "Bin weg.\r\nGrüße\r\n" {
		t.Errorf("text: got %q, %v", plain, err)
	}
	if body := text(t, answer); !mime.IsASCII(body) {
		t.Errorf("not ASCII:\n%s", body)
	}
}

func TestContent(t *testing.T) {
	for _, tc := range []struct {
		name string
		a    responder.Answer
		want []string
		not  string
	}{
		{"text of HTML", responder.Answer{HTML: "<p>away</p>"}, []string{"text/plain", "\r\naway\r\n", "<p>away</p>"}, ""},
		{"nothing", responder.Answer{}, []string{"Content-Type: text/plain; charset=utf-8\r\n"}, ""},
		{"MIME", responder.Answer{Text: "not this", MIME: []byte("Content-Type: text/html\nSubject: evil\nBcc: x@far.test\n\n<b>away</b>\n")},
			[]string{"Content-Type: text/html\r\n", "\r\n\r\n<b>away</b>\r\n"}, "evil"},
		{"MIME without header", responder.Answer{MIME: []byte("\naway\n")}, []string{"\r\n\r\naway\r\n"}, ""},
		{"MIME of 8 bits", responder.Answer{MIME: []byte("Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n")}, []string{"Content-Transfer-Encoding: 8bit\r\n", "Grüße"}, ""},
		{"From with a name", responder.Answer{From: "Böb <robert@here.test>"}, []string{"From: =?utf-8?q?B=C3=B6b?= <robert@here.test>"}, ""},
		{"From that is none", responder.Answer{From: "a@b.test, c@d.test"}, []string{"From: bob@here.test\r\n"}, "a@b.test"},
		{"subject with a line end", responder.Answer{Subject: "away\r\nBcc: x@far.test\r\n\r\nHi", Text: "."}, []string{"Subject: away Bcc: x@far.test Hi\r\n"}, "\r\nBcc"},
		{"name with a line end", responder.Answer{From: "\"a\r\nBcc: y@far.test\" <bob@here.test>"}, nil, "\r\nBcc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.a.User = bob
			answer, _ := reply(t, newResponder(&notes{}), mailOf("alice@far.test", "To: bob@here.test\nSubject: x"), tc.a)
			got := text(t, answer)
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			if tc.not != "" && strings.Contains(got, tc.not) {
				t.Errorf("%q in\n%s", tc.not, got)
			}
		})
	}
}

func TestAddressing(t *testing.T) {
	const header = "To: bob@here.test\nReply-To: nobody, Carol <carol@far.test>, dave@far.test\nFrom: x@far.test"
	for _, tc := range []struct {
		mode     responder.Mode
		header   string
		fromUser bool
		to       string
	}{
		{responder.Envelope, header, false, "alice@far.test"},
		{responder.ReplyToHeader, header, true, "carol@far.test"},
		{responder.ReplyToHeader, "To: bob@here.test\nReply-To: nobody\nFrom: x@far.test", false, "alice@far.test"},
	} {
		answer, _ := reply(t, newResponder(&notes{}), mailOf("alice@far.test", tc.header), responder.Answer{User: bob, ReplyTo: tc.mode, FromUser: tc.fromUser})
		to, _ := mime.Get(answer.Message.Header(), "To")
		if got := answer.Recipients[0].String(); got != tc.to || to != tc.to || answer.Sender.Equal(bob) != tc.fromUser {
			t.Errorf("mode %v: got %s, To %s, from %q, want %s", tc.mode, got, to, answer.Sender, tc.to)
		}
	}
}

// What an answer repeats of a mail is bounded.
func TestBounds(t *testing.T) {
	var refs strings.Builder
	for i := range 1000 {
		refs.WriteString(" <" + strings.Repeat("a", i%50+1) + "@far.test>\r\n")
	}
	m := mailOf("alice@far.test", "To: bob@here.test\nSubject: "+strings.Repeat("ü ", 5000)+"\nMessage-ID: <last@far.test>\nReferences: <first@far.test>\n"+strings.ReplaceAll(refs.String(), "\r\n", "\n"))
	answer, _ := reply(t, newResponder(&notes{}), m, responder.Answer{User: bob})
	h := answer.Message.Header()
	got, _ := mime.Get(h, "References")
	if !strings.HasPrefix(got, "<first@far.test> ") || !strings.HasSuffix(got, " <last@far.test>") || len(got) > 2100 {
		t.Errorf("References: got %d octets, %.40s…%s", len(got), got, got[max(0, len(got)-30):])
	}
	if len(h) > 6000 {
		t.Errorf("header of %d octets", len(h))
	}
}

// Whatever the mail and the answer hold, the answer has each of its fields once, no
// other, and says that it is one.
func FuzzReply(f *testing.F) {
	f.Add([]byte("To: bob@here.test\r\nSubject: x\r\n\r\nHi"), "away", "Bob <bob@here.test>", []byte("Content-Type: text/plain\n\nx"))
	f.Add([]byte("Message-ID: <a b>\r\nReferences: <\x00>\r\n\r\n"), "a\r\nBcc: x@y.test", "\r\nBcc: x", []byte("Content-X: a\r b\n\n"))
	f.Fuzz(func(t *testing.T, data []byte, subject, from string, entity []byte) {
		m := container.NewMail(container.MustAddress("alice@far.test"), []container.Address{bob}, container.ParseMessage(data))
		var out container.Outbox
		sent, _, err := newResponder(&notes{}).Reply(t.Context(), m, &out,
			responder.Answer{User: bob, Subject: subject, From: from, MIME: entity, Text: subject, HTML: from, Unaddressed: true})
		if err != nil {
			t.Fatal(err)
		}
		if !sent {
			return
		}
		answer := out.Entries()[0].Mail
		rc, err := answer.Message.Open()
		if err != nil {
			t.Fatal(err)
		}
		whole, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		if n := container.HeaderLength(whole); n != len(answer.Message.Header()) {
			t.Fatalf("the header ends at %d, not %d:\n%q", n, len(answer.Message.Header()), whole)
		}
		for field := range mime.Fields(answer.Message.Header()) {
			name := strings.ToLower(string(field.Name))
			switch name {
			case "date", "from", "to", "subject", "message-id", "in-reply-to", "references", "auto-submitted", "mime-version":
				if n := mime.Count(answer.Message.Header(), name); n != 1 {
					t.Errorf("%d fields %s", n, name)
				}
			default:
				if !strings.HasPrefix(name, "content-") {
					t.Errorf("field %q", field.Raw)
				}
			}
		}
		if v, _ := mime.Get(answer.Message.Header(), "Auto-Submitted"); v != "auto-replied" {
			t.Errorf("Auto-Submitted: %q", v)
		}
	})
}
