package remote

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestCandidates(t *testing.T) {
	r := newRig(t, testConfig(), func(s *Services) {
		s.Self = func(ap netip.AddrPort) bool {
			return ap == netip.MustParseAddrPort("192.0.2.99:25") || ap == netip.MustParseAddrPort("0.0.0.0:25")
		}
	})
	r.zone.Add(t,
		"a.test. 60 IN MX 20 b.mx.test.", "a.test. 60 IN MX 10 a.mx.test.",
		"a.mx.test. 60 IN A 192.0.2.1", "a.mx.test. 60 IN AAAA 2001:db8::1", "a.mx.test. 60 IN A 192.0.2.2", "b.mx.test. 60 IN A 192.0.2.3",
		"nomx.test. 60 IN A 192.0.2.4", "nomx6.test. 60 IN AAAA 2001:db8::4",
		"null.test. 60 IN MX 0 .",
		"half.test. 60 IN MX 10 gone.mx.test.", "half.test. 60 IN MX 20 b.mx.test.",
		"dead.test. 60 IN MX 10 gone.mx.test.",
		"me.test. 60 IN MX 10 MX.here.test.", "me.test. 60 IN MX 10 b.mx.test.", "me.test. 60 IN MX 20 a.mx.test.",
		"backup.test. 60 IN MX 10 b.mx.test.", "backup.test. 60 IN MX 20 mx.here.test.", "backup.test. 60 IN MX 30 a.mx.test.",
		"byaddr.test. 60 IN MX 10 c.mx.test.", "c.mx.test. 60 IN A 192.0.2.99",
		"selfa.test. 60 IN A 192.0.2.99",
		"mx.here.test. 60 IN A 192.0.2.98",
		"halftemp.test. 60 IN MX 10 temp.mx.test.",
		"nothing.test. 60 IN TXT x",
		"zero.test. 60 IN MX 10 zero.mx.test.", "zero.mx.test. 60 IN A 0.0.0.0", "zero.mx.test. 60 IN AAAA ::",
		"cast.test. 60 IN A 224.0.0.1", "cast.test. 60 IN A 255.255.255.255", "cast.test. 60 IN A 192.0.2.5",
		"loop.test. 60 IN MX 10 loop.mx.test.", "loop.mx.test. 60 IN A 127.0.0.53",
	)
	r.zone.Fail("temp.test", "SERVFAIL")
	r.zone.Fail("temp.mx.test", "SERVFAIL")
	for i := range 100 {
		r.addr("many.test", fmt.Sprintf("10.0.0.%d", i))
	}
	for _, tc := range []struct {
		domain  string
		retries int
		want    string
		status  string
	}{
		{domain: "a.test", want: "a.mx.test 192.0.2.1, a.mx.test 192.0.2.2, a.mx.test 2001:db8::1, b.mx.test 192.0.2.3"},
		{domain: "nomx.test", want: "nomx.test 192.0.2.4"},
		{domain: "nomx6.test", want: "nomx6.test 2001:db8::4"},
		{domain: "192.0.2.7", want: "192.0.2.7 192.0.2.7"},
		{domain: "2001:db8::7", want: "2001:db8::7 2001:db8::7"},
		{domain: "192.0.2.99", status: "5.4.6"},
		{domain: "null.test", status: "5.1.10"},
		{domain: "half.test", want: "b.mx.test 192.0.2.3"},
		{domain: "dead.test", status: "4.4.4"},
		{domain: "me.test", status: "5.4.6"},
		{domain: "backup.test", want: "b.mx.test 192.0.2.3"},
		{domain: "byaddr.test", status: "5.4.6"},
		{domain: "selfa.test", status: "5.4.6"},
		{domain: "temp.test", status: "4.4.3"},
		{domain: "halftemp.test", status: "4.4.3"},
		{domain: "gone.test", status: "4.1.2"},
		{domain: "gone.test", retries: 1, status: "5.1.2"},
		{domain: "nothing.test", retries: 1, status: "5.1.2"},
		{domain: "zero.test", status: "4.4.4"},
		{domain: "cast.test", want: "cast.test 192.0.2.5"},
		{domain: "loop.test", status: "5.4.6"},
		{domain: "0.0.0.0", status: "5.1.2"},
		{domain: "::", status: "5.1.2"},
		{domain: "127.1.2.3", status: "5.4.6"},
		{domain: "", retries: 1, status: "5.1.2"},
		{domain: "a b.test", retries: 1, status: "5.1.2"},
	} {
		in := *r.in
		in.cfg.MaxDNSRetries = 1
		got, err := in.candidates(t.Context(), tc.domain, tc.retries)
		var list []string
		for _, g := range got {
			list = append(list, g.host+" "+g.addr.Addr().String())
		}
		status := ""
		if err != nil {
			v := judge(stageRoute, err)
			if status = v.status; v.permanent != (status[0] == '5') {
				t.Errorf("%s: permanent=%t with %s", tc.domain, v.permanent, status)
			}
		}
		if s := strings.Join(list, ", "); s != tc.want || status != tc.status {
			t.Errorf("%s: got %q %s (%v), want %q %s", tc.domain, s, status, err, tc.want, tc.status)
		}
	}
	if got, _ := r.in.candidates(t.Context(), "many.test", 0); len(got) != maxTargets {
		t.Errorf("100 addresses: got %d targets, want %d", len(got), maxTargets)
	}
}

