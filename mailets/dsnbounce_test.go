package mailets

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dsn"
	"github.com/mailetd/mailetd/container/mime"
)

// loadDSNBounce makes a DSNBounce whose output is the same each time.
func loadDSNBounce(t testing.TB, params string) *DSNBounce {
	t.Helper()
	d := mustLoad(t, testRegistry(t), "DSNBounce", params).(*DSNBounce)
	d.now = func() time.Time { return time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC) }
	d.boundary, d.messageID = "report-boundary", "<id@mx.example.com>"
	return d
}

// dsnMail is a mail with DSN parameters given as rcpt=NOTIFY; without "=" there
// are none.
func dsnMail(rcpts ...string) *container.Mail {
	m := testMail()
	m.Name, m.RemoteHost, m.RemoteAddr = "Mail1", "client.example.org", "192.0.2.9"
	m.Message = container.ParseMessage([]byte("Message-ID: <orig-1@example.org>\r\nSubject: Quarterly report\r\n\r\nHello.\r\n"))
	notify := map[string]container.Value{}
	for _, r := range rcpts {
		addr, n, ok := strings.Cut(r, "=")
		m.Recipients = append(m.Recipients, container.MustAddress(addr))
		if ok {
			notify[addr] = n
		}
	}
	if len(notify) > 0 {
		m.Set(container.AttrDSNNotify, notify)
	}
	return m
}

var refused = container.Outcome{Result: container.Failed, Host: "mx.example.net", Addr: "192.0.2.25", Code: 550, Enhanced: "5.1.1",
	Text: "no such user\nsee https://example.net/help", Time: time.Date(2026, 8, 22, 11, 59, 0, 0, time.UTC)}

// sentReports returns the reports in out, parsed strictly.
func sentReports(t testing.TB, out *container.Outbox) []*dsn.Report {
	t.Helper()
	var reps []*dsn.Report
	for _, e := range out.Entries() {
		if !e.Mail.Sender.IsNull() {
			continue
		}
		r, err := dsn.Parse(&e.Mail.Message)
		if err != nil {
			t.Fatalf("%v in\n%s", err, e.Mail.Message.Header())
		}
		reps = append(reps, r)
	}
	return reps
}

func finals(r *dsn.Report) string {
	var list []string
	for _, rcpt := range r.Recipients {
		list = append(list, rcpt.Final.String())
	}
	return strings.Join(list, " ")
}

func TestDSNBounceGolden(t *testing.T) {
	d := loadDSNBounce(t, "<prefix>[FAILED]</prefix><defaultStatus>5.0.0</defaultStatus>")
	m := dsnMail("Alice@example.net=FAILURE,DELAY", "bob@example.net")
	m.SetOutcome(m.Recipients[0], refused)
	m.Set(container.AttrDeliveryError, "554 5.7.1 go away")
	m.Set(container.AttrDSNEnvID, "QQ+20314159")
	m.Set(container.AttrDSNRet, "FULL")
	m.Set(container.AttrDSNOrcpt, map[string]container.Value{"Alice@example.net": "Alice+2Bx@Example.NET"})
	m.Set(container.AttrDSNArrival, time.Date(2026, 8, 22, 11, 58, 0, 0, time.FixedZone("", 7200)))
	m.Set(container.AttrHELO, "client.example.org")
	m.Set("AT_MOST_EXECUTIONS", int32(5))
	out := serve(t, d, m)
	if len(out.Entries()) != 1 {
		t.Fatalf("got %d mails, want 1", len(out.Entries()))
	}
	n := out.Entries()[0].Mail
	if !n.Sender.IsNull() || len(n.Recipients) != 1 || n.Recipients[0] != m.Sender || n.State != container.StateRoot || !strings.HasPrefix(n.Name, "Mail1!") {
		t.Errorf("envelope: %+v", n)
	}
	if len(n.Attributes) != 1 || n.Attributes[container.AttrSentByMailet] != true {
		t.Errorf("attributes: %v", n.Attributes)
	}
	if m.State != container.StateRoot {
		t.Errorf("state of the mail: %s", m.State)
	}
	sentReports(t, out)
	golden(t, "dsnbounce-failed.eml", n.Message)
}

