package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

// users names accounts by address, or by local part alone.
type users struct{ virtual bool }

func (u users) DefaultDomain() string { return "default.test" }

func (u users) Username(a container.Address) string {
	if u.virtual {
		return strings.ToLower(a.String())
	}
	return strings.ToLower(a.Local)
}

// testDispatcher counts deliveries and pauses, and does not wait.
func testDispatcher(t testing.TB) (d *Dispatcher, root string, delivered, paused *int) {
	s, root := testStore(t)
	delivered, paused = new(int), new(int)
	return &Dispatcher{
		Store: s, Users: users{true}, Folder: Inbox, Retries: 2, OnError: "error",
		Delivered: func() { *delivered++ }, Log: slog.New(slog.DiscardHandler),
		pause: func(int) time.Duration { *paused++; return 0 },
	}, root, delivered, paused
}

func testMail(rcpts ...string) *container.Mail {
	var list []container.Address
	for _, r := range rcpts {
		list = append(list, container.MustAddress(r))
	}
	m := container.NewMail(container.MustAddress("sender@example.org"), list, container.NewMessage(
		[]byte("return-path: <old@example.org>\r\nSubject: hi\r\nOriginal-Recipient: rfc822; old\r\n"), container.BytesBody("Hello.\r\n")))
	m.Name = "Mail1700000000123-ABC"
	return m
}