func TestBindSelectsFamily(t *testing.T) {
	c := testConfig()
	c.Bind = netip.MustParseAddr("2001:db8::9")
	r := newRig(t, c)
	r.zone.Add(t, "a.test. 60 IN A 192.0.2.1", "a.test. 60 IN AAAA 2001:db8::1", "b.test. 60 IN A 192.0.2.1")
	if got, err := r.in.candidates(t.Context(), "a.test", 0); len(got) != 1 || !got[0].addr.Addr().Is6() {
		t.Errorf("got %v, %v, want the IPv6 address", got, err)
	}
	if got, err := r.in.candidates(t.Context(), "b.test", 0); err == nil {
		t.Errorf("got %v, want an error", got)
	}
}

func TestGatewayCandidates(t *testing.T) {
	c := testConfig()
	c.Gateways = []Gateway{{Host: "a.test"}, {Host: "gone.test"}, {Host: "b.test", Port: 587}, {Host: "2001:db8::1", Port: 26}}
	r := newRig(t, c)
	r.zone.Add(t, "a.test. 60 IN A 192.0.2.1", "b.test. 60 IN A 192.0.2.2", "a.test. 60 IN MX 1 x.test.")
	got, err := r.in.candidates(t.Context(), "whatever.test", 0)
	var list []string
	for _, g := range got {
		list = append(list, g.host+" "+g.addr.String())
	}
	if want := "a.test 192.0.2.1:25, b.test 192.0.2.2:587, 2001:db8::1 [2001:db8::1]:26"; strings.Join(list, ", ") != want || err != nil {
		t.Errorf("got %v, %v, want %s", list, err, want)
	}
	r.in.cfg.LoadBalance = true
	seen := map[string]bool{}
	for range 200 {
		got, _ := r.in.candidates(t.Context(), "x.test", 0)
		seen[got[0].host] = true
	}
	if len(seen) != 3 {
		t.Errorf("with load balancing %v came first, want all three", seen)
	}
	r.in.cfg.Gateways = []Gateway{{Host: "gone.test"}}
	if _, err := r.in.candidates(t.Context(), "x.test", 9); err == nil || judge(stageRoute, err).permanent {
		t.Errorf("gateway that does not exist: got %v, want a temporary failure", err)
	}
}

// A gateway that is this server itself is passed over; when there is no other one
// the mail fails instead of going round in circles.
func TestGatewayToSelf(t *testing.T) {
	c := testConfig()
	c.Gateways = []Gateway{{Host: "192.0.2.1", Port: 2525}, {Host: "192.0.2.1", Port: 10025}}
	r := newRig(t, c, func(s *Services) {
		s.Self = func(ap netip.AddrPort) bool { return ap == netip.MustParseAddrPort("192.0.2.1:2525") }
	})
	got, err := r.in.candidates(t.Context(), "x.test", 0)
	if err != nil || len(got) != 1 || got[0].addr.Port() != 10025 {
		t.Errorf("got %v, %v, want only port 10025", got, err)
	}
	r.in.cfg.Gateways = r.in.cfg.Gateways[:1]
	if _, err := r.in.candidates(t.Context(), "x.test", 0); err == nil || !judge(stageRoute, err).permanent {
		t.Errorf("gateway that is this server: got %v, want a permanent failure", err)
	}
}

func TestParseGateway(t *testing.T) {
	for _, tc := range []struct{ in, port, want string }{
		{"a.test", "", "a.test"}, {"a.test:26", "", "a.test:26"}, {"a.test", "27", "a.test:27"}, {"a.test:26", "27", "a.test:26"},
		{"2001:db8::1", "", "2001:db8::1"}, {"[2001:db8::1]", "", "2001:db8::1"}, {"[2001:db8::1]:26", "", "[2001:db8::1]:26"},
		{"2001:db8::1", "28", "[2001:db8::1]:28"}, {" 192.0.2.1:26 ", "", "192.0.2.1:26"}, {"a.test.", "", "a.test"},
		{"", "", "error"}, {"a.test:x", "", "error"}, {"a.test:0", "", "error"}, {"a.test:70000", "", "error"}, {"a b", "", "error"}, {"a.test", "x", "error"},
	} {
		g, err := ParseGateway(tc.in, tc.port)
		got := g.String()
		if err != nil {
			got = "error"
		}
		if got != tc.want {
			t.Errorf("%q port %q: got %s (%v), want %s", tc.in, tc.port, got, err, tc.want)
		}
	}
}
