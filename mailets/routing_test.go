package mailets

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local/localtest"
	"github.com/mailetd/mailetd/container/mime"
)

func TestRoutingParameters(t *testing.T) {
	for _, tc := range []struct{ class, params, want string }{
		{"WithPriority", "", "error: <priority> is required"},
		{"WithPriority", "<priority>high</priority>", "error: <priority> is \"high\""},
		{"WithPriority", "<priority>10</priority>", "error: <priority>: 10 is not from -9 to 9"},
		{"WithPriority", "<priority>-10</priority>", "error: <priority>: -10 is not from -9 to 9"},
		{"WithStorageDirective", "", "error: WithStorageDirective: one of"},
		{"WithStorageDirective", "<targetFolderNames> , </targetFolderNames>", "error: WithStorageDirective: one of"},
		{"WithStorageDirective", "<seen>yes</seen><targetFolderName>A</targetFolderName>", "error: <seen>: \"yes\""},
		{"WithStorageDirective", "<important>True</important><keywords>a</keywords>", "error: <important>: \"True\""},
		{"WithStorageDirective", "<targetFolderName>..</targetFolderName>", "error: <targetFolderName>: "},
		{"WithStorageDirective", "<targetFolderNames>a,b//c</targetFolderNames>", "error: <targetFolderNames>: "},
		{"SetErrorMessage", "", "error: <errorMessage> is required"},
		{"SetErrorMessage", "<errorMessage> </errorMessage>", "error: <errorMessage> is required"},
		{"RemoveAllMailAttributes", "<name>x</name>", "warning: <name> is not a parameter"},
		{"MailAttributesToMimeHeaders", "", "error: <simplemapping> is required"},
		{"MailAttributesToMimeHeaders", "<simplemapping>a</simplemapping>", "\"a\" is not of the form"},
		{"MailAttributesToMimeHeaders", "<simplemapping>a;b;c</simplemapping>", "\"a;b;c\" is not of the form"},
		{"MailAttributesToMimeHeaders", "<simplemapping>;b</simplemapping>", "\";b\" is not of the form"},
		{"MailAttributesToMimeHeaders", "<simplemapping>a;b c</simplemapping>", "\"b c\" cannot be the name"},
		{"MailAttributesListToMimeHeaders", "<simplemapping>a;b</simplemapping><simplemapping>a;c</simplemapping>", "attribute a is mapped twice"},
		{"ContactExtractor", "", "error: <attribute> is required"},
		{"SplitMail", "<batchSize>few</batchSize>", "error: <batchSize> is \"few\""},
		{"SplitMail", "<batchSize>0</batchSize>", "error: <batchSize>: 0 is not at least 1"},
		{"Requeue", "<delay>soon</delay>", "error: <delay>: "},
		{"Requeue", "<delay>-1s</delay>", "error: <delay>: "},
		{"Requeue", "<consume>x</consume>", "warning: <consume> is"},
		{"UseHeaderRecipients", "<debug>x</debug>", "warning: <debug> is"},
		{"RemoveMimeHeaderByPrefix", "<name>X-</name><prefix>X-</prefix>", "warning: <name> is not a parameter"},
		{"RemoveMimeHeaderByPrefix", "<prefix/>", "error: <prefix> is required"},
		{"AddSubjectPrefix", "", "error: <subjectPrefix> is required"},
		{"Expires", "", "error: Expires: one of"},
		{"Expires", "<minAge>many</minAge>", "error: <minAge>: "},
		{"Expires", "<minAge>2</minAge><maxAge>1</maxAge>", "error: Expires: minAge, defaultAge and maxAge"},
		{"Expires", "<minAge>2</minAge><defaultAge>1</defaultAge>", "error: Expires: minAge, defaultAge and maxAge"},
		{"Expires", "<defaultAge>25h</defaultAge><maxAge>1</maxAge>", "error: Expires: minAge, defaultAge and maxAge"},
		{"debug.Counter", "<x>1</x>", "warning: <x> is not a parameter of debug.Counter"},
	} {
		_, problems := load(t, testRegistry(t), tc.class, tc.params)
		if len(problems) != 1 || !strings.Contains(problems[0], tc.want) {
			t.Errorf("%s %s: got %q, want %q", tc.class, tc.params, problems, tc.want)
		}
	}
}

