package dsn

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	arrived   = time.Date(2003, 7, 1, 8, 52, 37, 0, time.UTC)
	attempted = time.Date(2003, 7, 1, 10, 52, 37, 0, time.UTC)
	noThanks  = container.Outcome{Result: container.Failed, Host: "target.example.com", Addr: "42.42.42.42", Code: 550, Enhanced: "5.7.1", Text: "no thanks", Time: attempted}
)

func recipient(action string, o container.Outcome) Recipient {
	r := Recipient{Final: container.MustAddress("recip@target.example.com"), Action: action, Status: StatusOf(action, o, "")}
	r.Diagnose(o)
	return r
}

func report(rcpts ...Recipient) *Report {
	m := container.ParseMessage([]byte("Message-ID: <orig@sender.example.com>\r\nSubject: Hello!\r\n\r\nhello there\r\n"))
	return &Report{
		From: container.MustAddress("postmaster@mta1.example.com"), To: container.MustAddress("sender@sender.example.com"),
		Subject: "[FAILED] Hello!", Date: attempted, Boundary: "report-boundary", MessageID: "<UUID@mta1.example.com>",
		InReplyTo: "<orig@sender.example.com>", ReportingMTA: "mta1.example.com", ArrivalDate: arrived,
		Text: "Hi.\n\nYour message could not be delivered to:\n  recip@target.example.com\n", Recipients: rcpts,
		Original: &m, Return: ReturnFull,
	}
}

func message(t *testing.T, r *Report) (*Report, string) {
	t.Helper()
	m, err := r.Message()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse(&m)
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	return parsed, b.String()
}

