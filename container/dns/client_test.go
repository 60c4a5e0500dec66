package dns_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/dns/dnstest"
)

func TestMX(t *testing.T) {
	s := dnstest.New(t,
		"two.test. 60 IN MX 20 b.two.test.", "two.test. 60 IN MX 10 A.two.test.",
		"null.test. 60 IN MX 0 .",
		"mixed.test. 60 IN MX 0 .", "mixed.test. 60 IN MX 5 mx.mixed.test.",
		`evil.test. 60 IN MX 0 a\010b.test.`,
		"alias.test. 60 IN CNAME two.test.",
		"noMX.test. 60 IN A 192.0.2.1",
		"xn--bcher-kva.test. 60 IN MX 1 mx.test.",
	)
	s.Fail("broken.test", "SERVFAIL")
	s.Fail("refused.test", "REFUSED")
	r := s.Resolver()
	for _, tc := range []struct {
		domain string
		want   string
		err    error
	}{
		{domain: "two.test", want: "[{a.two.test 10} {b.two.test 20}]"},
		{domain: "TWO.test.", want: "[{a.two.test 10} {b.two.test 20}]"},
		{domain: "null.test", want: "[{. 0}]"},
		{domain: "mixed.test", want: "[{mx.mixed.test 5}]"},
		{domain: "evil.test", want: "[]", err: dns.ErrTemporary},
		{domain: "alias.test", want: "[{a.two.test 10} {b.two.test 20}]"},
		{domain: "nomx.test", want: "[]", err: dns.ErrNotFound},
		{domain: "gone.test", want: "[]", err: dns.ErrNotFound},
		{domain: "broken.test", want: "[]", err: dns.ErrTemporary},
		{domain: "refused.test", want: "[]", err: dns.ErrTemporary},
		{domain: "bücher.test", want: "[{mx.test 1}]"},
		{domain: "192.0.2.1", want: "[]", err: dns.ErrNotFound},
		{domain: "localhost", want: "[]", err: dns.ErrNotFound},
		{domain: "a\nb.test", want: "[]", err: dns.ErrNotFound},
		{domain: "a..test", want: "[]", err: dns.ErrNotFound},
		{domain: "", want: "[]", err: dns.ErrNotFound},
		{domain: strings.Repeat("a", 64) + ".test", want: "[]", err: dns.ErrNotFound},
	} {
		got, err := r.MX(t.Context(), tc.domain)
		if fmt.Sprint(got) != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("MX(%q): got %v, %v, want %s, %v", tc.domain, got, err, tc.want, tc.err)
		}
	}
}

func TestEqualPreferenceIsShuffled(t *testing.T) {
	s := dnstest.New(t, "d.test. 60 IN MX 5 first.test.",
		"d.test. 60 IN MX 10 a.test.", "d.test. 60 IN MX 10 b.test.", "d.test. 60 IN MX 10 c.test.")
	r := s.Resolver()
	seen := map[string]bool{}
	for range 200 {
		mx, err := r.MX(t.Context(), "d.test")
		if err != nil || mx[0].Host != "first.test" {
			t.Fatalf("got %v, %v, want first.test first", mx, err)
		}
		seen[mx[1].Host] = true
	}
	if len(seen) != 3 {
		t.Errorf("second host was one of %v in 200 lookups, want all three", seen)
	}
	if n := s.Count("d.test", "MX"); n != 1 {
		t.Errorf("got %d queries, want 1: the answer is cached", n)
	}
}

func TestAddrs(t *testing.T) {
	s := dnstest.New(t,
		"v4.test. 60 IN A 192.0.2.1", "v6.test. 60 IN AAAA 2001:db8::1",
		"both.test. 60 IN AAAA 2001:db8::1", "both.test. 60 IN A 192.0.2.1", "both.test. 60 IN A 192.0.2.2",
		"www.test. 60 IN CNAME v4.test.", "loop.test. 60 IN CNAME loop.test.", "txt.test. 60 IN TXT x",
	)
	s.Fail("broken.test", "SERVFAIL")
	r := s.Resolver()
	for _, tc := range []struct {
		host, want string
		err        error
	}{
		{host: "v4.test", want: "[192.0.2.1]"},
		{host: "v6.test", want: "[2001:db8::1]"},
		{host: "both.test", want: "[192.0.2.1 192.0.2.2 2001:db8::1]"},
		{host: "www.test", want: "[192.0.2.1]"},
		{host: "loop.test", want: "[]", err: dns.ErrTemporary},
		{host: "txt.test", want: "[]", err: dns.ErrNotFound},
		{host: "gone.test", want: "[]", err: dns.ErrNotFound},
		{host: "broken.test", want: "[]", err: dns.ErrTemporary},
		{host: "localhost", want: "[127.0.0.1 ::1]"},
		{host: "x.LOCALHOST.", want: "[127.0.0.1 ::1]"},
		{host: "192.0.2.9", want: "[192.0.2.9]"},
		{host: "[IPv6:2001:db8::9]", want: "[2001:db8::9]"},
	} {
		got, err := r.Addrs(t.Context(), tc.host)
		if fmt.Sprint(got) != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("Addrs(%q): got %v, %v, want %s, %v", tc.host, got, err, tc.want, tc.err)
		}
	}
	for _, q := range s.Queries() {
		if strings.Contains(q.Name, "localhost") || strings.Contains(q.Name, "192") {
			t.Errorf("asked the server about %s", q.Name)
		}
	}
}

