package smtphooks

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns/dnstest"
)

// TestWhitelistWithoutAnswer: whom a white list may vouch for is not refused for
// good while it does not answer.
func TestWhitelistWithoutAnswer(t *testing.T) {
	const black, white = "1.2.0.192.bl.test. 60 IN A 127.0.0.2", "1.2.0.192.wl.test. 60 IN A 127.0.0.1"
	for _, tc := range []struct {
		records []string
		down    bool
		want    int
	}{
		{[]string{black, white}, false, 250},
		{[]string{black}, false, 554},
		{[]string{black, white}, true, 451},
		{[]string{white}, true, 250},
	} {
		zone := dnstest.New(t, tc.records...)
		if tc.down {
			zone.Fail("1.2.0.192.wl.test", "SERVFAIL")
		}
		h := newDNSRBL(conf.ParseParams("<handler><rblservers><whitelist>wl.test</whitelist><blacklist>bl.test</blacklist></rblservers></handler>", &conf.Report{}),
			Services{DNS: zone.Resolver(), Log: slog.New(slog.DiscardHandler)}).(*DNSRBLHandler)
		s := NewSession("x", netip.MustParseAddr("192.0.2.1"), nil)
		code := 250
		if d := h.Mail(t.Context(), s, container.MustAddress("a@b.test")); d.Refuses() {
			code, _, _ = d.Reply()
		}
		if code != tc.want {
			t.Errorf("%q, down %t: %d, want %d", tc.records, tc.down, code, tc.want)
		}
	}
}
