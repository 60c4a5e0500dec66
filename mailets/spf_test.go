package mailets

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns/dnstest"
)

func spfRegistry(t testing.TB) (*container.Registry, *dnstest.Server) {
	zone := dnstest.New(t,
		`example.org. 60 IN TXT "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 mx a:web.example.org -all"`,
		"example.org. 60 IN MX 10 mx.example.org.", "mx.example.org. 60 IN A 198.51.100.1", "web.example.org. 60 IN A 198.51.100.2",
		`soft.test. 60 IN TXT "v=spf1 ~all"`, `neutral.test. 60 IN TXT "v=spf1 ?all"`, `empty.test. 60 IN TXT "hello"`,
		`bad.test. 60 IN TXT "v=spf1 nonsense -all"`, `loop.test. 60 IN TXT "v=spf1 include:loop.test -all"`,
		`void.test. 60 IN TXT "v=spf1 a:a.none.test a:b.none.test a:c.none.test a:d.none.test -all"`,
		`two.test. 60 IN TXT "v=spf1 -all"`, `two.test. 60 IN TXT "v=spf1 +all"`,
		`redirect.test. 60 IN TXT "v=spf1 redirect=example.org"`,
		`ptr.test. 60 IN TXT "v=spf1 ptr -all"`, "9.100.51.198.in-addr.arpa. 60 IN PTR host.ptr.test.", "host.ptr.test. 60 IN A 198.51.100.9",
		`xn--bcher-kva.test. 60 IN TXT "v=spf1 ip4:192.0.2.7 -all"`, `macro.test. 60 IN TXT "v=spf1 exists:%{l}.ok.test -all"`, "x.ok.test. 60 IN A 127.0.0.2",
		`helo.test. 60 IN TXT "v=spf1 ip4:192.0.2.7 -all"`, "nullmx.test. 60 IN MX 0 .", `nullmx.test. 60 IN TXT "v=spf1 mx -all"`,
	)
	zone.Fail("broken.test", "SERVFAIL")
	s := testServices(t)
	s.DNS = zone.Resolver()
	r := container.NewRegistry()
	Register(r, s)
	return r, zone
}

func TestSPF(t *testing.T) {
	r, _ := spfRegistry(t)
	for _, tc := range []struct{ ip, helo, sender, want, explanation string }{
		{"192.0.2.7", "h.test", "a@example.org", "pass", ""},
		{"2001:db8::1", "h.test", "a@example.org", "pass", ""},
		{"::ffff:192.0.2.7", "h.test", "a@example.org", "pass", ""},
		{"198.51.100.1", "h.test", "a@example.org", "pass", ""},
		{"198.51.100.2", "h.test", "a@example.org", "pass", ""},
		{"203.0.113.1", "h.test", "a@example.org", "fail", "203.0.113.1 may not send mail for example.org"},
		{"203.0.113.1", "h.test", "a@redirect.test", "fail", "203.0.113.1 may not send mail for redirect.test"},
		{"203.0.113.1", "h.test", `"a@x.test"@example.org`, "fail", "203.0.113.1 may not send mail for example.org"},
		{"192.0.2.7", "h.test", `"a@x.test"@example.org`, "pass", ""},
		{"192.0.2.7", "h.test", "a@bücher.test", "pass", ""},
		{"203.0.113.1", "h.test", "ä@bücher.test", "fail", "203.0.113.1 may not send mail for bücher.test"},
		{"192.0.2.7", "h.test", "x@macro.test", "pass", ""},
		{"192.0.2.7", "h.test", "y@macro.test", "fail", "192.0.2.7 may not send mail for macro.test"},
		{"203.0.113.1", "h.test", "a@soft.test", "softfail", ""},
		{"203.0.113.1", "h.test", "a@neutral.test", "neutral", ""},
		{"203.0.113.1", "h.test", "a@empty.test", "none", ""},
		{"203.0.113.1", "h.test", "a@nowhere.test", "none", ""},
		{"203.0.113.1", "h.test", "a@localhost", "none", ""},
		{"203.0.113.1", "h.test", "a@[192.0.2.1]", "none", ""},
		{"203.0.113.1", "h.test", "a@bad.test", "permerror", ""},
		{"203.0.113.1", "h.test", "a@loop.test", "permerror", ""},
		{"203.0.113.1", "h.test", "a@void.test", "permerror", ""},
		{"203.0.113.1", "h.test", "a@two.test", "permerror", ""},
		{"203.0.113.1", "h.test", "a@broken.test", "temperror", ""},
		{"203.0.113.1", "h.test", "a@nullmx.test", "fail", "203.0.113.1 may not send mail for nullmx.test"},
		{"198.51.100.9", "h.test", "a@ptr.test", "pass", ""},
		{"192.0.2.7", "helo.test", "", "pass", ""},
		{"203.0.113.1", "HELO.test", "", "fail", "203.0.113.1 may not send mail for helo.test"},
		{"203.0.113.1", "[192.0.2.1]", "", "none", ""},
		{"203.0.113.1", "a b\r\nc", "", "none", ""},
		{"somewhere", "h.test", "a@example.org", "permerror", ""},
		{"127.0.0.1", "h.test", "a@example.org", "", ""},
		{"::1", "h.test", "a@example.org", "", ""},
		{"192.168.7.1", "h.test", "a@example.org", "", ""},
	} {
		t.Run(tc.ip+" "+tc.sender+tc.helo, func(t *testing.T) {
			m := testMail("bob@example.com")
			m.Sender, m.RemoteAddr, m.RemoteHost = container.Address{}, tc.ip, tc.helo
			if tc.sender != "" {
				m.Sender = container.MustAddress(tc.sender)
			}
			serve(t, mustLoad(t, r, "SPF", ""), m)
			got, _ := m.Attributes.String(attrSPFResult)
			why, there := m.Attributes.String(attrSPFExplanation)
			if got != tc.want || why != tc.explanation || there != (tc.want != "") {
				t.Errorf("got %q, explanation %q", got, why)
			}
			if string(m.Message.Header()) != testHeader {
				t.Errorf("header is %q", m.Message.Header())
			}
		})
	}
}

