package mailets

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dsn"
	"github.com/mailetd/mailetd/container/local/localtest"
	"github.com/mailetd/mailetd/container/mime"
)

// sieveRig is a Sieve mailet with scripts in memory.
type sieveRig struct {
	*Sieve
	said *localtest.Said
	log  strings.Builder
}

func newSieveRig(t testing.TB, scripts map[string]string) *sieveRig {
	t.Helper()
	rig := &sieveRig{said: &localtest.Said{}}
	s := testServices(t)
	s.Sieve, s.Vacations = rig.said, rig.said
	s.Log = slog.New(slog.NewTextHandler(&rig.log, nil))
	r := container.NewRegistry()
	Register(r, s)
	rig.Sieve = mustLoad(t, r, "Sieve", "").(*Sieve)
	for user, text := range scripts {
		rig.put(t, user, text)
	}
	return rig
}

func (r *sieveRig) put(t testing.TB, user, text string) {
	t.Helper()
	if err := errors.Join(r.said.PutSieveScript(t.Context(), user, "main", []byte(text)), r.said.ActivateSieveScript(t.Context(), user, "main")); err != nil {
		t.Fatal(err)
	}
}

const sieveAll = `require ["fileinto", "copy", "imap4flags", "reject", "ereject", "vacation", "editheader", "envelope", "subaddress", "variables"]; `

// sieveState writes what is left of a mail, or of a copy, in a line.
func sieveState(m *container.Mail) string {
	var out []string
	for _, r := range m.Recipients {
		user := strings.ToLower(r.String())
		s := r.Local
		for _, name := range []string{"DeliveryPaths_", "Keywords_"} {
			if list := m.Attributes.Strings(name + user); list != nil {
				s += fmt.Sprint(list)
			}
		}
		for _, name := range []string{"Seen_", "Important_"} {
			if b, ok := m.Attributes.Bool(name + user); ok {
				s += fmt.Sprintf(" %s%t", name, b)
			}
		}
		out = append(out, s)
	}
	if v, ok := mime.Get(m.Message.Header(), "X-Edit"); ok {
		out = append(out, "X-Edit="+v)
	}
	return strings.Join(out, ", ")
}

func TestSieveStores(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"keep", "keep;", "bob, alice"},
		{"nothing", "", "bob, alice"},
		{"discard", "discard;", "alice"},
		{"fileinto", `fileinto "A/B";`, "bob[A/B], alice"},
		{"several folders", `fileinto "A"; fileinto "B"; keep;`, "bob[INBOX A B], alice"},
		{"copy", `fileinto :copy "A";`, "bob[INBOX A], alice"},
		{"flags", `setflag ["\\Seen", "\\Answered", "$work", "x"];`, "bob[$work x] Seen_true Important_false, alice"},
		{"no flags", `setflag ""; fileinto "A";`, "bob[A] Seen_false Important_false, alice"},
		{"different flags", `fileinto :flags "\\Flagged" "A"; fileinto "B"; fileinto :flags "\\FLAGGED" "A";`, "bob[B], alice"},
		{"edited for one", `addheader "X-Edit" "1";`, "alice | bob, X-Edit=1"},
		{"edited between two folders", `fileinto "A"; addheader "X-Edit" "1"; fileinto "B";`, "bob[A], alice | bob[B], X-Edit=1"},
		{"edited twice", `addheader "X-Edit" "1"; fileinto "A"; addheader "X-Edit" "2"; keep;`, "alice | bob, X-Edit=2 | bob[A], X-Edit=1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rig := newSieveRig(t, map[string]string{"bob@example.com": sieveAll + tc.script})
			m := testMail("bob@example.com", "alice@example.com")
			out := serve(t, rig, m)
			got := sieveState(m)
			for _, f := range out.TakeForks() {
				got += " | " + sieveState(f)
				if f.State != m.State || f.ID != m.ID || f.Name == m.Name {
					t.Errorf("fork is %+v", f)
				}
			}
			if tc.name == "different flags" {
				tc.want = "bob[A] Seen_false Important_true, alice | bob[B]"
			}
			if got != tc.want || out.Len() > 0 {
				t.Errorf("got  %s\nwant %s\nsent %d", got, tc.want, out.Len())
			}
		})
	}
}