func golden(t *testing.T, name string, m container.Message) {
	t.Helper()
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// Rows 1 to 10 of who gets a report.
func TestDSNBounceWho(t *testing.T) {
	for _, tc := range []struct {
		name, action string
		rcpts        []string
		want         string // recipients of the report, "" for no report
	}{
		{"failure, no NOTIFY", "failed", []string{"a@x.test"}, "a@x.test"},
		{"failure asked", "failed", []string{"a@x.test=FAILURE"}, "a@x.test"},
		{"failure not asked", "failed", []string{"a@x.test=SUCCESS,DELAY"}, ""},
		{"never", "failed", []string{"a@x.test=NEVER"}, ""},
		{"never beside a word", "failed", []string{"a@x.test=NEVER,FAILURE"}, ""},
		{"never, lower case", "failed", []string{"a@x.test=never"}, ""},
		{"never among others", "failed", []string{"a@x.test=NEVER", "b@x.test", "c@x.test=failure"}, "b@x.test c@x.test"},
		{"delay, no NOTIFY", "delayed", []string{"a@x.test"}, "a@x.test"},
		{"delay asked", "delayed", []string{"a@x.test=DELAY"}, "a@x.test"},
		{"delay not asked", "delayed", []string{"a@x.test=FAILURE"}, ""},
		{"success, no NOTIFY", "delivered", []string{"a@x.test"}, ""},
		{"success asked", "delivered", []string{"a@x.test=SUCCESS", "b@x.test=FAILURE"}, "a@x.test"},
		{"relayed asked", "relayed", []string{"a@x.test=SUCCESS"}, "a@x.test"},
		{"expanded asked", "Expanded", []string{"a@x.test=SUCCESS,FAILURE"}, "a@x.test"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := loadDSNBounce(t, "<action>"+tc.action+"</action>")
			reps := sentReports(t, serve(t, d, dsnMail(tc.rcpts...)))
			got := ""
			if len(reps) == 1 {
				got = finals(reps[0])
			}
			if len(reps) > 1 || got != tc.want {
				t.Errorf("got %d reports, about %q, want %q", len(reps), got, tc.want)
			}
			for _, r := range reps {
				if r.Recipients[0].Action != strings.ToLower(tc.action) {
					t.Errorf("action %s", r.Recipients[0].Action)
				}
			}
		})
	}
}

func TestDSNBounceSilence(t *testing.T) {
	d := loadDSNBounce(t, "<passThrough>false</passThrough>")
	null := dsnMail("a@x.test")
	null.Sender = container.Address{}
	report := dsnMail("a@x.test")
	report.Message.SetHeader([]byte("Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; boundary=x\r\n"))
	for name, m := range map[string]*container.Mail{"null sender": null, "a report": report, "nobody": dsnMail()} {
		if out := serve(t, d, m); out.Len() != 0 || m.State != container.StateGhost {
			t.Errorf("%s: %d mails, state %s", name, out.Len(), m.State)
		}
	}
}