func TestRecipientToLowerCase(t *testing.T) {
	for in, want := range map[string]string{
		"Bob@example.com alice@example.com BOB@example.com": "bob@example.com alice@example.com",
		"alice@example.com JÖRG@example.com":                "alice@example.com jörg@example.com",
		"alice@example.com alice@example.com":               "alice@example.com alice@example.com",
	} {
		m := testMail(strings.Fields(in)...)
		before := slices.Clone(m.Recipients)
		old := m.Recipients
		serve(t, mustLoad(t, testRegistry(t), "RecipientToLowerCase", ""), m)
		if got := strings.Join(container.AddressStrings(m.Recipients), " "); got != want || !slices.Equal(before, old) {
			t.Errorf("%s: got %s; the old list is %v", in, got, old)
		}
	}
}

func TestDirectives(t *testing.T) {
	r := testRegistry(t)
	for _, tc := range []struct {
		class, params string
		want          container.Attributes
	}{
		{"WithPriority", "<priority>-9</priority>", container.Attributes{"MAIL_PRIORITY": int32(-9)}},
		{"WithPriority", "<priority>9</priority>", container.Attributes{"MAIL_PRIORITY": int32(9)}},
		{"WithStorageDirective", "<targetFolderName>Spam, old</targetFolderName>", container.Attributes{"DeliveryPaths_bob@example.com": []container.Value{"Spam, old"}}},
		{"WithStorageDirective", "<targetFolderName>X</targetFolderName><targetFolderNames>A, B/C</targetFolderNames>", container.Attributes{"DeliveryPaths_bob@example.com": []container.Value{"A", "B/C"}}},
		{"WithStorageDirective", "<seen>true</seen><important>false</important>", container.Attributes{"Seen_bob@example.com": true, "Important_bob@example.com": false}},
		{"WithStorageDirective", "<keywords>a, b</keywords>", container.Attributes{"Keywords_bob@example.com": []container.Value{"a", "b"}}},
		{"RemoveAllMailAttributes", "", nil},
	} {
		m := testMail("Bob@example.com")
		serve(t, mustLoad(t, r, tc.class, tc.params), m)
		if !reflect.DeepEqual(m.Attributes, tc.want) {
			t.Errorf("%s %s: got %v, want %v", tc.class, tc.params, m.Attributes, tc.want)
		}
	}
	m := testMail("bob@example.com")
	m.Attributes = container.Attributes{"a": "b", container.AttrBodyType: "8BITMIME", container.AttrSMTPUTF8: true}
	serve(t, mustLoad(t, r, "RemoveAllMailAttributes", ""), m)
	if want := (container.Attributes{container.AttrBodyType: "8BITMIME", container.AttrSMTPUTF8: true}); !reflect.DeepEqual(m.Attributes, want) {
		t.Errorf("got %v", m.Attributes)
	}
	m.ErrorMessage = "old"
	serve(t, mustLoad(t, r, "SetErrorMessage", "<errorMessage>550 new</errorMessage>"), m)
	if m.ErrorMessage != "550 new" {
		t.Errorf("error message is %q", m.ErrorMessage)
	}
}

func TestAttributesToHeaders(t *testing.T) {
	attributes := container.Attributes{"s": "one", "n": int32(2), "evil": "a\r\nBcc: x@example.com", "u": "grüße",
		"list": []container.Value{"a", int32(1), "b\nTo: x"}}
	for _, tc := range []struct{ class, params, want string }{
		{"MailAttributesToMimeHeaders", "<simplemapping>s;X-S</simplemapping><simplemapping>n;X-N</simplemapping><simplemapping>no;X</simplemapping>", "X-S: one\r\n"},
		{"MailAttributesToMimeHeaders", "<simplemapping>u;X-U, evil ; X-E</simplemapping>", "X-U: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nX-E: a Bcc: x@example.com\r\n"},
		{"MailAttributesToMimeHeaders", "<simplemapping>list;X-S</simplemapping>", ""},
		{"MailAttributesListToMimeHeaders", "<simplemapping>s;X-S</simplemapping><simplemapping>list;X-L</simplemapping>", "X-L: a\r\nX-L: b To: x\r\n"},
		{"MailAttributesListToMimeHeaders", "<simplemapping>no;X-S</simplemapping>", ""},
	} {
		m := testMail("bob@example.com")
		m.Attributes = attributes.Clone()
		serve(t, mustLoad(t, testRegistry(t), tc.class, tc.params), m)
		if got := string(m.Message.Header()); got != tc.want+testHeader {
			t.Errorf("%s %s: got\n%s", tc.class, tc.params, got)
		}
	}
}