// What another mailet chose is what keep keeps.
func TestSieveKeepsFolder(t *testing.T) {
	for script, want := range map[string]string{"keep;": "bob[Spam]", `fileinto "A";`: "bob[A]", `fileinto :copy "A";`: "bob[Spam A]"} {
		rig := newSieveRig(t, map[string]string{"bob@example.com": sieveAll + script})
		m := testMail("bob@example.com")
		m.Set("DeliveryPaths_bob@example.com", []container.Value{"Spam"})
		if serve(t, rig, m); sieveState(m) != want {
			t.Errorf("%s: got %s, want %s", script, sieveState(m), want)
		}
	}
}

// A mail for one recipient is edited in place.
func TestSieveEditsInPlace(t *testing.T) {
	rig := newSieveRig(t, map[string]string{"bob@example.com": sieveAll + `addheader :last "X-Edit" "1"; deleteheader "x-foo"; fileinto "A";`})
	m := testMail("bob@example.com")
	if out := serve(t, rig, m); len(out.TakeForks()) > 0 || sieveState(m) != "bob[A], X-Edit=1" || mime.Has(m.Message.Header(), "X-Foo") {
		t.Errorf("got %s\n%s", sieveState(m), m.Message.Header())
	}
}

func TestSieveRedirect(t *testing.T) {
	rig := newSieveRig(t, map[string]string{"bob@example.com": sieveAll + `redirect "carol@far.test"; redirect :copy "dave@far.test";`})
	m := testMail("bob@example.com", "alice@example.com")
	m.Set(container.AttrDSNNotify, map[string]container.Value{"bob@example.com": "NEVER", "alice@example.com": "DELAY"})
	m.Set(container.AttrDSNEnvID, "id")
	m.Set("x", "y")
	out := serve(t, rig, m)
	if sieveState(m) != "alice" || out.Len() != 2 {
		t.Fatalf("left %s, sent %d", sieveState(m), out.Len())
	}
	c := out.Entries()[0].Mail
	if c.Sender != m.Sender || !slices.Equal(container.AddressStrings(c.Recipients), []string{"carol@far.test"}) || c.State != container.StateRoot || c.ID != m.ID || c.Name == m.Name {
		t.Errorf("redirected mail is %+v", c)
	}
	want := container.Attributes{container.AttrSentByMailet: true, container.AttrDSNEnvID: "id", attrSieveRedirect: "bob@example.com",
		container.AttrDSNNotify: map[string]container.Value{"carol@far.test": "NEVER"}, container.AttrDSNOrcpt: map[string]container.Value{"carol@far.test": "bob@example.com"}}
	if !reflect.DeepEqual(c.Attributes, want) {
		t.Errorf("attributes are\n%v, want\n%v", c.Attributes, want)
	}
	if h := string(c.Message.Header()); h != "X-Sieve-Redirected-From: <bob@example.com>\r\n"+testHeader {
		t.Errorf("header is %q", h)
	}
	// It comes back: there is nothing left but to keep it.
	c.Recipients = []container.Address{container.MustAddress("Bob@example.com")}
	if out := serve(t, rig, c); out.Len() > 0 || sieveState(c) != "Bob" {
		t.Errorf("came back: left %s, sent %d", sieveState(c), out.Len())
	}
}

// A message that was sent on by many is kept by the next.
func TestSieveManyRedirects(t *testing.T) {
	rig := newSieveRig(t, map[string]string{"bob@example.com": sieveAll + `redirect "carol@far.test";`})
	for n, want := range map[int]string{maxRedirected - 1: "", maxRedirected: "bob"} {
		m := testMail("bob@example.com")
		m.Message.SetHeader([]byte(strings.Repeat(redirectedFrom+": <x@y.test>\r\n", n)))
		if serve(t, rig, m); sieveState(m) != want {
			t.Errorf("%d redirects: left %q, want %q", n, sieveState(m), want)
		}
	}
}

func TestSieveRedirectToSelf(t *testing.T) {
	rig := newSieveRig(t, map[string]string{"bob@example.com": sieveAll + `redirect "Bob@example.com";`})
	m := testMail("bob@example.com")
	if out := serve(t, rig, m); out.Len() > 0 || sieveState(m) != "bob" {
		t.Errorf("left %s, sent %d", sieveState(m), out.Len())
	}
}

