package smtphooks

import (
	"net/netip"
	"testing"
	"time"
)

// TestDeliverByOfHeldMail: a mail is not taken that would be returned when its hold
// ends, in whichever order both are asked for.
func TestDeliverByOfHeldMail(t *testing.T) {
	now := func() time.Time { return time.Unix(1e9, 0) }
	by, hold := &DeliverByHook{now: now}, &FutureReleaseMailParameterHook{now}
	for _, tc := range []struct {
		hold Param
		by   string
		want int
	}{
		{Param{Name: "HOLDFOR", Value: "3600"}, "60;R", 501}, {Param{Name: "HOLDFOR", Value: "3600"}, "3600;RT", 501}, {Param{Name: "HOLDUNTIL", Value: "2001-09-09T02:46:40Z"}, "60;R", 501},
		{Param{Name: "HOLDFOR", Value: "3600"}, "3601;R", 250}, {Param{Name: "HOLDFOR", Value: "3600"}, "60;N", 250}, {Param{Name: "HOLDFOR", Value: "0"}, "60;R", 250},
	} {
		for _, first := range []MailParamHook{by, hold} {
			s := NewSession("x", netip.MustParseAddr("192.0.2.1"), nil)
			s.User = "bob@here.test"
			params := map[MailParamHook]Param{by: {Name: "BY", Value: tc.by}, hold: tc.hold}
			if d := first.MailParam(t.Context(), s, params[first]); d.Refuses() {
				t.Fatalf("%v: the first is refused", tc)
			}
			second := map[MailParamHook]MailParamHook{by: hold, hold: by}[first]
			if code, enhanced, text := second.MailParam(t.Context(), s, params[second]).Reply(); code != tc.want || code == 501 && enhanced != "5.5.4" {
				t.Errorf("%v, %T first: got %d %s %s", tc, first, code, enhanced, text)
			}
		}
	}
}