func read(t testing.TB, root, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDispatch(t *testing.T) {
	d, root, delivered, _ := testDispatcher(t)
	m := testMail("Bob@Example.com", "bob@example.com", "alice@example.net")
	m.Set(container.AttrDSNOrcpt, map[string]container.Value{"bob@example.com": "robert@example.com"})
	m.Set("Keywords_alice@example.net", []container.Value{"a", "b"})
	m.AddRecipientHeader(m.Recipients[0], "Delivered-To", "Bob@example.com")
	m.AddRecipientHeader(m.Recipients[0], "not a name", "x")
	out := &container.Outbox{}
	if err := d.Dispatch(t.Context(), m, out); err != nil || out.Len() != 0 {
		t.Fatal(err, out.Entries())
	}
	got := files(t, root)
	if len(got) != 2 || *delivered != 2 {
		t.Fatalf("stored %v, counted %d", got, *delivered)
	}
	if !strings.HasPrefix(filepath.Base(got[0]), "1700000000.") {
		t.Errorf("name %s does not begin with the time of the mail", got[0])
	}
	if got, want := read(t, root, got[0]), "Return-Path: <sender@example.org>\r\nOriginal-Recipient: rfc822; robert@example.com\r\n"+
		"Delivered-To: Bob@example.com\r\nSubject: hi\r\n\r\nHello.\r\n"; got != want {
		// example.com/bob comes first
		t.Errorf("bob has\n%q, want\n%q", got, want)
	}
	if got, want := read(t, root, got[1]), "Return-Path: <sender@example.org>\r\nX-Keywords: a b\r\nSubject: hi\r\n"+
		"Original-Recipient: rfc822; old\r\n\r\nHello.\r\n"; got != want {
		t.Errorf("alice has\n%q, want\n%q", got, want)
	}
	if !strings.HasPrefix(string(m.Message.Header()), "return-path: <old") {
		t.Error("the mail's own header was changed")
	}
	for _, r := range m.Recipients {
		if o, ok := m.Outcome(r); !ok || o.Result != container.Delivered || o.Enhanced != "2.0.0" || o.Time.IsZero() {
			t.Errorf("outcome of %s is %+v", r, o)
		}
	}
}

func TestNullSender(t *testing.T) {
	m := testMail("bob@example.com")
	m.Sender = container.Address{}
	h := string(copyHeader(m, nil, m.Recipients[0], "bob"))
	if h != "Return-Path: <>\r\n\r\n" {
		t.Errorf("got %q", h)
	}
}

func TestOriginalRecipientIsDecoded(t *testing.T) {
	for _, tc := range []struct{ kind, orcpt, want string }{
		{"", "Bob+2Bx@Old.test", "rfc822; Bob+x@Old.test"},
		{"x400", "a+3Db", "x400; a=b"},
		{"utf-8", `b\x{FC}b@old.test`, `utf-8; b\x{FC}b@old.test`},
		{"utf-8", "büb@old.test", `utf-8; b\x{FC}b@old.test`},
		{"", "bob+0D+0AX:y@old.test", ""}, // a line break
		{"", "bob+2@old.test", ""},
		{"utf-8", `b\x{D}`, ""},
	} {
		m := testMail("bob@example.com")
		m.Set(container.AttrDSNOrcpt, map[string]container.Value{"bob@example.com": tc.orcpt})
		if tc.kind != "" {
			m.Set(container.AttrDSNOrcptType, map[string]container.Value{"bob@example.com": tc.kind})
		}
		want := "Return-Path: <sender@example.org>\r\n"
		if tc.want != "" {
			want += "Original-Recipient: " + tc.want + "\r\n"
		}
		if got := string(copyHeader(m, nil, m.Recipients[0], "bob")); got != want+"\r\n" {
			t.Errorf("%s;%s: got %q, want %q", tc.kind, tc.orcpt, got, want)
		}
	}
}

// A recipient given twice whose first delivery fails and whose second would not
// must not be reported as failed and have the mail.
func TestRepeatedRecipientIsTriedOnce(t *testing.T) {
	d, root, delivered, _ := testDispatcher(t)
	d.Retries = 0
	tries := 0
	blocked := filepath.Join(root, "example.com")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.Users = hookUsers{users{true}, func() {
		if tries++; tries == 2 {
			if err := os.Remove(blocked); err != nil {
				t.Fatal(err)
			}
		}
	}}
	m := testMail("bob@example.com", "Bob@example.com")
	out := &container.Outbox{}
	if err := d.Dispatch(t.Context(), m, out); err != nil {
		t.Fatal(err)
	}
	if out.Len() != 1 || len(out.Entries()[0].Mail.Recipients) != 1 || *delivered != 0 || len(m.Recipients) != 0 {
		t.Errorf("delivered %d times, failed %v, left %v", *delivered, out.Entries()[0].Mail.Recipients, m.Recipients)
	}
}

// hookUsers calls a function whenever a name is asked for.
type hookUsers struct {
	users
	asked func()
}

func (u hookUsers) Username(a container.Address) string {
	u.asked()
	return u.users.Username(a)
}

func TestFolders(t *testing.T) {
	for _, tc := range []struct {
		name       string
		virtual    bool
		attributes container.Attributes
		want       []string
	}{
		{"default", true, nil, []string{"example.com/bob/new"}},
		{"without virtual hosting", false, nil, []string{"default.test/bob/new"}},
		{"path", true, container.Attributes{"DeliveryPath_bob@example.com": "/A"}, []string{"example.com/bob/.A/new"}},
		{"empty path", true, container.Attributes{"DeliveryPath_bob@example.com": ""}, []string{"example.com/bob/new"}},
		{"paths before path", true, container.Attributes{
			"DeliveryPath_bob@example.com":  "A",
			"DeliveryPaths_bob@example.com": []container.Value{"B/C", "INBOX"},
		}, []string{"example.com/bob/.B.C/new", "example.com/bob/new"}},
		{"seen", false, container.Attributes{"Seen_bob": true, "Important_bob": false}, []string{"default.test/bob/cur"}},
		{"not Boolean", false, container.Attributes{"Seen_bob": "true"}, []string{"default.test/bob/new"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, root, _, _ := testDispatcher(t)
			d.Users = users{tc.virtual}
			m := testMail("Bob@example.com")
			m.Attributes = tc.attributes
			if err := d.Dispatch(t.Context(), m, &container.Outbox{}); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range files(t, root) {
				if !strings.HasSuffix(f, "maildirfolder") {
					got = append(got, filepath.Dir(f))
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// block makes the box of a user impossible to open.
func block(t *testing.T, root, domain string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, domain), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFailedRecipients(t *testing.T) {
	d, root, delivered, paused := testDispatcher(t)
	block(t, root, "blocked.test")
	m := testMail("bob@blocked.test", "alice@example.com", "carol@example.com")
	m.Set("Seen_alice@example.com", true)
	m.Set("DeliveryPaths_carol@example.com", []container.Value{"/"})
	m.Set(container.AttrDSNNotify, map[string]container.Value{"bob@blocked.test": "FAILURE"})
	m.AddRecipientHeader(m.Recipients[0], "X-A", "1")
	out := &container.Outbox{}
	if err := d.Dispatch(t.Context(), m, out); err != nil {
		t.Fatal(err)
	}
	if got := container.AddressStrings(m.Recipients); !slices.Equal(got, []string{"alice@example.com"}) || *delivered != 1 || *paused != 2 {
		t.Errorf("delivered to %v, counted %d, paused %d times", got, *delivered, *paused)
	}
	if out.Len() != 1 || out.Entries()[0].Queue != container.SpoolQueue {
		t.Fatalf("outbox has %+v", out.Entries())
	}
	e := out.Entries()[0].Mail
	if e.Name != "error-"+m.Name || e.State != "error" || e.ID != m.ID || e.Sender != m.Sender || !strings.HasPrefix(string(e.Message.Header()), "return-path") {
		t.Errorf("error mail is %+v", e)
	}
	if got := container.AddressStrings(e.Recipients); !slices.Equal(got, []string{"bob@blocked.test", "carol@example.com"}) {
		t.Errorf("error mail goes to %v", got)
	}
	want := "Local delivery to bob@blocked.test failed: mail store: open: not a directory\r\n" +
		"Local delivery to carol@example.com failed: the address or folder cannot be the name of a mailbox"
	if e.ErrorMessage != want {
		t.Errorf("error message is %q, want %q", e.ErrorMessage, want)
	}
	for rcpt, status := range map[string]string{"bob@blocked.test": "4.3.0", "carol@example.com": "5.1.3"} {
		if o, _ := e.Outcome(container.MustAddress(rcpt)); o.Result != container.Failed || o.Enhanced != status || strings.Contains(o.Text, root) {
			t.Errorf("outcome of %s is %+v", rcpt, o)
		}
	}
	if _, ok := m.Outcome(e.Recipients[0]); ok {
		t.Error("the mail itself has an outcome for a recipient that left it")
	}
	delete(e.Attributes, container.AttrOutcomes)
	if want := (container.Attributes{container.AttrSentByMailet: true, container.AttrDSNNotify: map[string]container.Value{"bob@blocked.test": "FAILURE"}}); !reflect.DeepEqual(e.Attributes, want) {
		t.Errorf("error mail has attributes %v, want %v", e.Attributes, want)
	}
}

func TestOnError(t *testing.T) {
	for _, tc := range []struct {
		onError string
		err     bool
		sent    int
		left    int
	}{
		{"error", false, 1, 1}, {"local-trouble", false, 1, 1}, {"ignore", false, 0, 1}, {"Ignore", false, 0, 1}, {"propagate", true, 0, 2},
	} {
		d, root, _, _ := testDispatcher(t)
		block(t, root, "blocked.test")
		d.OnError = tc.onError
		m := testMail("bob@blocked.test", "alice@example.com")
		out := &container.Outbox{}
		err := d.Dispatch(t.Context(), m, out)
		if (err != nil) != tc.err || out.Len() != tc.sent || len(m.Recipients) != tc.left {
			t.Errorf("%s: got %v, %d sent, %v left", tc.onError, err, out.Len(), m.Recipients)
		}
		if out.Len() == 1 && out.Entries()[0].Mail.State != tc.onError {
			t.Errorf("%s: state is %s", tc.onError, out.Entries()[0].Mail.State)
		}
	}
}

// TestRunAgain: a mail that is run again, after a crash or because the spool
// tries once more, is not stored twice, also when the reader has seen it.
func TestRunAgain(t *testing.T) {
	for _, again := range []func(*container.Mail){
		func(m *container.Mail) { m.Redelivered = true },
		func(m *container.Mail) { m.Set(container.AttrErrorCount, int32(1)) },
	} {
		d, root, _, _ := testDispatcher(t)
		m := testMail("bob@example.com")
		if err := d.Dispatch(t.Context(), m.Clone(), &container.Outbox{}); err != nil {
			t.Fatal(err)
		}
		box := filepath.Join(root, "example.com/bob")
		name := filepath.Base(files(t, box)[0])
		if err := os.Rename(filepath.Join(box, "new", name), filepath.Join(box, "cur", name+":2,S")); err != nil {
			t.Fatal(err)
		}
		again(m)
		if err := d.Dispatch(t.Context(), m, &container.Outbox{}); err != nil {
			t.Fatal(err)
		}
		if got := files(t, box); len(got) != 1 {
			t.Errorf("box has %v", got)
		}
		if o, _ := m.Outcome(m.Recipients[0]); o.Result != container.Delivered {
			t.Errorf("outcome is %+v", o)
		}
	}
}

func TestRetrySucceeds(t *testing.T) {
	d, root, _, paused := testDispatcher(t)
	block(t, root, "example.com")
	d.pause = func(n int) time.Duration {
		*paused++
		if n == 2 {
			if err := os.Remove(filepath.Join(root, "example.com")); err != nil {
				t.Error(err)
			}
		}
		return 0
	}
	m := testMail("bob@example.com")
	out := &container.Outbox{}
	if err := d.Dispatch(t.Context(), m, out); err != nil || out.Len() > 0 || *paused != 2 {
		t.Errorf("got %v, %d sent, paused %d times", err, out.Len(), *paused)
	}
}

func TestNoWaitingAtShutdown(t *testing.T) {
	d, root, _, _ := testDispatcher(t)
	block(t, root, "example.com")
	d.pause = func(int) time.Duration { return time.Hour }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := &container.Outbox{}
	if err := d.Dispatch(ctx, testMail("bob@example.com"), out); err != nil || out.Len() != 1 {
		t.Errorf("got %v, %d sent", err, out.Len())
	}
}

func TestBackOff(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 200 * time.Millisecond, 2: 400 * time.Millisecond, 3: 800 * time.Millisecond, 4: time.Second, 1000: time.Second} {
		if got := backOff(n); got != want {
			t.Errorf("after attempt %d: %v, want %v", n, got, want)
		}
	}
}

func TestClassify(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("x: %w", err) }
	for _, tc := range []struct {
		err            error
		enhanced, text string
	}{
		{wrap(ErrName), "5.1.3", "cannot be the name"},
		{wrap(&fs.PathError{Op: "write", Path: "/secret", Err: syscall.ENOSPC}), "4.3.1", "no space left"},
		{&fs.PathError{Op: "write", Path: "/secret", Err: syscall.EDQUOT}, "4.2.2", "full"},
		{wrap(&fs.PathError{Op: "open", Path: "/secret", Err: syscall.EIO}), "4.3.0", "open: input/output error"},
		{wrap(&os.LinkError{Op: "rename", Old: "/secret", New: "/secret", Err: syscall.EIO}), "4.3.0", "rename: input/output error"},
		{errors.New("else"), "4.3.0", "else"},
	} {
		enhanced, text := classify(tc.err)
		if enhanced != tc.enhanced || !strings.Contains(text, tc.text) || strings.Contains(text, "secret") {
			t.Errorf("%v: got %s %s, want %s %s", tc.err, enhanced, text, tc.enhanced, tc.text)
		}
	}
}

func TestQuotaIsNotRetried(t *testing.T) {
	d, _, _, paused := testDispatcher(t)
	m := testMail("bob@example.com")
	m.Message = container.NewMessage([]byte("A: b\r\n"), brokenBody{-1, syscall.EDQUOT})
	out := &container.Outbox{}
	if err := d.Dispatch(t.Context(), m, out); err != nil || *paused != 0 || out.Len() != 1 {
		t.Errorf("got %v, paused %d times, %d sent", err, *paused, out.Len())
	}
}

func TestNameTime(t *testing.T) {
	last := time.Unix(5, 0)
	for name, want := range map[string]int64{"Mail1700000000123-ABC!abcd": 1700000000, "Mail-x": 5, "Mailx-y": 5, "other": 5, "Mail12": 5, "": 5} {
		if got := nameTime(&container.Mail{Name: name, LastUpdated: last}).Unix(); got != want {
			t.Errorf("%q: got %d, want %d", name, got, want)
		}
	}
}

func BenchmarkDispatch(b *testing.B) {
	d, _, _, _ := testDispatcher(b)
	body := container.BytesBody(strings.Repeat("0123456789abcdef0123456789abcdef\r\n", 300))
	for b.Loop() {
		m := testMail("bob@example.com")
		m.ID = container.NewName()
		m.Message = container.NewMessage(m.Message.Header(), body)
		if err := d.Dispatch(context.Background(), m, &container.Outbox{}); err != nil {
			b.Fatal(err)
		}
	}
}