func TestOneFamilyFailing(t *testing.T) {
	s := dnstest.New(t, "half.test. 60 IN A 192.0.2.1", "none.test. 60 IN TXT x")
	s.Respond(func(q, std *mdns.Msg) *mdns.Msg {
		if q.Question[0].Qtype == mdns.TypeAAAA {
			std.Rcode, std.Answer, std.Ns = mdns.RcodeServerFailure, nil, nil
		}
		return std
	})
	r := s.Resolver()
	if got, err := r.Addrs(t.Context(), "half.test"); len(got) != 1 || err != nil {
		t.Errorf("got %v, %v, want the IPv4 address", got, err)
	}
	if _, err := r.Addrs(t.Context(), "none.test"); !errors.Is(err, dns.ErrTemporary) {
		t.Errorf("got %v, want ErrTemporary: the AAAA lookup failed", err)
	}
}

func TestReverseAndTXT(t *testing.T) {
	s := dnstest.New(t,
		"1.2.0.192.in-addr.arpa. 60 IN PTR Mail.Example.TEST.",
		`2.2.0.192.in-addr.arpa. 60 IN PTR a\032b.test.`,
		`t.test. 60 IN TXT "v=spf1 " "-all"`, `q.test. 60 IN TXT "say \"hi\" \\ \200"`,
	)
	r := s.Resolver()
	if got, err := r.Reverse(t.Context(), netip.MustParseAddr("::ffff:192.0.2.1")); got != "mail.example.test" || err != nil {
		t.Errorf("Reverse: got %q, %v", got, err)
	}
	if got, err := r.Reverse(t.Context(), netip.MustParseAddr("192.0.2.2")); got != "" || !errors.Is(err, dns.ErrNotFound) {
		t.Errorf("Reverse of a bad name: got %q, %v", got, err)
	}
	if _, err := r.Reverse(t.Context(), netip.Addr{}); !errors.Is(err, dns.ErrNotFound) {
		t.Errorf("Reverse of no address: got %v", err)
	}
	if got, err := r.TXT(t.Context(), "t.test"); fmt.Sprint(got) != "[v=spf1 -all]" || err != nil {
		t.Errorf("TXT: got %v, %v", got, err)
	}
	if got, err := r.TXT(t.Context(), "q.test"); err != nil || got[0] != "say \"hi\" \\ \xc8" {
		t.Errorf("TXT: got %q, %v", got, err)
	}
}

// A server that answers something else is not believed, and the next one is
// asked.
func TestWrongAnswers(t *testing.T) {
	good := dnstest.New(t, "a.test. 60 IN A 192.0.2.1")
	for _, tc := range []struct {
		name string
		do   func(q, std *mdns.Msg) *mdns.Msg
		want string
	}{
		{"other question", func(q, std *mdns.Msg) *mdns.Msg {
			std.Question[0].Name = "b.test."
			return std
		}, "[192.0.2.1]"},
		{"no question", func(q, std *mdns.Msg) *mdns.Msg { std.Question = nil; return std }, "[192.0.2.1]"},
		{"echo", func(q, std *mdns.Msg) *mdns.Msg { return q }, "[192.0.2.1]"},
		{"silence", func(q, std *mdns.Msg) *mdns.Msg { return nil }, "[192.0.2.1]"},
		{"servfail", func(q, std *mdns.Msg) *mdns.Msg { std.Rcode = mdns.RcodeServerFailure; return std }, "[192.0.2.1]"},
		{"other owner", func(q, std *mdns.Msg) *mdns.Msg {
			rr, _ := mdns.NewRR("b.test. 60 IN A 192.0.2.66")
			std.Answer, std.Rcode = []mdns.RR{rr}, 0
			return std
		}, "[]"},
		{"no EDNS0", func(q, std *mdns.Msg) *mdns.Msg {
			if q.IsEdns0() != nil {
				std.Rcode, std.Question = mdns.RcodeFormatError, nil
				return std
			}
			rr, _ := mdns.NewRR("a.test. 60 IN A 192.0.2.77")
			std.Answer, std.Rcode = []mdns.RR{rr}, 0
			return std
		}, "[192.0.2.77]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bad := dnstest.New(t, "a.test. 60 IN TXT x")
			bad.Respond(tc.do)
			r := dns.New(dns.Config{Servers: []string{bad.Addr(), good.Addr()}, Timeout: 200 * time.Millisecond})
			got, err := r.Addrs(t.Context(), "a.test")
			if fmt.Sprint(got) != tc.want {
				t.Errorf("got %v, %v, want %s", got, err, tc.want)
			}
		})
	}
}