func TestDSNBounceStatus(t *testing.T) {
	for _, tc := range []struct {
		name, action, def    string
		outcome              container.Outcome
		deliveryError, error string
		status, diagnostic   string
		remote               string
	}{
		{"outcome", "failed", "5.0.0", refused, "", "", "5.1.1", "smtp 550-5.1.1 no such user 550 5.1.1 see https://example.net/help", "mx.example.net"},
		{"default", "failed", "5.1.6", container.Outcome{}, "", "", "5.1.6", " ", ""},
		{"default is none", "failed", "unknown", container.Outcome{}, "", "", "5.0.0", " ", ""},
		{"default of another class", "delayed", "5.0.0", container.Outcome{}, "", "", "4.0.0", " ", ""},
		{"delivery-error", "failed", "5.0.0", container.Outcome{}, "553 5.1.3 bad\r\nX: y", "", "5.1.3", "smtp 553-5.1.3 bad 553 5.1.3 X: y", ""},
		{"delivery-error without enhanced code", "failed", "5.3.0", container.Outcome{}, "550 no", "", "5.0.0", "smtp 550 no", ""},
		{"error message", "failed", "5.3.0", container.Outcome{}, "", "Exception calling X: boom\n\tat y", "5.3.0", "X-Mailetd Exception calling X: boom", ""},
		{"error message with a code", "failed", "5.3.0", container.Outcome{}, "", "550 5.7.1 no", "5.7.1", "X-Mailetd 550 5.7.1 no", ""},
		{"gave up on a deferral", "failed", "5.0.0", container.Outcome{Result: container.Deferred, Code: 451, Enhanced: "4.2.2", Text: "full", Host: "mx.test"}, "", "", "4.2.2", "smtp 451 4.2.2 full", "mx.test"},
		{"old outcome says nothing about success", "delivered", "2.0.0", refused, "550 old", "", "2.0.0", " ", ""},
		{"relayed", "relayed", "2.0.0", container.Outcome{Result: container.Relayed, Host: "mx.test", Code: 250, Enhanced: "2.6.0", Text: "ok"}, "", "", "2.6.0", "smtp 250 2.6.0 ok", "mx.test"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := dsnMail("a@x.test=SUCCESS,FAILURE,DELAY")
			if tc.outcome.Result != "" {
				m.SetOutcome(m.Recipients[0], tc.outcome)
			}
			if tc.deliveryError != "" {
				m.Set(container.AttrDeliveryError, tc.deliveryError)
			}
			m.ErrorMessage = tc.error
			d := loadDSNBounce(t, "<action>"+tc.action+"</action><defaultStatus>"+tc.def+"</defaultStatus>")
			got := sentReports(t, serve(t, d, m))[0].Recipients[0]
			if got.Status != tc.status || got.DiagnosticType+" "+got.Diagnostic != tc.diagnostic || got.RemoteMTA != tc.remote {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestDSNBounceReturn(t *testing.T) {
	for _, tc := range []struct {
		action, attachment, ret string
		want                    dsn.Return
	}{
		{"failed", "message", "", dsn.ReturnFull},
		{"failed", "heads", "", dsn.ReturnHeaders},
		{"failed", "none", "", dsn.ReturnNone},
		{"failed", "message", "HDRS", dsn.ReturnHeaders},
		{"failed", "none", "full", dsn.ReturnFull},
		{"delivered", "message", "FULL", dsn.ReturnHeaders},
		{"delayed", "message", "", dsn.ReturnHeaders},
	} {
		m := dsnMail("a@x.test=SUCCESS,FAILURE,DELAY")
		if tc.ret != "" {
			m.Set(container.AttrDSNRet, tc.ret)
		}
		d := loadDSNBounce(t, "<action>"+tc.action+"</action><attachment>"+tc.attachment+"</attachment>")
		r := sentReports(t, serve(t, d, m))[0]
		if got := r.Return; got != tc.want || (r.Original == nil) != (tc.want == dsn.ReturnNone) {
			t.Errorf("%+v: got %v", tc, got)
		}
	}
}

// A report of delay says until when delivery will be tried, where that is known.
func TestDSNBounceRetryUntil(t *testing.T) {
	until := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for action, want := range map[string]time.Time{"delayed": until, "failed": {}} {
		m := dsnMail("a@x.test=FAILURE,DELAY")
		m.Set(container.AttrRetryUntil, until)
		r := sentReports(t, serve(t, loadDSNBounce(t, "<action>"+action+"</action>"), m))[0]
		if got := r.Recipients[0].WillRetryUntil; !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", action, got, want)
		}
	}
}

func TestDSNBounceDelayOnce(t *testing.T) {
	d := loadDSNBounce(t, "<action>delayed</action>")
	m := dsnMail("a@x.test=DELAY")
	if n := len(sentReports(t, serve(t, d, m))); n != 1 {
		t.Errorf("first time: %d reports", n)
	}
	m.Recipients = append(m.Recipients, container.MustAddress("b@x.test"))
	data, err := m.Attributes.MarshalJSON() // what a retry reads back
	if err != nil {
		t.Fatal(err)
	}
	m.Attributes = nil
	if err := m.Attributes.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	if reps := sentReports(t, serve(t, d, m)); len(reps) != 1 || finals(reps[0]) != "b@x.test" {
		t.Errorf("second time: %d reports", len(reps))
	}
	if n := len(sentReports(t, serve(t, d, m))); n != 0 {
		t.Errorf("third time: %d reports", n)
	}
}

func TestDSNBounceText(t *testing.T) {
	d := loadDSNBounce(t, "<messageString>[machine] says [machine]</messageString><sender>mailer@example.com</sender><reportingMta>dns; other.example.com</reportingMta>")
	m := dsnMail("a@x.test", "b@x.test")
	m.SetOutcome(m.Recipients[0], refused)
	r := sentReports(t, serve(t, d, m))[0]
	want := "mx.example.com says mx.example.com\nOriginal email subject: Quarterly report\n\nFailed recipient(s):\na@x.test, b@x.test\n\n" +
		"Error message:\n<a@x.test>: 550 5.1.1 no such user see https://example.net/help\n"
	if r.Text != want {
		t.Errorf("got %q, want %q", r.Text, want)
	}
	if r.From.String() != "mailer@example.com" || r.ReportingMTA != "other.example.com" || r.Subject != "Re: Quarterly report" {
		t.Errorf("got %s, %s, %q", r.From, r.ReportingMTA, r.Subject)
	}
}

func TestDSNBounceManyRecipients(t *testing.T) {
	var rcpts []string
	for i := range 1500 {
		rcpts = append(rcpts, "u"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+"@x.test")
	}
	reps := sentReports(t, serve(t, loadDSNBounce(t, ""), dsnMail(rcpts...)))
	if len(reps) != 2 || len(reps[0].Recipients) != 1000 || len(reps[1].Recipients) != 500 {
		t.Errorf("got %d reports", len(reps))
	}
}

func TestDSNBounceUTF8(t *testing.T) {
	m := dsnMail("željko@x.test")
	m.Sender = container.MustAddress("jörg@example.org")
	m.Set(container.AttrSMTPUTF8, true)
	m.Message = container.ParseMessage([]byte("Subject: grüße\r\n\r\nüü\r\n"))
	out := serve(t, loadDSNBounce(t, ""), m)
	sentReports(t, out)
	a := out.Entries()[0].Mail.Attributes
	if a[container.AttrSMTPUTF8] != true || a[container.AttrBodyType] != "8BITMIME" {
		t.Errorf("attributes %v", a)
	}
}

func TestDSNBounceParameters(t *testing.T) {
	for params, want := range map[string]string{
		"<action>lost</action>":                         "Action 'lost' is not supported",
		"<sender>a@b@c</sender>":                        "<sender>",
		"<sender>from</sender>":                         "<sender>",
		"<prefx>x</prefx>":                              "<prefx> is not a parameter of DSNBounce",
		"<maxReturnSize>big</maxReturnSize>":            "<maxReturnSize>",
		"<attachment>everything</attachment>":           "using none",
		"<passThrough>maybe</passThrough>":              "not true or false",
		"<sender>POSTMASTER</sender>":                   "",
		"<onMailetException>ignore</onMailetException>": "",
	} {
		_, problems := load(t, testRegistry(t), "DSNBounce", params)
		got := strings.Join(problems, "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", params, got, want)
		}
	}
}

func TestBounce(t *testing.T) {
	m := dsnMail("a@x.test", "b@x.test")
	m.ErrorMessage = "it broke\nbadly"
	b := mustLoad(t, testRegistry(t), "Bounce", "<prefix>Undeliverable:</prefix><attachError>true</attachError>")
	out := serve(t, b, m)
	n := out.Entries()[0].Mail
	h := n.Message.Header()
	for name, want := range map[string]string{
		"From": "bob@example.com", "To": "sender@example.org", "Subject": "Undeliverable: Quarterly report",
		"Auto-Submitted": "auto-replied", "In-Reply-To": "<orig-1@example.org>",
	} {
		if got, _ := mime.Get(h, name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if !n.Sender.IsNull() || n.Recipients[0] != m.Sender || m.State != container.StateRoot || len(n.Attributes) != 1 {
		t.Errorf("envelope %+v", n)
	}
	root, err := mime.Scan(&n.Message, mime.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for e := range root.Leaves() {
		kinds = append(kinds, e.MediaType+" "+strings.Join(e.FileNames(), "|"))
	}
	if want := []string{"text/plain ", "message/rfc822 Quarterly report", "text/plain Reasons"}; !slices.Equal(kinds, want) {
		t.Errorf("got %q, want %q", kinds, want)
	}
	text, err := mime.PlainText(&n.Message, 1<<20)
	for _, want := range []string{bounceText, "Error message below:\r\nit broke\r\nbadly\r\n", "RCPT TO: a@x.test\r\n           b@x.test", "MAIL FROM: <sender@example.org>"} {
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("%q is not in %q, %v", want, text, err)
		}
	}
	var whole bytes.Buffer
	if _, err := n.Message.WriteTo(&whole); err != nil || int64(whole.Len()) != n.Message.Size() {
		t.Errorf("size %d, written %d, %v", n.Message.Size(), whole.Len(), err)
	}
	if strings.Count(whole.String(), "\n") != strings.Count(whole.String(), "\r\n") {
		t.Error("a line does not end with CRLF")
	}
}

func TestBounceContent(t *testing.T) {
	for _, tc := range []struct{ params, has, hasNot string }{
		{"<attachment>none</attachment>", "RCPT TO", "Hello."},
		{"<attachment>heads</attachment>", "orig-1", "Hello."},
		{"<attachment>body</attachment>", "Hello.", "Message-ID: <orig-1"},
		{"<attachment>all</attachment>", "\r\nMessage:\r\nHello.", "message/rfc822"},
		{"<attachment>none</attachment><inline>all</inline>", "Message Headers:\r\nMessage-ID: <orig-1", "filename"},
		{"<inline>unaltered</inline>", "\r\n\r\nHello.\r\n", "multipart"},
		{"<notice>Sorry grüße</notice><message>other</message>", "gr=C3=BC=C3=9Fe", "other"},
		{"<sendingAddress>x@example.com</sendingAddress>", "From: x@example.com\r\n", "zzz"},
		{"<sender>sender</sender>", "From: sender@example.org\r\n", "zzz"},
	} {
		out := serve(t, mustLoad(t, testRegistry(t), "Bounce", tc.params), dsnMail("a@x.test"))
		var b bytes.Buffer
		if _, err := out.Entries()[0].Mail.Message.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), tc.has) || strings.Contains(b.String(), tc.hasNot) {
			t.Errorf("%s: want %q, not %q in\n%s", tc.params, tc.has, tc.hasNot, b.String())
		}
	}
	m := dsnMail("a@x.test")
	m.Sender = container.Address{}
	if out := serve(t, mustLoad(t, testRegistry(t), "Bounce", "<passThrough>false</passThrough>"), m); out.Len() != 0 || m.State != container.StateGhost {
		t.Errorf("null sender: %d mails, state %s", out.Len(), m.State)
	}
	if _, problems := load(t, testRegistry(t), "Bounce", "<recipients>x</recipients>"); len(problems) != 1 {
		t.Errorf("unknown parameter: %v", problems)
	}
}