func TestContactExtractor(t *testing.T) {
	for _, tc := range []struct{ header, want string }{
		{"To: =?utf-8?q?Fr=C3=A9d?= <f@example.com>, \"Doe, Ann\" <a@example.com>\r\nCc: c@example.com\r\nBcc: Team:x@example.com;\r\n",
			`{"userEmail":"sender@example.org","emails":["Fréd <f@example.com>","\"Doe, Ann\" <a@example.com>","c@example.com","x@example.com"]}`},
		{"To: broken@, ok@example.com\r\n", `{"userEmail":"sender@example.org","emails":["ok@example.com"]}`},
		{"To: undisclosed-recipients:;\r\n", ""},
		{"Subject: x\r\n", ""},
	} {
		m := testMail("bob@example.com")
		m.Message.SetHeader([]byte(tc.header))
		serve(t, mustLoad(t, testRegistry(t), "ContactExtractor", "<attribute>c</attribute>"), m)
		if got, _ := m.Attributes.String("c"); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.header, got, tc.want)
		}
	}
	m := testMail("bob@example.com")
	m.Sender = container.Address{}
	m.Message.SetHeader([]byte("To: a@example.com\r\n"))
	serve(t, mustLoad(t, testRegistry(t), "ContactExtractor", "<attribute>c</attribute>"), m)
	if m.Attributes != nil {
		t.Errorf("null sender: got %v", m.Attributes)
	}
}

func TestSplitMail(t *testing.T) {
	for n, want := range map[int]string{0: "0", 2: "2", 3: "2 1", 4: "2 2", 5: "2 2 1"} {
		var rcpts []string
		for i := range n {
			rcpts = append(rcpts, fmt.Sprintf("u%d@example.com", i))
		}
		m := testMail(rcpts...)
		m.State = "transport"
		out := serve(t, mustLoad(t, testRegistry(t), "SplitMail", "<batchSize>2</batchSize>"), m)
		all, got := container.AddressStrings(m.Recipients), fmt.Sprint(len(m.Recipients))
		for _, e := range out.Entries() {
			got += fmt.Sprint(" ", len(e.Mail.Recipients))
			all = append(all, container.AddressStrings(e.Mail.Recipients)...)
			if e.Mail.State != container.StateRoot || e.Mail.Name == m.Name || e.Queue != container.SpoolQueue {
				t.Errorf("copy is %+v", e.Mail)
			}
		}
		if got != want || !slices.Equal(all, rcpts) && n > 0 || m.State != "transport" {
			t.Errorf("%d recipients: got %s (%v), want %s", n, got, all, want)
		}
	}
	m := testMail("a@x.test", "b@x.test", "c@x.test")
	m.Name = strings.Repeat("!a", 8)
	if err := mustLoad(t, testRegistry(t), "SplitMail", "<batchSize>1</batchSize>").Service(t.Context(), m, &container.Outbox{}); err == nil || len(m.Recipients) != 3 {
		t.Errorf("too many copies: %v, %v", err, m.Recipients)
	}
}