func TestSieveReject(t *testing.T) {
	rig := newSieveRig(t, map[string]string{"bob@example.com": sieveAll + `reject "No birdseed, merci à vous.";`})
	m := testMail("bob@example.com")
	m.Message = container.ParseMessage([]byte("Message-ID: <1@x.test>\r\nSubject: se=?utf-8?q?=C3=A9?=ds\r\nX-Caf\xc3\xa9: 1\r\n\r\nbody"))
	out := serve(t, rig, m)
	if len(m.Recipients) > 0 || out.Len() != 1 {
		t.Fatalf("left %s, sent %d", sieveState(m), out.Len())
	}
	n := out.Entries()[0].Mail
	if !n.Sender.IsNull() || n.Recipients[0] != m.Sender || n.Attributes[attrSieveReject] != "bob@example.com" {
		t.Errorf("notification is %+v", n)
	}
	got := text(t, n)
	for _, want := range []string{"From: bob@example.com\r\n", "To: sender@example.org\r\n", "In-Reply-To: <1@x.test>\r\n", "Auto-Submitted: auto-replied (rejected)\r\n",
		"report-type=disposition-notification", refusedText, "merci =C3=A0 vous", "Reporting-UA: mx.example.com; mailetd\r\n", "Final-Recipient: rfc822; bob@example.com\r\n",
		"Original-Message-ID: <1@x.test>\r\n", "Disposition: automatic-action/MDN-sent-automatically; deleted/error\r\n", "Message-ID: <1@x.test>\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	root, err := mime.Scan(&n.Message, mime.Limits{})
	if err != nil || len(root.Children) != 3 || root.Children[1].MediaType != "message/disposition-notification" || root.Children[2].MediaType != "text/rfc822-headers" {
		t.Errorf("structure is %+v, %v", root, err)
	}
	if !mime.IsASCII(got) {
		t.Error("the notification needs 8 bits")
	}

	m = testMail("bob@example.com")
	m.Sender = container.Address{}
	if out := serve(t, rig, m); out.Len() > 0 || sieveState(m) != "bob" {
		t.Errorf("null sender: left %s, sent %d", sieveState(m), out.Len())
	}
}

func TestSieveEreject(t *testing.T) {
	rig := newSieveRig(t, map[string]string{"bob@example.com": sieveAll + `ereject "Not wanted.";`})
	m := testMail("bob@example.com")
	out := serve(t, rig, m)
	if len(m.Recipients) > 0 || out.Len() != 1 {
		t.Fatalf("left %s, sent %d", sieveState(m), out.Len())
	}
	n := out.Entries()[0].Mail
	rep, err := dsn.Parse(&n.Message)
	if err != nil || len(rep.Recipients) != 1 || rep.Recipients[0].Status != "5.7.1" || !strings.Contains(rep.Recipients[0].Diagnostic, "Not wanted.") {
		t.Errorf("report is %+v, %v", rep, err)
	}
	m = testMail("bob@example.com")
	m.Set(container.AttrDSNNotify, map[string]container.Value{"bob@example.com": "NEVER"})
	if out := serve(t, rig, m); out.Len() > 0 || len(m.Recipients) > 0 {
		t.Errorf("NOTIFY=NEVER: left %s, sent %d", sieveState(m), out.Len())
	}
}

func TestSieveVacation(t *testing.T) {
	rig := newSieveRig(t, map[string]string{"bob@example.com": sieveAll + `vacation :subject "Away" :addresses "b.ob@example.com" "Gone fishing.";`})
	mail := func() *container.Mail {
		m := testMail("bob@example.com")
		m.Message = container.ParseMessage([]byte("To: b.ob@example.com\r\nSubject: x\r\n\r\nbody"))
		return m
	}
	m := mail()
	out := serve(t, rig, m)
	if out.Len() != 1 || sieveState(m) != "bob" {
		t.Fatalf("left %s, sent %d", sieveState(m), out.Len())
	}
	if got := text(t, out.Entries()[0].Mail); !strings.Contains(got, "Subject: Away\r\n") || !strings.Contains(got, "Gone fishing.") {
		t.Errorf("answer is\n%s", got)
	}
	if out := serve(t, rig, mail()); out.Len() > 0 {
		t.Error("answered twice")
	}
	rig.said.FailWith(errors.New("disk full"))
	if m := mail(); serve(t, rig, m).Len() > 0 || sieveState(m) != "bob" {
		t.Error("a store that fails costs the mail")
	}
	if !strings.Contains(rig.log.String(), "script not run, mail kept") {
		t.Errorf("the log is\n%s", rig.log.String())
	}
}

func TestSieveMistake(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"syntax", "keep;\nfrob;", `2:1: command "frob" is not known`},
		{"at run time", sieveAll + "\nfileinto \"${x}\";", "2:1: fileinto needs the name of a folder"},
		{"folder", sieveAll + "\nfileinto \"a//b\";", `line 2: folder "a//b" has an empty level`},
		{"takes back", sieveAll + "redirect \"x@far.test\"; vacation \"a\"; discard;\nvacation \"b\";", "2:1: vacation can be done once"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rig := newSieveRig(t, map[string]string{"bob@example.com": tc.script})
			for _, header := range []string{testHeader, ""} {
				m := testMail("bob@example.com")
				m.Message = container.ParseMessage([]byte(header + "\r\nsch\xf6n\r\n"))
				out := serve(t, rig, m)
				if sieveState(m) != "bob" || out.Len() != 1 {
					t.Fatalf("left %s, sent %d", sieveState(m), out.Len())
				}
				n := out.Entries()[0].Mail
				if !n.Sender.IsNull() || n.Recipients[0] != m.Recipients[0] || n.Attributes[container.AttrBodyType] != "8BITMIME" {
					t.Errorf("notice is %+v", n)
				}
				got := text(t, n)
				for _, want := range []string{"Subject: [SIEVE ERROR]", "X-Priority: 1\r\n", tc.want, "message/rfc822", "sch\xf6n"} {
					if !strings.Contains(got, want) {
						t.Errorf("no %q in\n%s", want, got)
					}
				}
				if out := serve(t, rig, n); out.Len() > 0 || sieveState(n) != "bob" {
					t.Error("the notice runs a script")
				}
			}
		})
	}
}

