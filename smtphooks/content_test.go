package smtphooks

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns/dnstest"
	"github.com/mailetd/mailetd/container/mailauth"
)

func TestURIHosts(t *testing.T) {
	for text, want := range map[string]string{
		"http://a.test/x https://u:p@b.test:8080?q ftp://c.test#f": "a.test b.test c.test",
		"see www.d.test. and ftp.e.test, notwww.f.test":            "www.d.test ftp.e.test",
		"a@g.test mailto:b@h.test?subject=x":                       "g.test h.test",
		`href="http://i.test">http://j.test<`:                      "i.test j.test",
		"http://":                                                  "",
		"@@@ www. http://@ ftp://:80":                              "www",
		"http://" + strings.Repeat("a", 400):                       strings.Repeat("a", maxHost+1),
	} {
		var got []string
		uriHosts(text, func(h string) {
			if h != "" && !slices.Contains(got, h) {
				got = append(got, h)
			}
		})
		slices.Sort(got)
		sorted := strings.Fields(want)
		slices.Sort(sorted)
		if !slices.Equal(got, sorted) {
			t.Errorf("%q: got %q, want %q", text, got, sorted)
		}
	}
}

func TestRegistered(t *testing.T) {
	for host, want := range map[string]string{
		"a.b.example.com": "example.com", "a.b.example.co.uk": "example.co.uk", "com": "", "co.uk": "", "192.0.2.1": "1.2.0.192",
		"1.2.3.4.5": "", "a..b": "", "": "", "localhost": "", "example": "",
	} {
		if got := registered(host); got != want {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}

// FuzzURIHosts: what is found can be looked up.
func FuzzURIHosts(f *testing.F) {
	f.Add("see http://a.test, www.b.test or c@d.test")
	f.Add("http://\xff@[::1]/")
	f.Fuzz(func(t *testing.T, text string) {
		uriHosts(strings.ToLower(text), func(h string) {
			d := registered(h)
			if d == "" {
				return
			}
			if _, err := container.ParseDomain(d + ".bl.test"); err != nil {
				t.Errorf("%q: %q cannot be looked up: %v", text, d, err)
			}
		})
	})
}

func TestURIDomainsAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("Subject: x\r\n\r\n")
	for i := range 1000 {
		b.WriteString("http://d" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + ".com/\r\n")
	}
	b.WriteString(strings.Repeat("word ", maxURIText))
	m := container.ParseMessage([]byte(b.String()))
	got, err := uriDomains(&m)
	if err != nil || len(got) != maxURIDomains {
		t.Errorf("got %d domains, %v", len(got), err)
	}
}

// signedBy returns a message with a DKIM signature for each domain.
func signedBy(t *testing.T, key ed25519.PrivateKey, from string, domains ...string) string {
	t.Helper()
	text := "From: " + from + "\r\nSubject: s\r\n\r\nbody\r\n"
	for _, d := range domains {
		var b bytes.Buffer
		if err := dkim.Sign(&b, strings.NewReader(text), &dkim.SignOptions{Domain: d, Selector: "s", Signer: key}); err != nil {
			t.Fatal(err)
		}
		text = b.String()
	}
	return text
}

func TestDKIMHook(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	record := ` 60 IN TXT "v=DKIM1; k=ed25519; p=` + base64.StdEncoding.EncodeToString(public) + `"`
	zone := dnstest.New(t, "s._domainkey.good.test."+record, "s._domainkey.other.test."+record)
	zone.Fail("s._domainkey.broken.test", "SERVFAIL")
	const (
		none    = "DKIM check failed. Expecting DKIM signatures. Got none."
		invalid = "DKIM check failed. Invalid signature."
		wrong   = "DKIM check failed. Wrong d token. Expecting [good.test]. Got [other.test]"
		failed  = "Failure computing DKIM signature."
		token   = "<expectedDToken>Good.test</expectedDToken>"
		only    = "<onlyForSenderDomain>good.test</onlyForSenderDomain>"
	)
	plain := signedBy(t, key, "x@far.test")
	good := signedBy(t, key, "x@far.test", "good.test")
	for _, tc := range []struct {
		name, params, sender, message string
		code                          int
		text                          string
	}{
		{"signed", "", "a@far.test", good, 0, ""},
		{"not signed", "", "a@far.test", plain, 530, none},
		{"not required", "<signatureRequired>false</signatureRequired>" + token, "a@far.test", plain, 0, ""},
		{"changed", "<signatureRequired>false</signatureRequired>", "a@far.test", strings.Replace(good, "body", "b0dy", 1), 530, invalid},
		{"one of two", "", "a@far.test", signedBy(t, key, "x@far.test", "good.test", "nowhere.test"), 0, ""},
		{"token", token, "a@far.test", signedBy(t, key, "x@far.test", "other.test", "good.test"), 0, ""},
		{"wrong token", token, "a@far.test", signedBy(t, key, "x@far.test", "other.test"), 530, wrong},
		{"no key now", "", "a@far.test", signedBy(t, key, "x@far.test", "broken.test"), 451, failed},
		{"no key", "", "a@far.test", signedBy(t, key, "x@far.test", "nowhere.test"), 530, invalid},
		{"other sender", only, "a@far.test", plain, 0, ""},
		{"sender", only, "a@good.test", plain, 530, none},
		{"From", only, "", signedBy(t, key, "X <x@GOOD.test>"), 530, none},
		{"From not looked at", only + "<validatedEntities>envelope</validatedEntities>", "a@far.test", signedBy(t, key, "x@good.test"), 0, ""},
		{"sender not looked at", only + "<validatedEntities>headers</validatedEntities>", "a@good.test", plain, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &conf.Report{}
			h := newDKIM(conf.ParseParams("<handler>"+tc.params+"</handler>", r), Services{DNS: zone.Resolver(), Log: slog.New(slog.DiscardHandler)}).(*DKIMHook)
			if len(r.Problems()) > 0 {
				t.Fatal(r.Problems())
			}
			m := container.NewMail(container.Address{}, nil, container.ParseMessage([]byte(tc.message)))
			if tc.sender != "" {
				m.Sender = container.MustAddress(tc.sender)
			}
			s := NewSession("x", netip.MustParseAddr("192.0.2.1"), nil)
			if d := h.Message(context.Background(), s, m); d.Code != tc.code || d.Text != tc.text {
				t.Errorf("got %d %q", d.Code, d.Text)
			}
			s.Relaying = true
			if d := h.Message(context.Background(), s, m); d.decides() {
				t.Errorf("a client that may relay: %+v", d)
			}
		})
	}
	if got := problems(t, `<handler class="`+james+`DKIMHook"><validatedEntities>body</validatedEntities></handler>`); !strings.Contains(got, "invalid validated entity 'body'") {
		t.Errorf("got %q", got)
	}
	var h DKIMHook
	if d := h.judge([]mailauth.Signature{{Domain: "a.test", Reason: "x", Temporary: true}, {Domain: "b.test"}}); d.decides() {
		t.Errorf("a valid signature beside one that cannot be checked: %+v", d)
	}
}
