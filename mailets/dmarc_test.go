package mailets

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns/dnstest"
	"github.com/mailetd/mailetd/container/mailauth"
)

func dmarcRegistry(t testing.TB) *container.Registry {
	zone := dnstest.New(t, keyRecord("mail._domainkey.example.org", "v=DKIM1; k=rsa; p="+testKeys().rsaPublic),
		keyRecord("mail._domainkey.lists.example.org", "v=DKIM1; k=rsa; p="+testKeys().rsaPublic),
		keyRecord("mail._domainkey.other.test", "v=DKIM1; k=rsa; p="+testKeys().rsaPublic),
		`_dmarc.example.org. 60 IN TXT "v=DMARC1; p=Reject; sp=quarantine; rua=nonsense; fo=x; ri=-1"`, `_dmarc.example.org. 60 IN TXT "unrelated"`,
		`_dmarc.strict.test. 60 IN TXT "v=DMARC1; p=quarantine; adkim=s; aspf=s"`,
		`_dmarc.none.test. 60 IN TXT "v=DMARC1; p=none"`, `_dmarc.two.test. 60 IN TXT "v=DMARC1; p=reject"`, `_dmarc.two.test. 60 IN TXT "v=DMARC1; p=none"`,
		`_dmarc.bad.test. 60 IN TXT "v=DMARC1; p=explode"`, `_dmarc.part.test. 60 IN TXT "v=DMARC1; p=reject; pct=0"`,
		`_dmarc.xn--bcher-kva.test. 60 IN TXT "v=DMARC1; p=reject"`,
		`example.org. 60 IN TXT "v=spf1 ip4:192.0.2.1 -all"`, `lists.example.org. 60 IN TXT "v=spf1 ip4:192.0.2.1 -all"`,
		`strict.test. 60 IN TXT "v=spf1 ip4:192.0.2.1 -all"`, `sub.strict.test. 60 IN TXT "v=spf1 ip4:192.0.2.1 -all"`,
		`other.test. 60 IN TXT "v=spf1 ip4:192.0.2.1 -all"`, `xn--bcher-kva.test. 60 IN TXT "v=spf1 ip4:192.0.2.1 -all"`,
	)
	zone.Fail("_dmarc.broken.test", "SERVFAIL")
	zone.Fail("slow.example.org", "SERVFAIL")
	s := testServices(t)
	s.DNS = zone.Resolver()
	r := container.NewRegistry()
	Register(r, s)
	return r
}

func TestDMARC(t *testing.T) {
	r := dmarcRegistry(t)
	sign := func(domain string) container.Mailet {
		return mustLoad(t, r, "EncapsulatedDKIMSign", strings.TrimSuffix(signParams("s=mail; d="+domain+"; h=from", testKeys().rsa), "<defaultDomain>example.com</defaultDomain>"))
	}
	const good, bad = "192.0.2.1", "203.0.113.1"
	for _, tc := range []struct{ name, from, sender, ip, signed, want string }{
		{"SPF", "a@example.org", "a@example.org", good, "", "pass none"},
		{"SPF of a subdomain", "a@example.org", "a@lists.example.org", good, "", "pass none"},
		{"SPF of HELO", "a@example.org", "", good, "", "pass none"},
		{"SPF of another", "a@example.org", "a@other.test", good, "", "fail reject"},
		{"DKIM", "A <a@Example.ORG>", "a@other.test", bad, "example.org", "pass none"},
		{"DKIM of a subdomain", "a@example.org", "a@other.test", bad, "lists.example.org", "pass none"},
		{"DKIM of another", "a@example.org", "a@other.test", bad, "other.test", "fail reject"},
		{"nothing", "a@example.org", "a@example.org", bad, "", "fail reject"},
		{"a subdomain's policy", "a@new.example.org", "a@example.org", bad, "", "fail quarantine"},
		{"a subdomain", "a@new.example.org", "a@example.org", good, "", "pass none"},
		{"strict", "a@strict.test", "a@strict.test", good, "", "pass none"},
		{"strict, subdomain", "a@strict.test", "a@sub.strict.test", good, "", "fail quarantine"},
		{"asks for nothing", "a@none.test", "a@none.test", bad, "", "fail none"},
		{"no policy", "a@nowhere.test", "a@nowhere.test", bad, "", "none none"},
		{"two policies", "a@two.test", "a@two.test", bad, "", "none none"},
		{"bad policy", "a@bad.test", "a@bad.test", bad, "", "permerror none"},
		{"no answer", "a@broken.test", "a@broken.test", bad, "", "temperror none"},
		{"SPF without answer", "a@example.org", "a@slow.example.org", bad, "", "temperror none"},
		{"no percent", "a@part.test", "a@part.test", bad, "", "fail quarantine"},
		{"IDN", "a@bücher.test", "a@bücher.test", good, "", "pass none"},
		{"two authors", "a@example.org, b@EXAMPLE.org", "a@example.org", good, "", "pass none"},
		{"two domains", "a@example.org, b@other.test", "a@example.org", good, "", "permerror none"},
		{"two fields", "a@example.org\r\nFrom: b@other.test", "a@example.org", good, "", "permerror none"},
		{"no address", "nobody", "a@example.org", good, "", "permerror none"},
		{"literal", "a@[192.0.2.1]", "a@example.org", good, "", "permerror none"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := testMail("bob@example.com")
			m.Message = container.NewMessage([]byte("From: "+tc.from+"\r\n"), container.BytesBody("Hi.\r\n"))
			m.Sender, m.RemoteAddr, m.RemoteHost = container.Address{}, tc.ip, "example.org"
			if tc.sender != "" {
				m.Sender = container.MustAddress(tc.sender)
			}
			if tc.signed != "" {
				serve(t, sign(tc.signed), m)
			}
			serve(t, mustLoad(t, r, "DMARC", "<addHeader>false</addHeader>"), m)
			result, _ := m.Attributes.String(attrDMARCResult)
			policy, _ := m.Attributes.String(attrDMARCPolicy)
			if result+" "+policy != tc.want || strings.Contains(string(m.Message.Header()), "Authentication-Results") {
				t.Errorf("got %s %s", result, policy)
			}
		})
	}
}