// Nobody's script runs for an address that is no account, and nobody has one
// without a store.
func TestSieveWithoutScript(t *testing.T) {
	rig := newSieveRig(t, map[string]string{"carol@example.com": "discard;", "alice@example.com": "discard;"})
	m := testMail("carol@example.com", "bob@example.com")
	want := m.Clone()
	if out := serve(t, rig, m); out.Len() > 0 || !reflect.DeepEqual(m, want) {
		t.Errorf("got %+v", m)
	}
	rig.scripts = nil
	m = testMail("alice@example.com")
	if serve(t, rig, m); len(m.Recipients) != 1 {
		t.Error("a script without a store")
	}
}

func TestSieveDetail(t *testing.T) {
	rig := newSieveRig(t, map[string]string{"bob@example.com": sieveAll + `if envelope :detail "to" "Work" { fileinto "W"; }`})
	for orcpt, want := range map[string]string{"bob+2Bwork@example.com": "bob[W]", "bob@example.com": "bob", "bob+2Bwork@other.test": "bob", "x+2Bwork@example.com": "bob", "+": "bob"} {
		m := testMail("bob@example.com")
		m.Set(container.AttrDSNOrcpt, map[string]container.Value{"bob@example.com": orcpt})
		if serve(t, rig, m); sieveState(m) != want {
			t.Errorf("%s: got %s, want %s", orcpt, sieveState(m), want)
		}
	}
}

func TestSieveCache(t *testing.T) {
	var c sieveCache
	one, _ := c.compile("a", []byte("keep;"))
	if two, _ := c.compile("a", []byte("keep;")); two != one {
		t.Error("compiled twice")
	}
	if two, err := c.compile("a", []byte("discard;")); two == one || err != nil {
		t.Error("a change is not seen")
	}
	if _, err := c.compile("a", []byte("x")); err == nil {
		t.Error("no mistake")
	}
	for i := range 10000 {
		if _, err := c.compile(fmt.Sprint(i), []byte("keep;")); err != nil {
			t.Fatal(err)
		}
	}
	if c.size > maxCachedSieve || len(c.scripts)*1024 > maxCachedSieve {
		t.Errorf("%d scripts, cost %d", len(c.scripts), c.size)
	}
}
