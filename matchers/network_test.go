package matchers

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container/dns"
)

func testParser() networkParser { return networkParser{zone{}, slog.New(slog.DiscardHandler)} }

func TestNetworks(t *testing.T) {
	for _, tc := range []struct{ list, in, out string }{
		{"127.0.0.1", "127.0.0.1 ::ffff:127.0.0.1", "127.0.0.2 ::1"},
		{" 192.168.1.77/24 , 10.1.1.1", "192.168.1.1 192.168.1.255 10.1.1.1", "192.168.2.1 10.1.1.2"},
		{"192.168.1.0/255.255.255.0", "192.168.1.9", "192.168.0.9"},
		{"0.0.0.0/0.0.0.0", "1.2.3.4", "::1"},
		{"1.2.3.4/255.255.255.255", "1.2.3.4", "1.2.3.5"},
		{"*", "1.2.3.4 255.255.255.255", "::1"},
		{"10.*", "10.9.8.7", "11.0.0.1"},
		{"10.2.*", "10.2.0.1", "10.3.0.1"},
		{"193.50.151.*", "193.50.151.3", "193.50.150.3"},
		{"::1", "::1", "::2 127.0.0.1"},
		{"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"},
		{"2001:db8::%64", "2001:db8::9", "2001:db8:0:1::9"},
		{"2001:db8::/127", "2001:db8::1", "2001:db8::2"},
		{"fe80::/10", "fe80::1%eth0", "fec0::1"},
		{"mx.example.com", "192.0.2.7 2001:db8::7", "192.0.2.8"},
		// A length up to 32 is meant for IPv4: a /24 of IPv6 would be half the world.
		{"mx.example.com/24", "192.0.2.99 2001:db8::7", "192.0.3.1 2001:d00::1 2001:db8::8"},
		{"mx.example.com/255.255.255.0", "192.0.2.99 2001:db8::7", "192.0.3.1 2001:db8::8"},
		{"mx.example.com/64", "192.0.2.7 2001:db8::99", "192.0.2.8 2001:db8:0:1::7"},
		{"no.such.host,127.0.0.1", "127.0.0.1", "192.0.2.7"},
		{"abc.de.*,127.0.0.1", "127.0.0.1", "1.2.3.4"},
		{"::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"},
		{"", "", "127.0.0.1 mx.example.com"},
	} {
		n, err := testParser().parse(tc.list)
		if err != nil {
			t.Errorf("%q: %v", tc.list, err)
		}
		for _, ip := range strings.Fields(tc.in) {
			if !n.contains(ip) {
				t.Errorf("%q does not contain %s", tc.list, ip)
			}
		}
		for _, ip := range strings.Fields(tc.out) {
			if n.contains(ip) {
				t.Errorf("%q contains %s", tc.list, ip)
			}
		}
	}
}

func TestBadNetworks(t *testing.T) {
	for list, want := range map[string]string{
		"a,,b":                 "empty entry",
		"127.0.0.1,":           "empty entry",
		" ":                    "empty entry",
		"10.0.0.0/33":          `network "10.0.0.0/33"`,
		"2001:db8::/129":       "network",
		"10.0.0.0/x":           "not a prefix length",
		"10.0.0.0/-1":          "not a prefix length",
		"10.0.0.0/":            "no prefix length",
		"10.0.0.0/255.0.255.0": "row of ones",
		"2001:db8::/255.0.0.0": "not a prefix length",
		"2001:db8::*":          "not a wildcard",
		"1*":                   "not a wildcard",
		"foo*":                 "not a wildcard",
		"1.2.3.4.*":            "not a wildcard",
		"1.2.3*":               "not a wildcard",
		"fe80::1%eth0":         "not a prefix length",
		"300.1.1.1":            "neither an address nor a host name",
		"exa mple.com":         "neither an address nor a host name",
		"mx.example.com/1/2":   "neither an address nor a host name",
		"::ffff:10.0.0.1/120":  "network",
		"mx.example.com/foo":   "not a prefix length",
		"mx.example.com/129":   "not a prefix length",
		"no.such.host/foo":     "not a prefix length",
		"10.0.0.0/0.0.0.255":   "row of ones",
		"10.0.0.0/4294967296":  "not a prefix length",
		"10.0.0.0 127.0.0.1":   "neither an address nor a host name",
		"\x00":                 "neither an address nor a host name",
		"..*":                  "", // left out like a wildcarded name
		"300.*":                "",
	} {
		_, err := testParser().parse(list)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", list, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one with %q", list, err, want)
		}
	}
}

// hanging is DNS that does not answer.
type hanging struct{ deadline time.Duration }

func (h *hanging) Addrs(ctx context.Context, _ string) ([]netip.Addr, error) {
	d, _ := ctx.Deadline()
	h.deadline = time.Until(d)
	return nil, context.DeadlineExceeded
}

// MX waits for as long as it may.
func (h *hanging) MX(ctx context.Context, _ string) ([]dns.MX, error) {
	_, err := h.Addrs(ctx, "")
	return nil, err
}

func TestMXLookupIsBounded(t *testing.T) {
	h := &hanging{}
	ma, err := newRecipientHasMXRecord(h, slog.New(slog.DiscardHandler))("mx.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ma.Match(t.Context(), newTestMail("")); err != nil || len(got) != 0 || h.deadline <= 0 || h.deadline > mxTime {
		t.Errorf("got %v, %v with %v to answer", got, err, h.deadline)
	}
}

func TestNetworkLookupIsBounded(t *testing.T) {
	h := &hanging{}
	n, err := networkParser{h, slog.New(slog.DiscardHandler)}.parse("mx.example.com")
	if err != nil || len(n) != 0 || h.deadline <= 0 || h.deadline > lookupTime {
		t.Errorf("got %v, %v with %v to answer", n, err, h.deadline)
	}
	n, err = networkParser{nil, slog.New(slog.DiscardHandler)}.parse("mx.example.com,::1")
	if err != nil || len(n) != 1 {
		t.Errorf("without DNS: got %v, %v; want ::1", n, err)
	}
}

// FuzzNetworkList: what is read contains the first address of each network, no
// IPv4 network contains an IPv6 address and the other way round, and a list
// read twice is the same list.
func FuzzNetworkList(f *testing.F) {
	for _, s := range []string{"127.0.0.1, 10.2.*", "2001:db8::/32", "192.168.1.0/255.255.255.0", "*", "mx.example.com/24", "a,,b", "::1%64"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		n, err := testParser().parse(list)
		if err != nil {
			return
		}
		again, err := testParser().parse(list)
		if err != nil || len(again) != len(n) {
			t.Fatalf("second reading gives %v, %v", again, err)
		}
		for i, p := range n {
			if !p.IsValid() || p != p.Masked() || again[i] != p || !n.contains(p.Addr().String()) {
				t.Errorf("network %v of %q is not sound", p, list)
			}
			one := networks{p}
			if p.Addr().Is4() && one.contains("2001:db8::1") || p.Addr().Is6() && one.contains("192.0.2.1") {
				t.Errorf("network %v contains an address of the other family", p)
			}
		}
	})
}