func TestGolden(t *testing.T) {
	ok := container.Outcome{Host: "target.example.com", Addr: "42.42.42.42", Code: 250, Enhanced: "2.6.0", Text: "queued", Time: attempted}
	for name, r := range map[string]*Report{
		"failed":    failedReport(),
		"delayed":   delayedReport(),
		"delivered": report(recipient(Delivered, container.Outcome{Time: attempted})),
		"relayed":   report(recipient(Relayed, ok)),
		"expanded":  report(recipient(Expanded, container.Outcome{})),
		"multiline": report(recipient(Failed, container.Outcome{Host: "mx.test", Code: 550, Text: "mailbox unavailable\nuser has moved with no forwarding address", Time: attempted})),
		"smtputf8":  utf8Report("sender@sender.example.com"),
		"global":    utf8Report("jörg@sender.example.com"),
	} {
		t.Run(name, func(t *testing.T) {
			_, got := message(t, r)
			file := filepath.Join("testdata", name+".eml")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func failedReport() *Report {
	r := report(recipient(Failed, noThanks))
	r.EnvelopeID, r.ReceivedFrom, r.ReceivedFromAddr, r.MailName = "QQ 314159", "client.example.com", "192.0.2.9", "Mail1-X"
	r.Recipients[0].OriginalType, r.Recipients[0].Original = "rfc822", "Recip+list@Target.example.com"
	return r
}

func delayedReport() *Report {
	r := report(recipient(Delayed, container.Outcome{Host: "target.example.com", Code: 451, Text: "later", Time: attempted}))
	r.Recipients[0].WillRetryUntil = arrived.Add(5 * 24 * time.Hour)
	return r
}

func utf8Report(to string) *Report {
	r := report(recipient(Failed, container.Outcome{Host: "mx.test", Code: 550, Enhanced: "5.1.1", Text: "unbekannt: željko", Time: attempted}))
	m := container.ParseMessage([]byte("Subject: grüße\r\nTo: željko@target.example.com\r\n\r\nhallo grüße\r\n"))
	r.Original, r.SMTPUTF8, r.To, r.Subject = &m, true, container.MustAddress(to), "[FAILED] grüße"
	r.Text = "Leider nicht zugestellt: željko\n"
	r.Recipients[0].Final = container.MustAddress("željko@target.example.com")
	r.Recipients[0].OriginalType, r.Recipients[0].Original = "utf-8", `že\ko@target.example.com`
	return r
}

// Vector C of the reference, record A.
func TestStatusPartExactly(t *testing.T) {
	want := "Reporting-MTA: dns; mta1.example.com\r\nArrival-Date: Tue, 1 Jul 2003 08:52:37 +0000\r\n\r\n" +
		"Final-Recipient: rfc822; recip@target.example.com\r\nAction: failed\r\nStatus: 5.7.1\r\n" +
		"Remote-MTA: dns; target.example.com (42.42.42.42)\r\nDiagnostic-Code: smtp; 550 5.7.1 no thanks\r\n" +
		"Last-Attempt-Date: Tue, 1 Jul 2003 10:52:37 +0000\r\n"
	if got := string(report(recipient(Failed, noThanks)).statusPart().content); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Vector C, record B: the reply is ours, folded at 78.
func TestOwnReplyIsFolded(t *testing.T) {
	o := container.Outcome{Code: 551, Enhanced: "5.4.7", Time: attempted,
		Text: "Next delivery time would be at SOME TIME which exceeds the expiry time EXPIRES configured via set_scheduling"}
	got := string(report(recipient(Failed, o)).statusPart().content)
	want := "Diagnostic-Code: X-Mailetd; 551 5.4.7 Next delivery time would be at SOME TIME\r\n which exceeds the expiry time EXPIRES configured via set_scheduling\r\n"
	if !strings.Contains(got, want) || strings.Contains(got, "Remote-MTA") || !strings.Contains(got, "Status: 5.4.7\r\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestStatusOf(t *testing.T) {
	for _, tc := range []struct {
		action, enhanced string
		code             int
		def, want        string
	}{
		{Failed, "5.1.1", 550, "5.0.0", "5.1.1"},
		{Failed, "", 550, "5.3.0", "5.0.0"},
		{Failed, "", 0, "5.1.6", "5.1.6"},
		{Failed, "", 0, "unknown", "5.0.0"},
		{Failed, "4.4.7", 0, "", "4.4.7"},
		{Failed, "2.0.0", 250, "", "5.0.0"},
		{Delayed, "", 451, "", "4.0.0"},
		{Delayed, "5.1.1", 550, "5.0.0", "4.0.0"},
		{Delivered, "5.1.1", 550, "2.0.0", "2.0.0"},
		{Relayed, "2.6.0", 250, "2.0.0", "2.6.0"},
		{Expanded, "", 0, "nonsense", "2.0.0"},
	} {
		o := container.Outcome{Code: tc.code, Enhanced: tc.enhanced}
		if got := StatusOf(tc.action, o, tc.def); got != tc.want {
			t.Errorf("%+v: got %s", tc, got)
		}
	}
}

func TestReturned(t *testing.T) {
	long := strings.Repeat("x", 999)
	for _, tc := range []struct {
		name, original, action string
		ret                    Return
		utf8                   bool
		wantType, wantNote     string
	}{
		{"full", "A: b\r\n\r\nc\r\n", Failed, ReturnFull, false, "message/rfc822\r\n\r\nA: b\r\n\r\nc\r\n", ""},
		{"no line end at the end", "A: b\r\n\r\nc", Failed, ReturnFull, false, "message/rfc822\r\n\r\nA: b\r\n\r\nc\r\n--", ""},
		{"headers", "A: b\r\n\r\nc\r\n", Failed, ReturnHeaders, false, "text/rfc822-headers\r\n\r\nA: b\r\n\r\n--", ""},
		{"not failed", "A: b\r\n\r\nc\r\n", Delivered, ReturnFull, false, "text/rfc822-headers\r\n", ""},
		{"too large", "A: b\r\n\r\n" + strings.Repeat("0123456789abcde\r\n", 4000), Failed, ReturnFull, false, "text/rfc822-headers\r\n", "larger than 51200"},
		{"8-bit body", "A: b\r\n\r\nü\r\n", Failed, ReturnFull, false, "message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n", ""},
		{"8-bit header", "A: ü\r\n\r\nc\r\n", Failed, ReturnFull, false, "text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n", "as it is"},
		{"8-bit header, SMTPUTF8", "A: ü\r\n\r\nc\r\n", Failed, ReturnFull, true, "message/global\r\nContent-Transfer-Encoding: quoted-printable\r\n", ""},
		{"header that is not UTF-8, SMTPUTF8", "A: \xff\r\n\r\nc\r\n", Failed, ReturnFull, true, "text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n", "as it is"},
		{"long line", "A: b\r\n\r\n" + long + "\r\n", Failed, ReturnFull, false, "text/rfc822-headers\r\n", "as it is"},
		{"long header line", "A: " + long + "\r\n\r\n", Failed, ReturnHeaders, false, "text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n", ""},
		{"huge header", strings.Repeat("A: 0123456789012345678901234567890\r\n", 5000) + "\r\n", Failed, ReturnHeaders, false, "text/rfc822-headers\r\n", "first part"},
		{"NUL", "A: b\r\n\r\n\x00\r\n", Failed, ReturnFull, false, "text/rfc822-headers\r\n", "as it is"},
		{"bare LF", "A: b\r\n\r\na\nb\r\n", Failed, ReturnFull, false, "text/rfc822-headers\r\n", "as it is"},
		{"CR at the end", "A: b\r\n\r\na\r", Failed, ReturnFull, false, "text/rfc822-headers\r\n", "as it is"},
		{"the boundary in it", "A: b\r\n\r\n--report-boundary--\r\n", Failed, ReturnFull, false, "--report-boundary_1\r\n", ""},
		{"nothing", "A: b\r\n\r\nc\r\n", Failed, ReturnNone, false, "--report-boundary--\r\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := report(recipient(tc.action, container.Outcome{}))
			m := container.ParseMessage([]byte(tc.original))
			r.Original, r.Return, r.SMTPUTF8 = &m, tc.ret, tc.utf8
			parsed, got := message(t, r)
			if !strings.Contains(got, tc.wantType) {
				t.Errorf("want %q in\n%s", tc.wantType, got)
			}
			if hasNote := strings.Contains(parsed.Text, "returned"); hasNote != (tc.wantNote != "") || !strings.Contains(parsed.Text, tc.wantNote) {
				t.Errorf("text is %q, want a note with %q", parsed.Text, tc.wantNote)
			}
			if tc.ret == ReturnNone != (parsed.Original == nil) {
				t.Errorf("third part: %v", parsed.Original)
			}
		})
	}
}

// Texts of strangers stay inside their field.
func TestInjection(t *testing.T) {
	evil := "x\r\nAction: delivered\r\n\r\nFinal-Recipient: rfc822; other@evil.test\r\n--report-boundary--\r\n\x00\x1b[31m"
	o := container.Outcome{Host: evil, Addr: evil, Code: 550, Enhanced: evil, Text: evil, Time: attempted}
	r := report(recipient(Failed, o))
	r.EnvelopeID, r.ReceivedFrom, r.ReceivedFromAddr, r.MailName = evil, evil, evil, evil
	r.Subject, r.InReplyTo, r.MessageID = evil, evil, evil
	r.Recipients[0].OriginalType, r.Recipients[0].Original = evil, evil
	parsed, got := message(t, r)
	if len(parsed.Recipients) != 1 || parsed.Recipients[0].Action != Failed || parsed.Recipients[0].Final.String() != "recip@target.example.com" {
		t.Errorf("got %+v in\n%s", parsed.Recipients, got)
	}
	if strings.Count(got, "\r\nAction:") != 1 || strings.ContainsAny(got, "\x00\x1b") {
		t.Errorf("got\n%s", got)
	}
}

func TestHugeReply(t *testing.T) {
	for name, text := range map[string]string{
		"one word": strings.Repeat("x", 100_000),
		"lines":    strings.Repeat("some line\n", 10_000),
		"blanks":   strings.Repeat(" ", 100_000) + "x",
		"8-bit":    strings.Repeat("\xe9", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			o := noThanks
			o.Text = text
			parsed, got := message(t, report(recipient(Failed, o)))
			if len(got) > 25_000 {
				t.Errorf("report of %d octets", len(got))
			}
			if d := parsed.Recipients[0]; d.DiagnosticType != "smtp" || name != "blanks" && !strings.HasSuffix(d.Diagnostic, "...") {
				t.Errorf("got %s %.60q", d.DiagnosticType, d.Diagnostic)
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	want := failedReport()
	want.DeliverBy = arrived.Add(time.Hour)
	parsed, _ := message(t, want)
	want.Original, parsed.Original = nil, nil
	want.Recipients[0].Diagnostic = "550 5.7.1 no thanks"
	for i, pair := range [][2]string{
		{parsed.Subject, want.Subject}, {parsed.EnvelopeID, want.EnvelopeID}, {parsed.ReceivedFrom, want.ReceivedFrom},
		{parsed.ReceivedFromAddr, want.ReceivedFromAddr}, {parsed.MailName, want.MailName}, {parsed.ReportingMTA, want.ReportingMTA},
		{parsed.Text, want.Text}, {parsed.InReplyTo, want.InReplyTo}, {parsed.To.String(), want.To.String()},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%d: got %q, want %q", i, pair[0], pair[1])
		}
	}
	got, exp := parsed.Recipients[0], want.Recipients[0]
	if !got.LastAttempt.Equal(exp.LastAttempt) || !parsed.ArrivalDate.Equal(want.ArrivalDate) || !parsed.DeliverBy.Equal(want.DeliverBy) {
		t.Errorf("dates: %v, %v", got.LastAttempt, parsed.ArrivalDate)
	}
	got.LastAttempt, exp.LastAttempt = time.Time{}, time.Time{}
	if got != exp {
		t.Errorf("got %+v, want %+v", got, exp)
	}
	u, _ := message(t, utf8Report("sender@sender.example.com"))
	if r := u.Recipients[0]; r.Final.String() != "željko@target.example.com" || r.Original != `že\ko@target.example.com` || r.OriginalType != "utf-8" {
		t.Errorf("got %+v", r)
	}
}

func TestHosts(t *testing.T) {
	for host, want := range map[string]string{
		"mx.test": "dns; mx.test", "localhost": "x-local-hostname; localhost", "": "x-local-hostname; unknown",
		"192.0.2.1": "dns; [192.0.2.1]", "2001:db8::1": "dns; [IPv6:2001:db8::1]", "a b": "x-local-hostname; a?b",
	} {
		r := report(recipient(Failed, noThanks))
		r.ReportingMTA = host
		if _, got := message(t, r); !strings.Contains(got, "Reporting-MTA: "+want+"\r\n") {
			t.Errorf("%q: want %q in\n%s", host, want, got)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, edit := range map[string]func(*Report){
		"null":          func(r *Report) { r.To = container.Address{} },
		"no recipients": func(r *Report) { r.Recipients = nil },
		"action":        func(r *Report) { r.Recipients[0].Action = "lost" },
		"status":        func(r *Report) { r.Recipients[0].Status = "550 5.1.1 no" },
		"class":         func(r *Report) { r.Recipients[0].Status = "2.0.0" },
		"final":         func(r *Report) { r.Recipients[0].Final = container.Address{} },
	} {
		r := report(recipient(Failed, noThanks))
		edit(r)
		if _, err := r.Message(); err == nil || name == "null" && !errors.Is(err, ErrNullRecipient) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Parse finds what is wrong.
func TestParseRefuses(t *testing.T) {
	_, good := message(t, failedReport())
	for _, tc := range []struct{ old, new string }{
		{"Auto-Submitted: auto-replied", "Auto-Submitted: auto-generated"},
		{"Date: Tue, 1 Jul 2003 10:52:37 +0000\r\nFrom", "From"},
		{"multipart/report;", "multipart/mixed;"},
		{"Status: 5.7.1", "Status: 5.7.1 no thanks"},
		{"Status: 5.7.1", "Status: 2.7.1"},
		{"Action: failed", "Action: broken"},
		{"Action: failed\r\n", ""},
		{"Action: failed\r\n", "Action: failed\r\nAction: failed\r\n"},
		{"Action: failed\r\n", "Action: failed\r\nWhat: is this\r\n"},
		{"Action: failed\r\n", "Action: failed\r\nWill-Retry-Until: Tue, 1 Jul 2003 10:52:37 +0000\r\n"},
		{"Action: failed\r\n", "Action: failed\n"},
		{"Final-Recipient: rfc822; recip@target.example.com", "Final-Recipient: recip@target.example.com"},
		{"Reporting-MTA: dns; mta1.example.com\r\n", ""},
		{"Last-Attempt-Date: Tue, 1 Jul 2003 10:52:37 +0000", "Last-Attempt-Date: yesterday"},
		{"message/delivery-status", "message/delivery-status; charset=us-ascii"},
		{"message/rfc822", "text/plain"},
		{"hello there", "grüße"},
		{"hello there", strings.Repeat("x", 999)},
		{"\r\n--report-boundary--", ""},
	} {
		bad := strings.Replace(good, tc.old, tc.new, 1)
		if bad == good {
			t.Errorf("%q is not in the report", tc.old)
		}
		m := container.ParseMessage([]byte(bad))
		if _, err := Parse(&m); err == nil {
			t.Errorf("%q instead of %q was accepted", tc.new, tc.old)
		}
	}
}

// Whatever a remote host said and whatever its and the client's name are, the
// report is well-formed and says what it must.
func FuzzReport(f *testing.F) {
	f.Add("no thanks\r\nX: y", "mx.test", "5.1.1", 550, "env id", "rfc822", "a@b", "Subject: x\r\n\r\nbody", false)
	f.Add("\xe9", "", "", 0, "\x00", "utf-8", "jörg@x", "Subject: grüße\r\n\r\n\x00", true)
	f.Fuzz(func(t *testing.T, text, host, enhanced string, code int, envid, kind, orcpt, original string, utf8 bool) {
		o := container.Outcome{Host: host, Addr: host, Code: code, Enhanced: enhanced, Text: text, Time: attempted}
		for _, action := range []string{Failed, Delayed, Relayed} {
			r := report(recipient(action, o))
			m := container.ParseMessage([]byte(original))
			r.Original, r.SMTPUTF8 = &m, utf8
			r.EnvelopeID, r.ReceivedFrom, r.Subject, r.InReplyTo, r.Text = envid, host, text, envid, text
			r.Recipients[0].OriginalType, r.Recipients[0].Original = kind, orcpt
			if utf8 {
				r.To = container.MustAddress("jörg@sender.example.com")
			}
			msg, err := r.Message()
			if err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
			p, err := Parse(&msg)
			if err != nil {
				t.Fatalf("%v\n%s%s", err, msg.Header(), msg.Body())
			}
			if len(p.Recipients) != 1 || p.Recipients[0].Action != action || p.Recipients[0].Final != r.Recipients[0].Final {
				t.Errorf("got %+v", p.Recipients)
			}
		}
	})
}

func BenchmarkMessage(b *testing.B) {
	r := failedReport()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Message(); err != nil {
			b.Fatal(err)
		}
	}
}
