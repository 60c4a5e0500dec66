package smtphooks

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns/dnstest"
)

// TestAllowedSenderWithoutDNS: a host name that cannot be looked up now is no
// reason to refuse a mail for good.
func TestAllowedSenderWithoutDNS(t *testing.T) {
	zone := dnstest.New(t, "scanner.test. 60 IN A 192.0.2.1")
	zone.Fail("down.test", "SERVFAIL")
	h := newAllowedUnauthenticatedSender(conf.ParseParams(`<handler><allowedSenders>
		<allowedSender fromIps="down.test, scanner.test">scanner@here.test</allowedSender>
		<allowedSender fromIps="gone.test">old@here.test</allowedSender>
		</allowedSenders></handler>`, &conf.Report{}), Services{DNS: zone.Resolver(), Log: slog.New(slog.DiscardHandler)}).(*AllowedUnauthenticatedSender)
	for _, tc := range []struct {
		ip, from string
		code     int
	}{
		{"192.0.2.1", "scanner@here.test", 250},
		{"192.0.2.2", "scanner@here.test", 451},
		{"192.0.2.2", "old@here.test", 550},
		{"192.0.2.2", "other@here.test", 550},
	} {
		s := NewSession("x", netip.MustParseAddr(tc.ip), nil)
		s.Relaying = true
		d := h.Mail(t.Context(), s, container.MustAddress(tc.from))
		code, _, _ := d.Reply()
		if !d.Refuses() {
			code = 250
		}
		if code != tc.code {
			t.Errorf("%s from %s: %d, want %d", tc.from, tc.ip, code, tc.code)
		}
	}
}