func TestReceivedSPF(t *testing.T) {
	r, _ := spfRegistry(t)
	ma := mustLoad(t, r, "SPF", "<addHeader>true</addHeader><ignoreLocalIps>false</ignoreLocalIps>")
	for _, tc := range []struct{ ip, helo, sender, want string }{
		{"192.0.2.7", "h.test", "a@example.org", `pass (mx.example.com: 192.0.2.7 is a permitted sender of example.org) client-ip="192.0.2.7"; envelope-from="a@example.org"; helo="h.test"; identity=mailfrom; receiver=mx.example.com`},
		{"127.0.0.1", "e\"vil\\\r\nX: y", "", `none (mx.example.com: 127.0.0.1 is not known to the policy of e"vil? x: y) client-ip="127.0.0.1"; envelope-from=""; helo="e\"vil\\ X: y"; identity=helo; receiver=mx.example.com`},
		{"203.0.113.1", "h.test", "a@bad.test", `permerror (mx.example.com: 203.0.113.1 cannot be checked against the policy of bad.test) client-ip="203.0.113.1"; envelope-from="a@bad.test"; helo="h.test"; identity=mailfrom; receiver=mx.example.com; problem="unknown field"`},
	} {
		m := testMail("bob@example.com")
		m.Sender, m.RemoteAddr = container.Address{}, tc.ip
		m.Set(container.AttrHELO, tc.helo)
		if tc.sender != "" {
			m.Sender = container.MustAddress(tc.sender)
		}
		serve(t, ma, m)
		got, ok := strings.CutSuffix(string(m.Message.Header()), testHeader)
		if got = strings.ReplaceAll(got, "\r\n", ""); !ok || got != "Received-SPF: "+tc.want {
			t.Errorf("got  %s\nwant Received-SPF: %s", got, tc.want)
		}
	}
}

func TestSPFParameters(t *testing.T) {
	r, _ := spfRegistry(t)
	for _, tc := range []struct{ networks, ip, want string }{
		{"203.0.113.1", "203.0.113.1", ""},
		{"203.0.*", "203.0.113.1", ""},
		{"203.*.*.*", "203.0.113.1", ""},
		{"203.0.113.0/24, ::/0", "203.0.114.1", "fail"},
		{",10.0.0.0/8,", "203.0.113.1", "fail"},
	} {
		m := testMail("bob@example.com")
		m.Sender, m.RemoteAddr = container.MustAddress("a@example.org"), tc.ip
		serve(t, mustLoad(t, r, "SPF", "<ignoredNetworks>"+tc.networks+"</ignoredNetworks>"), m)
		if got, _ := m.Attributes.String(attrSPFResult); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.networks, got, tc.want)
		}
	}
	for _, bad := range []string{"host.example.org", "10.0.0.0/33", "*", "10.*.1", "1.2.3.4.*"} {
		if _, problems := load(t, r, "SPF", "<ignoredNetworks>"+bad+"</ignoredNetworks>"); len(problems) != 1 || !strings.Contains(problems[0], "error: <ignoredNetworks>: ") {
			t.Errorf("%s: got %v", bad, problems)
		}
	}
}

func TestSPFStops(t *testing.T) {
	r, _ := spfRegistry(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := testMail("bob@example.com")
	m.RemoteAddr = "203.0.113.1"
	if err := mustLoad(t, r, "SPF", "").Service(ctx, m, &container.Outbox{}); err == nil || m.Attributes != nil {
		t.Errorf("error is %v, attributes %v", err, fmt.Sprint(m.Attributes))
	}
}