func TestAuthenticationResults(t *testing.T) {
	r := dmarcRegistry(t)
	ma := mustLoad(t, r, "DMARC", "")
	forged := "Authentication-Results: mx.example.com; dmarc=pass\r\nAuthentication-Results: (x) MX.example.com 1; spf=pass\r\n"
	other := "Authentication-Results: mx.example.net; dmarc=pass\r\nFrom: a@example.org\r\n"
	for _, tc := range []struct{ name, sender, helo, signature, want string }{
		{"plain", "a@example.org", "h.test", "", `spf=fail reason="matched all" smtp.mailfrom=a@example.org; dkim=none; dmarc=fail reason="neither SPF nor DKIM vouches for the domain of From" header.from=example.org policy.published-domain-policy=reject`},
		{"injection", `"x\"; dmarc=pass"@example.org`, "h.test", "DKIM-Signature: v=1; d=x\"(dmarc=pass; s=s\r\n",
			`spf=fail reason="matched all" smtp.mailfrom=?x????dmarc?pass?@example.org; dkim=fail reason="signature missing required tag" header.d=x??dmarc?pass; dmarc=fail reason="neither SPF nor DKIM vouches for the domain of From" header.from=example.org policy.published-domain-policy=reject`},
		{"null sender", "", "e vil;\r\ndmarc=pass", "", `spf=none smtp.helo=e?vil???dmarc?pass; dkim=none; dmarc=fail reason="neither SPF nor DKIM vouches for the domain of From" header.from=example.org policy.published-domain-policy=reject`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := testMail("bob@example.com")
			m.Message = container.NewMessage([]byte(forged+tc.signature+other), container.BytesBody("Hi.\r\n"))
			m.Sender, m.RemoteAddr = container.Address{}, "203.0.113.1"
			m.Set(container.AttrHELO, tc.helo)
			if tc.sender != "" {
				m.Sender = container.MustAddress(tc.sender)
			}
			serve(t, ma, m)
			got, ok := strings.CutSuffix(string(m.Message.Header()), tc.signature+other)
			if got = strings.ReplaceAll(got, "\r\n", ""); !ok || got != "Authentication-Results: mx.example.com; "+tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	if _, problems := load(t, r, "DMARC", "<authservId>a b</authservId>"); len(problems) != 1 || !strings.Contains(problems[0], "error: <authservId>") {
		t.Errorf("got %v", problems)
	}
}

// Fields that claim to be ours go, however they are written (RFC 8601 §2.2, §5).
func TestForgedAuthenticationResults(t *testing.T) {
	ma := mustLoad(t, dmarcRegistry(t), "DMARC", "<addHeader>false</addHeader>")
	for value, ours := range map[string]bool{
		"mx.example.com; dmarc=pass":         true,
		"MX.example.com 1; dmarc=pass":       true,
		"mx.example.com\t1; dmarc=pass":      true,
		"\r\n mx.example.com; dmarc=pass":    true,
		"mx.example.com(x); dmarc=pass":      true,
		"(a(b)c) mx.example.com; dmarc=pass": true,
		"(a\\)b) mx.example.com; dmarc=pass": true,
		"(a) (b)mx.example.com; dmarc=pass":  true,
		`"mx.example.com"; dmarc=pass`:       true,
		`"mx.\example.com" 1; dmarc=pass`:    true,
		"(mx.example.com) other; dmarc=pass": false,
		"mx.example.com.test; dmarc=pass":    false,
		"other; x=\"; mx.example.com\"":      false,
		"(mx.example.com":                    false,
		"\"mx.example.com":                   true,
		"":                                   false,
	} {
		m := testMail("bob@example.com")
		m.Message = container.NewMessage([]byte("Authentication-Results: "+value+"\r\nFrom: a@example.org\r\n"), container.BytesBody("Hi.\r\n"))
		serve(t, ma, m)
		if gone := !strings.Contains(string(m.Message.Header()), "Authentication-Results"); gone != ours {
			t.Errorf("%q: removed: %v, want %v", value, gone, ours)
		}
	}
}

func TestDisposition(t *testing.T) {
	n := 0
	for i := range 10000 {
		d := disposition(fmt.Sprint(i), mailauth.DMARC{Result: "fail", Policy: "reject", Percent: 30})
		if d == "reject" {
			n++
		} else if d != "quarantine" {
			t.Fatal(d)
		}
	}
	if n < 2500 || n > 3500 {
		t.Errorf("%d of 10000 are to be rejected, want 30 percent", n)
	}
}
