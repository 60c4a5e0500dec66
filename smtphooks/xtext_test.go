package smtphooks

import (
	"context"
	"net/netip"
	"strings"
	"testing"
)

func TestXtext(t *testing.T) {
	for _, tc := range []struct {
		encoded, decoded string
		ok               bool
	}{
		{"QQ314159", "QQ314159", true},
		{"a+2Bb+3Dc+20d", "a+b=c d", true},
		{"Alice@Example.ORG", "Alice@Example.ORG", true},
		{"+41", "A", true}, {"", "", true}, {"+00", "\x00", true},
		{"a+2b", "", false}, {"a+4", "", false}, {"a+", "", false}, {"a=b", "", false}, {"a b", "", false},
		{"caf\xe9", "", false}, {"+4g", "", false}, {"a\tb", "", false},
	} {
		if got, ok := DecodeXtext(tc.encoded); got != tc.decoded || ok != tc.ok {
			t.Errorf("%q: got %q %t, want %q %t", tc.encoded, got, ok, tc.decoded, tc.ok)
		}
	}
}

func TestOrcpt(t *testing.T) {
	for _, tc := range []struct {
		value, typ, addr string
		utf8, ok         bool
	}{
		{"rfc822;Alice@Example.ORG", "rfc822", "Alice@Example.ORG", false, true},
		{"RFC822;a+20b", "RFC822", "a+20b", false, true},
		{"x-local;a;b", "x-local", "a;b", false, true},
		{`utf-8;\x{17E}eljko@example`, "utf-8", `\x{17E}eljko@example`, false, true},
		{`utf-8;a\x{5C}b`, "utf-8", `a\x{5C}b`, false, true},
		{"utf-8;željko@example", "utf-8", "željko@example", true, true},
		{"utf-8;željko@example", "", "", false, false},
		{"rfc822;željko@example", "", "", true, false},
		{"utf-8;\xff", "", "", true, false},
		{`utf-8;a\x{0D}\x{0A}b`, "", "", false, false},
		{`utf-8;a\x{85}b`, "", "", false, false},
		{"rfc822;a+0Ab", "", "", false, false},
		{"rfc822;a+E4b", "", "", false, false},
		{"rfc822", "", "", false, false}, {"rfc822;", "", "", false, false}, {";a", "", "", false, false}, {"rfc 822;a", "", "", false, false},
	} {
		typ, addr, ok := parseOrcpt(tc.value, tc.utf8)
		if ok != tc.ok || ok && (typ != tc.typ || addr != tc.addr) {
			t.Errorf("%q: got %q %q %t", tc.value, typ, addr, ok)
		}
	}
}

// FuzzDSNParams: an accepted ENVID or ORCPT decodes to printable text that,
// encoded again, decodes to the same; it is kept as received; and NOTIFY in
// James's order is accepted again and stays the same.
func FuzzDSNParams(f *testing.F) {
	f.Add("a+2Bb", "rfc822;x+40y", "success,delay")
	f.Add("+0A", `utf-8;\x{17E}`, "NEVER")
	f.Add("", "x400;é", "NEVER,FAILURE")
	f.Fuzz(func(t *testing.T, envid, orcpt, notify string) {
		if text, ok := DecodeXtext(EncodeXtext(envid)); !ok || text != envid {
			t.Errorf("%q encodes to %q, which decodes to %q, %t", envid, EncodeXtext(envid), text, ok)
		}
		s := NewSession("0", netip.Addr{}, nil)
		if d := (DSNMailParameterHook{}).MailParam(context.Background(), s, Param{"ENVID", envid, true}); !d.decides() {
			text, ok := DecodeXtext(envid)
			again, _ := DecodeXtext(EncodeXtext(text))
			if !ok || !printable(text) || again != text || s.Tx.State(dsnKey("ENVID")) != envid {
				t.Errorf("ENVID %q is accepted: %q, %q", envid, text, again)
			}
		}
		if typ, addr, ok := parseOrcpt(orcpt, true); ok && (typ+";"+addr != orcpt || hasControl(addr)) {
			t.Errorf("ORCPT %q becomes %q %q", orcpt, typ, addr)
		}
		if n, ok := parseNotify(notify); ok {
			if again, ok := parseNotify(n); !ok || again != n || strings.Contains(n, "NEVER,") {
				t.Errorf("NOTIFY %q becomes %q, then %q %t", notify, n, again, ok)
			}
		}
	})
}

func TestFieldValues(t *testing.T) {
	header := "From: a\r\nX: from: b\r\nFROM : c,\r\n d\r\nTo: e\r\n\tFrom: f\r\n"
	got := fieldValues([]byte(header), "From")
	if strings.Join(got, "|") != " a| c, d" {
		t.Errorf("got %q", got)
	}
}

func TestDottedHostName(t *testing.T) {
	for name, want := range map[string]bool{"a.b": true, "a": false, "1.2.3.4": false, "[1.2.3.4]": false, "::1": false, "": false, "a b.c": false, "a.1": false} {
		if got := dottedHostName(name); got != want {
			t.Errorf("%q: got %t", name, got)
		}
	}
}

func TestDecisionReply(t *testing.T) {
	for _, tc := range []struct {
		d    Decision
		code int
		text string
	}{
		{Decision{Action: OK}, 250, "Command accepted"},
		{Decision{Action: Deny}, 554, "Email rejected"},
		{Decision{Action: DenySoft}, 451, "Temporary problem. Please try again later"},
		{Decision{Disconnect: true}, 554, "Server disconnected"},
		{Decision{Action: None, Disconnect: true}, 554, "Server disconnected"},
		{Refuse(550, "5.1.1", "no"), 550, "no"},
	} {
		if code, _, text := tc.d.Reply(); code != tc.code || text != tc.text {
			t.Errorf("%+v: got %d %q", tc.d, code, text)
		}
	}
}

func TestRemoteHostIsLookedUpOnce(t *testing.T) {
	n := 0
	s := NewSession("0", netip.MustParseAddr("192.0.2.1"), func(context.Context, netip.Addr) string { n++; return "" })
	for range 3 {
		if got := s.RemoteHost(context.Background()); got != "192.0.2.1" {
			t.Errorf("got %q", got)
		}
	}
	s.RemoteAddr = netip.MustParseAddr("192.0.2.2") // a PROXY header was read
	s.RemoteHost(context.Background())
	if n != 2 {
		t.Errorf("%d lookups, want 2", n)
	}
}