func TestRequeue(t *testing.T) {
	for _, tc := range []struct {
		params, queue, state, after string
		delay                       time.Duration
		sameName                    bool
	}{
		{"", "spool", "root", "ghost", 0, true},
		{"<queue>outgoing</queue><processor>relay</processor><delay>2</delay>", "outgoing", "relay", "ghost", 2 * time.Second, true},
		{"<delay>1 hour</delay><consume>false</consume>", "spool", "root", "here", time.Hour, false},
	} {
		m := testMail("bob@example.com")
		m.State = "here"
		ma := mustLoad(t, testRegistry(t), "Requeue", tc.params)
		out := serve(t, ma, m)
		e := out.Entries()[0]
		if out.Len() != 1 || e.Queue != tc.queue || e.Mail.State != tc.state || e.Delay != tc.delay || m.State != tc.after || (e.Mail.Name == m.Name) != tc.sameName || e.Mail == m {
			t.Errorf("%s: got %+v, %+v", tc.params, e, e.Mail)
		}
		if _, ok := e.Mail.Attributes.Bool(container.AttrSentByMailet); ok {
			t.Errorf("%s: marked as sent by a mailet", tc.params)
		}
		if got := ma.(container.StateReferrer).ReferredStates(); !slices.Equal(got, []string{tc.state}) {
			t.Errorf("%s: refers to %v", tc.params, got)
		}
	}
}

// A mail that goes round without a delay must not do so as fast as the machine can.
func TestRequeueBacksOff(t *testing.T) {
	for params, want := range map[string]time.Duration{
		"": time.Minute, "<delay>5</delay>": time.Minute, "<delay>2m</delay>": 2 * time.Minute, "<queue>parked</queue>": 0,
	} {
		ma := mustLoad(t, testRegistry(t), "Requeue", params)
		m := testMail("bob@example.com")
		var delays []time.Duration
		for range 2000 {
			e := serve(t, ma, m).Entries()[0]
			delays = append(delays, e.Delay)
			m = e.Mail
		}
		if !slices.IsSorted(delays) || delays[9] != ma.(*Requeue).delay || delays[1999] != want {
			t.Errorf("%s: waits %v ... %v", params, delays[:20], delays[1999])
		}
	}
}

func TestMailToAllUsers(t *testing.T) {
	s := testServices(t)
	var storage *localtest.Storage
	s.Local, storage = localtest.Directory(t, []string{"example.com"}, "bob@example.com", "alice@example.com", "carl")
	r := container.NewRegistry()
	Register(r, s)
	ma := mustLoad(t, r, "MailToAllUsers", "")
	m := testMail("everybody@example.com")
	serve(t, ma, m)
	got := container.AddressStrings(m.Recipients)
	slices.Sort(got)
	if !slices.Equal(got, []string{"alice@example.com", "bob@example.com", "carl@example.com"}) {
		t.Errorf("got %v", got)
	}
	broken := errors.New("disk on fire")
	storage.FailWith(broken)
	m = testMail("everybody@example.com")
	if err := ma.Service(t.Context(), m, &container.Outbox{}); !errors.Is(err, broken) || len(m.Recipients) != 1 {
		t.Errorf("got %v, %v", err, m.Recipients)
	}
	s.Local, _ = localtest.Directory(t, []string{"example.com"})
	r = container.NewRegistry()
	Register(r, s)
	if err := mustLoad(t, r, "MailToAllUsers", "").Service(t.Context(), m, &container.Outbox{}); err == nil || len(m.Recipients) != 1 {
		t.Errorf("no users: %v, %v", err, m.Recipients)
	}
}

func TestUseHeaderRecipients(t *testing.T) {
	for _, tc := range []struct{ header, want, err string }{
		{"To: A <a@x.test>\r\nCc: b@x.test, A@x.test\r\nBcc: c@x.test\r\n", "a@x.test b@x.test c@x.test", ""},
		{"To: a@x.test\r\nMail-For: m@x.test, n@x.test\r\n", "m@x.test n@x.test", ""},
		{"To: a@x.test, <broken\r\n", "", "To has something that is no address"},
		{"Subject: x\r\n", "", "no address in the header"},
		{"To: a@x.test\r\nMail-For: nobody:;\r\n", "", "no address in the header"},
	} {
		m, out := testMail("bob@example.com"), &container.Outbox{}
		m.Message.SetHeader([]byte(tc.header))
		err := mustLoad(t, testRegistry(t), "UseHeaderRecipients", "").Service(t.Context(), m, out)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) || m.State == container.StateGhost {
				t.Errorf("%q: got %v, state %s", tc.header, err, m.State)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		n := onlyEntry(t, out)
		if got := strings.Join(container.AddressStrings(n.Recipients), " "); got != tc.want || m.State != container.StateGhost || n.State != container.StateRoot {
			t.Errorf("%q: got %s, want %s", tc.header, got, tc.want)
		}
	}
}