func TestTruncatedAnswerIsAskedAgainOverTCP(t *testing.T) {
	s := dnstest.New(t)
	for i := range 200 {
		s.Add(t, fmt.Sprintf("big.test. 60 IN A 10.0.0.%d", i))
	}
	s.Truncate("big.test", true)
	got, err := s.Resolver().Addrs(t.Context(), "big.test")
	if len(got) != 200 || err != nil {
		t.Errorf("got %d addresses, %v, want 200", len(got), err)
	}
	if !slices.Contains(s.Queries(), dnstest.Query{Name: "big.test", Type: "A", Net: "tcp"}) {
		t.Error("no query over TCP")
	}
}

// Some servers send more over UDP than was asked for, and say nothing of it.
func TestTooLargeAnswerIsAskedAgainOverTCP(t *testing.T) {
	s := dnstest.New(t)
	for i := range 200 {
		s.Add(t, fmt.Sprintf("big.test. 60 IN A 10.0.0.%d", i))
	}
	s.Overflow("big.test", true)
	got, err := s.Resolver().Addrs(t.Context(), "big.test")
	if len(got) != 200 || err != nil {
		t.Errorf("got %d addresses, %v, want 200", len(got), err)
	}
}

// One lost packet is no failure: a mail would wait hours for it.
func TestLostPacket(t *testing.T) {
	s := dnstest.New(t, "a.test. 60 IN A 192.0.2.1")
	lost := map[uint16]bool{}
	s.Respond(func(q, standard *mdns.Msg) *mdns.Msg {
		if typ := q.Question[0].Qtype; !lost[typ] {
			lost[typ] = true
			return nil
		}
		return standard
	})
	r := dns.New(dns.Config{Servers: []string{s.Addr()}, Timeout: 100 * time.Millisecond})
	if got, err := r.Addrs(t.Context(), "a.test"); len(got) != 1 || err != nil {
		t.Errorf("got %v, %v, want the address", got, err)
	}
}

func TestCache(t *testing.T) {
	now := time.Now()
	s := dnstest.New(t, "a.test. 60 IN A 192.0.2.1", "long.test. 999999999 IN A 192.0.2.1", "zero.test. 0 IN A 192.0.2.1")
	r := dns.New(dns.Config{Servers: []string{s.Addr()}, Now: func() time.Time { return now }})
	ask := func(name string) { _, _ = r.Addrs(t.Context(), name) }
	for _, tc := range []struct {
		name    string
		forward time.Duration
		want    int
	}{
		{"a.test", 0, 1}, {"a.test", 59 * time.Second, 1}, {"a.test", time.Second, 2},
		{"gone.test", 0, 1}, {"gone.test", 59 * time.Second, 1}, {"gone.test", time.Second, 2},
		{"long.test", 0, 1}, {"long.test", 23 * time.Hour, 1}, {"long.test", time.Hour, 2},
		{"zero.test", 0, 1}, {"zero.test", 0, 2},
	} {
		now = now.Add(tc.forward)
		ask(tc.name)
		if n := s.Count(tc.name, "A"); n != tc.want {
			t.Errorf("%s after %s: got %d queries, want %d", tc.name, tc.forward, n, tc.want)
		}
	}
}

func TestFailureIsNotCached(t *testing.T) {
	s := dnstest.New(t, "a.test. 60 IN A 192.0.2.1")
	s.Fail("a.test", "SERVFAIL")
	r := s.Resolver()
	if _, err := r.Addrs(t.Context(), "a.test"); !errors.Is(err, dns.ErrTemporary) {
		t.Fatalf("got %v, want ErrTemporary", err)
	}
	s.Fail("a.test", "")
	if got, err := r.Addrs(t.Context(), "a.test"); len(got) != 1 || err != nil {
		t.Errorf("got %v, %v, want the address", got, err)
	}
}
