package mailets

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Two users who send their mail to each other, and hide that, keep it in the end.
func TestSieveCircle(t *testing.T) {
	script := func(to string) string {
		return sieveAll + `deleteheader "X-Sieve-Redirected-From"; deleteheader "Received"; redirect "` + to + `@example.com";`
	}
	rig := newSieveRig(t, map[string]string{"bob@example.com": script("alice"), "alice@example.com": script("bob")})
	m := testMail("bob@example.com")
	for range 10 {
		out := serve(t, rig, m)
		if out.Len() == 0 {
			if len(m.Recipients) != 1 {
				t.Error("the mail is lost")
			}
			return
		}
		m = out.Entries()[0].Mail
	}
	t.Error("the mail goes round and round")
}

// A notice that cannot be delivered must not come back as a mail that causes
// another one.
func TestSieveNoticeDoesNotComeBack(t *testing.T) {
	rig := newSieveRig(t, map[string]string{"bob@example.com": "frob;"})
	out := serve(t, rig, testMail("bob@example.com"))
	if n := out.Entries()[0].Mail; !n.Sender.IsNull() {
		t.Errorf("the notice is from %s", n.Sender)
	}
}

// withoutDomain is a directory without virtual hosting.
type withoutDomain struct{ sieveUsers }

func (withoutDomain) Username(a container.Address) string { return strings.ToLower(a.Local) }

// Two addresses of one user: what the script says about one does not move the
// other's copy.
func TestSieveTwoAddressesOfOneUser(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"other folders", `if envelope :domain "to" "example.com" { fileinto "A"; } else { keep; fileinto "B"; }`, " | [A] | [INBOX B]"},
		{"one kept", `if envelope :domain "to" "example.com" { fileinto :flags "\\Seen" "A"; }`, "bob@example.org | [A]"},
		{"one discarded", `if envelope :domain "to" "example.com" { discard; } else { fileinto "B"; }`, " | [B]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rig := newSieveRig(t, map[string]string{"bob": sieveAll + tc.script})
			rig.users = withoutDomain{anyUser{rig.users}}
			m := testMail("bob@example.com", "bob@example.org")
			out := serve(t, rig, m)
			got := strings.Join(container.AddressStrings(m.Recipients), " ")
			if len(m.Recipients) > 0 && m.Attributes.Strings("DeliveryPaths_bob") != nil {
				t.Errorf("paths of the rest: %v", m.Attributes)
			}
			for _, f := range out.TakeForks() {
				got += " | [" + strings.Join(f.Attributes.Strings("DeliveryPaths_bob"), " ") + "]"
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// anyUser is a directory in which every address is an account.
type anyUser struct{ sieveUsers }

func (anyUser) UserExists(context.Context, container.Address) (bool, error) { return true, nil }

// The inbox has one copy, however it is spelled.
func TestSieveInboxOnce(t *testing.T) {
	for script, want := range map[string]string{
		`fileinto "Inbox"; keep;`:               "bob[INBOX]",
		`keep; fileinto "inbox"; fileinto "A";`: "bob[INBOX A]",
		`fileinto "INBOX"; fileinto "/inbox";`:  "bob[INBOX]",
	} {
		rig := newSieveRig(t, map[string]string{"bob@example.com": sieveAll + script})
		m := testMail("bob@example.com")
		if serve(t, rig, m); sieveState(m) != want {
			t.Errorf("%s: got %s, want %s", script, sieveState(m), want)
		}
	}
}

// A mail that no more copies can be made of is kept: it is neither lost nor taken
// from its other recipients.
func TestSieveNoMoreCopies(t *testing.T) {
	for _, script := range []string{
		`redirect "x@far.test";`, `reject "no";`, `frob;`, `addheader "X-Edit" "1";`, `vacation :addresses "x@y.test" "a";`, `fileinto "A"; addheader "X-Edit" "1"; keep;`,
	} {
		rig := newSieveRig(t, map[string]string{"bob@example.com": sieveAll + script})
		m := testMail("bob@example.com", "alice@example.com")
		m.Message.SetHeader(mime.Add(m.Message.Header(), "To", "x@y.test"))
		m.Name = "Mail1" + strings.Repeat("!abcd", 9)
		out := &container.Outbox{}
		if err := rig.Service(t.Context(), m, out); err != nil || len(m.Recipients) != 2 || out.Len() > 0 || len(out.TakeForks()) > 0 {
			t.Errorf("%s: %v, left %s", script, err, sieveState(m))
		}
	}
}

// A mail that runs again after a crash has copies of the same names, so that none
// is stored twice; whether somebody was answered in between changes nothing.
func TestSieveCopiesAfterCrash(t *testing.T) {
	rig := newSieveRig(t, map[string]string{"bob@example.com": sieveAll +
		`vacation :addresses "x@y.test" "away"; redirect :copy "x@far.test"; fileinto "A"; addheader "X-Edit" "1"; fileinto "B"; keep;`})
	names := func() (list []string) {
		m := testMail("bob@example.com", "alice@example.com")
		m.ID, m.Name = "id", "Mail1"
		m.Message.SetHeader(mime.Add(m.Message.Header(), "To", "x@y.test"))
		out := serve(t, rig, m)
		for _, e := range out.Entries() {
			if e.Mail.Attributes[attrSieveRedirect] != nil {
				list = append(list, e.Mail.Name)
			}
		}
		for _, f := range out.TakeForks() {
			list = append(list, f.Name)
		}
		return list
	}
	first, second := names(), names()
	if len(first) != 2 || !slices.Equal(first, second) {
		t.Errorf("got %q, then %q", first, second)
	}
}

// A mail that comes back is known, whatever the address looks like.
func TestSieveCircleOddAddresses(t *testing.T) {
	for _, addr := range []string{"bob@[192.0.2.1]", "bob@[IPv6:2001:db8::1]", `"b  ob"@example.com`, `"b\"<o>b"@example.com`, "böb@example.com", strings.Repeat("b", 64) + "@" + strings.Repeat("b.", 110) + "example"} {
		a, err := container.ParseAddress(addr)
		if err != nil {
			t.Fatal(err)
		}
		rig := newSieveRig(t, nil)
		rig.users = anyUser{rig.users}
		rig.put(t, rig.users.Username(a), sieveAll+`redirect "x@far.test";`)
		m := testMail("alice@example.com")
		m.Recipients = []container.Address{a}
		out := serve(t, rig, m)
		if out.Len() != 1 {
			t.Fatalf("%s: sent %d", addr, out.Len())
		}
		m = out.Entries()[0].Mail
		m.Recipients = []container.Address{a}
		if out := serve(t, rig, m); out.Len() > 0 || len(m.Recipients) != 1 {
			t.Errorf("%s: goes round: %s", addr, m.Message.Header())
		}
	}
}