func TestFailures(t *testing.T) {
	for class, want := range map[string]string{
		"PropagateError":                "Propagating previously encountered mailet processing errors: it broke",
		"debug.ExceptionThrowingMailet": "General protection fault",
	} {
		m := testMail("bob@example.com")
		m.ErrorMessage = "it broke"
		if err := mustLoad(t, testRegistry(t), class, "").Service(t.Context(), m, &container.Outbox{}); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", class, err)
		}
	}
}

func TestDebug(t *testing.T) {
	var log bytes.Buffer
	s := testServices(t)
	s.Log = slog.New(slog.NewJSONHandler(&log, nil))
	r := container.NewRegistry()
	Register(r, s)
	counter := mustLoad(t, r, "debug.Counter", "")
	for range 2 {
		m := testMail("bob@example.com")
		serve(t, counter, m)
		if m.State != container.StateGhost {
			t.Errorf("state %s", m.State)
		}
	}
	if !strings.Contains(log.String(), `"count":2`) {
		t.Errorf("log is %s", log.String())
	}
	m := testMail("bob@example.com")
	want := m.Clone()
	if out := serve(t, mustLoad(t, r, "debug.Identity", ""), m); out.Len() > 0 || !reflect.DeepEqual(m, want) {
		t.Error("Identity changed the mail")
	}
	dump := mustLoad(t, r, "debug.DumpSystemErr", "").(*DumpSystemErr)
	var b bytes.Buffer
	dump.w = &b
	serve(t, dump, m)
	if b.String() != testHeader+"\r\nHi there.\r\n" {
		t.Errorf("dumped %q", b.String())
	}
	dump.w = brokenWriter{}
	serve(t, dump, m)
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestHeaderEdits(t *testing.T) {
	r := testRegistry(t)
	for _, tc := range []struct{ class, params, header, want string }{
		{"SanitizeMimeMessageId", "", "Message-Id: <a@b>\r\nX: 1\r\n", "Message-Id: <a@b>\r\nX: 1\r\n"},
		{"SaveMailNameInHeaders", "", "X: 1\r\nx-james-mail-name: old\r\n", "X: 1\r\nX-JAMES-Mail-Name: Mail1\r\n"},
		{"SaveMailNameInHeaders", "", "X: 1\r\n", "X-JAMES-Mail-Name: Mail1\r\nX: 1\r\n"},
		{"RemoveMimeHeaderByPrefix", "<prefix>X-In</prefix>", "x-internal: 1\r\n 2\r\nX-In: 3\r\nX-I: 4\r\n", "X-I: 4\r\n"},
		{"AddSubjectPrefix", "<subjectPrefix>[x]</subjectPrefix>", "A: 1\r\nSubject: =?utf-8?q?gr=C3=BC?=\r\nB: 2\r\n", "A: 1\r\nSubject: [x] =?utf-8?q?gr=C3=BC?=\r\nB: 2\r\n"},
		{"AddSubjectPrefix", "<subjectPrefix>[x]</subjectPrefix>", "A: 1\r\n", "Subject: [x]\r\nA: 1\r\n"},
	} {
		m := testMail("bob@example.com")
		m.Name = "Mail1"
		m.Message.SetHeader([]byte(tc.header))
		serve(t, mustLoad(t, r, tc.class, tc.params), m)
		if got := string(m.Message.Header()); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.class, got, tc.want)
		}
	}
	for _, header := range []string{"X: 1\r\n", "X: 1\r\nMessage-ID: \r\n"} {
		m := testMail("bob@example.com")
		m.Message.SetHeader([]byte(header))
		serve(t, mustLoad(t, r, "SanitizeMimeMessageId", ""), m)
		if got := mime.Values(m.Message.Header(), "Message-ID"); len(got) != 1 || !strings.HasSuffix(got[0], "@mx.example.com>") {
			t.Errorf("got %q", got)
		}
	}
	m := testMail("bob@example.com")
	m.AddRecipientHeader(m.Recipients[0], "x-internal", "1")
	m.AddRecipientHeader(m.Recipients[0], "Y", "2")
	serve(t, mustLoad(t, r, "RemoveMimeHeaderByPrefix", "<prefix>X-</prefix>"), m)
	if got := m.RecipientHeaders["bob@example.com"]; len(got) != 1 || got[0].Name != "Y" {
		t.Errorf("recipient headers are %v", got)
	}
}

