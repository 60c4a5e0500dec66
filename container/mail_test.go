package container

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/conf"
)

func TestDeriveName(t *testing.T) {
	m := NewMail(Address{}, nil, Message{})
	m.Name = "Mail1"
	first, err := m.DeriveName()
	if err != nil || !strings.HasPrefix(first, "Mail1!") || len(first) != len("Mail1!")+4 {
		t.Errorf("first name %q, %v", first, err)
	}
	second, _ := m.DeriveName()
	if first == second {
		t.Errorf("two copies are called %q", first)
	}
	again := &Mail{ID: m.ID, Name: "Mail1", State: StateRoot}
	if got, _ := again.DeriveName(); got != first {
		t.Errorf("processed again the first copy is %q, was %q", got, first)
	}
	m.Name = strings.Repeat("n", 60)
	if got, _ := m.DeriveName(); len(got) != maxNameLength || !strings.HasPrefix(got, "nnn") {
		t.Errorf("long name becomes %q", got)
	}
	m.Name = "a!1!2!3!4!5!6!7!8"
	if _, err := m.DeriveName(); !errors.Is(err, ErrTooManyCopies) {
		t.Errorf("eight copies deep: error %v", err)
	}
}

func TestDuplicate(t *testing.T) {
	m := NewMail(MustAddress("a@x.test"), []Address{MustAddress("b@x.test")}, NewMessage([]byte("S: x\r\n"), BytesBody("hi")))
	m.State = "transport"
	m.Set("k", "v")
	m.AddRecipientHeader(m.Recipients[0], "X", "1")
	c, err := m.Duplicate()
	if err != nil {
		t.Fatal(err)
	}
	c.Recipients[0] = MustAddress("c@x.test")
	c.Set("k", "w")
	c.AddRecipientHeader(m.Recipients[0], "X", "2")
	c.Message.SetHeader(nil)
	if c.State != StateRoot || c.ID != m.ID || c.Name == m.Name {
		t.Errorf("copy has state %q, ID %q, name %q", c.State, c.ID, c.Name)
	}
	if v, _ := m.Attributes.String("k"); v != "v" || m.Recipients[0].Local != "b" || len(m.RecipientHeaders[m.Recipients[0].Key()]) != 1 || len(m.Message.Header()) == 0 {
		t.Error("a change of the copy shows in the original")
	}
}

func TestParseMessage(t *testing.T) {
	for _, tc := range []struct{ in, header, body string }{
		{"A: 1\r\nB: 2\r\n\r\nbody\r\n", "A: 1\r\nB: 2\r\n", "body\r\n"},
		{"A: 1\r\n folded\r\n\r\n", "A: 1\r\n folded\r\n", ""},
		{"\r\nbody", "", "body"},
		{"A: 1\r\n", "A: 1\r\n", ""},
		{"no header at all\r\nbody\r\n", "", "no header at all\r\nbody\r\n"},
		{"A: 1\r\nnot a field\r\nbody", "A: 1\r\n", "not a field\r\nbody"},
		{" folded first\r\n\r\n", "", " folded first\r\n\r\n"},
		{"", "", ""},
	} {
		m := ParseMessage([]byte(tc.in))
		body, err := m.Body().Open()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		b.ReadFrom(body)
		if string(m.Header()) != tc.header || b.String() != tc.body {
			t.Errorf("%q: header %q, body %q, want %q, %q", tc.in, m.Header(), b.String(), tc.header, tc.body)
		}
		var whole bytes.Buffer
		if n, err := m.WriteTo(&whole); err != nil || n != m.Size() || whole.String() != tc.header+"\r\n"+tc.body {
			t.Errorf("%q written as %q (%d octets, size %d), %v", tc.in, whole.String(), n, m.Size(), err)
		}
	}
}

// Header and body of any text put together again are the text, but for a blank
// line that was missing between them.
func FuzzParseMessage(f *testing.F) {
	f.Add([]byte("A: 1\r\n\r\nx"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := ParseMessage(data)
		var whole bytes.Buffer
		if _, err := m.WriteTo(&whole); err != nil {
			t.Fatal(err)
		}
		header := string(m.Header())
		without := header + strings.TrimPrefix(whole.String(), header+"\r\n")
		if whole.String() != string(data) && without != string(data) {
			t.Errorf("%q became %q", data, whole.String())
		}
	})
}

func TestSplitReply(t *testing.T) {
	for _, tc := range []struct {
		in, enhanced, text string
		code               int
	}{
		{"550 5.1.1 no such user", "5.1.1", "no such user", 550},
		{"550 no such user", "", "no such user", 550},
		{"550-5.1.1 first", "5.1.1", "first", 550},
		{"5.4.6 loop", "5.4.6", "loop", 0},
		{"plain text", "", "plain text", 0},
		{"550", "", "", 550},
		{"999 9.9.9 x", "", "999 9.9.9 x", 0},
		{"550 5.01.1 x", "", "5.01.1 x", 550},
	} {
		code, enh, text := SplitReply(tc.in)
		if code != tc.code || enh != tc.enhanced || text != tc.text {
			t.Errorf("%q: got %d, %q, %q", tc.in, code, enh, text)
		}
	}
}

func TestOutcomeRoundTrip(t *testing.T) {
	m := NewMail(Address{}, nil, Message{})
	rcpt := MustAddress("Bob@x.test")
	o := Outcome{Result: Failed, Host: "mx", Addr: "192.0.2.1", Code: 550, Enhanced: "5.1.1", Text: "a\nb", DSN: true, TLS: "TLSv1.3", Attempt: 2}
	m.SetOutcome(rcpt, o)
	data, err := m.Attributes.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	back := &Mail{}
	if err := back.Attributes.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	got, ok := back.Outcome(MustAddress("bob@X.test"))
	if !ok || got != o {
		t.Errorf("got %+v, want %+v", got, o)
	}
	if want := "550 5.1.1 a b"; o.Reply() != want {
		t.Errorf("reply %q, want %q", o.Reply(), want)
	}
}

func TestRegistry(t *testing.T) {
	r := NewRegistry()
	var made string
	factory := func(name string) MailetFactory {
		return func(*conf.Params) Mailet { made = name; return nil }
	}
	r.Mailet(MailetPackage+"Null", factory("short"))
	r.Mailet("com.acme.Null", factory("acme"))
	r.Map("com.old.Null", "Null")
	for _, tc := range []struct{ name, want, err string }{
		{name: "Null", want: "short"},
		{name: MailetPackage + "Null", want: "short"},
		{name: "com.acme.Null", want: "acme"},
		{name: "com.old.Null", want: "short"},
		{name: "null", err: `did you mean "Null"?`},
		{name: "org.apache.james.jmap.mailet.VacationMailet", err: "moved; its name is VacationMailet"},
		{name: "XMLVirtualUserTable", err: "use RecipientRewriteTable"},
	} {
		made = ""
		_, err := r.NewMailet(tc.name, nil)
		if made != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: made %q, error %v; want %q, %q", tc.name, made, err, tc.want, tc.err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a class registered twice does not panic")
		}
	}()
	r.Mailet("com.acme.Null", factory("again"))
}