func TestExpires(t *testing.T) {
	const all = "<minAge>1</minAge><defaultAge>3 days</defaultAge><maxAge>1w</maxAge>"
	for _, tc := range []struct{ params, before, want string }{
		{all, "", "Tue, 25 Aug 2026 12:00:00 +0000"},
		{all, "soon", "Tue, 25 Aug 2026 12:00:00 +0000"},
		{all, "Sat, 22 Aug 2026 13:00:00 +0000", "Sun, 23 Aug 2026 12:00:00 +0000"},
		{all, "Sun, 23 Aug 2026 13:00:00 +0000", "Sun, 23 Aug 2026 13:00:00 +0000"},
		{all, "Sat, 22 Aug 2036 13:00:00 +0000", "Sat, 29 Aug 2026 12:00:00 +0000"},
		{"<minAge>0</minAge>", "Sat, 22 Aug 2020 13:00:00 +0000", "Sat, 22 Aug 2026 12:00:00 +0000"},
		{"<minAge>1</minAge>", "", ""},
		{"<maxAge>1h</maxAge>", "Sat, 22 Aug 2026 14:00:00 +0000", "Sat, 22 Aug 2026 13:00:00 +0000"},
		{"<defaultAge>1</defaultAge>", "Sat, 22 Aug 2036 13:00:00 +0000", "Sat, 22 Aug 2036 13:00:00 +0000"},
	} {
		ma := mustLoad(t, testRegistry(t), "Expires", tc.params).(*Expires)
		ma.now = func() time.Time { return time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC) }
		m := testMail("bob@example.com")
		m.Message.SetHeader([]byte("X: 1\r\n"))
		if tc.before != "" {
			m.Message.SetHeader([]byte("X: 1\r\nExpires: " + tc.before + "\r\n"))
		}
		serve(t, ma, m)
		if got, _ := mime.Get(m.Message.Header(), "Expires"); got != tc.want {
			t.Errorf("%s %s: got %q, want %q", tc.params, tc.before, got, tc.want)
		}
	}
}

func TestServerTime(t *testing.T) {
	ma := mustLoad(t, testRegistry(t), "ServerTime", "").(*ServerTime)
	ma.now = func() time.Time { return time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC) }
	m := redirectMail()
	n := onlyEntry(t, serve(t, ma, m))
	got := text(t, n)
	for _, want := range []string{"From: bob@example.com\r\n", "To: reply@example.org\r\n", "Subject: The time is now...\r\n", "Auto-Submitted: auto-replied\r\n",
		"In-Reply-To: <orig-1@example.org>\r\n", "It is Sat, 22 Aug 2026 12:00:00 +0000 on"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if !n.Sender.IsNull() || len(n.Recipients) != 1 || n.Recipients[0].String() != "reply@example.org" || m.State != container.StateRoot {
		t.Errorf("got %+v", n)
	}
	many := redirectMail()
	many.Message.SetHeader([]byte("Reply-To: a@x.test, b@x.test\r\n"))
	if n := onlyEntry(t, serve(t, ma, many)); len(n.Recipients) != 1 {
		t.Errorf("answered to %v", n.Recipients)
	}
	for _, header := range []string{"Auto-Submitted: auto-generated\r\n", "Precedence: Bulk\r\n", "List-Id: <x>\r\n", "List-Unsubscribe: <x>\r\n"} {
		m := redirectMail()
		m.Message.SetHeader([]byte(header + redirectHeader))
		if out := serve(t, ma, m); out.Len() != 0 {
			t.Errorf("%s: answered", header)
		}
	}
	m.Sender = container.Address{}
	if out := serve(t, ma, m); out.Len() != 0 {
		t.Error("null sender: answered")
	}
}
