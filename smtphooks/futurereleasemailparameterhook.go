package smtphooks

import (
	"context"
	"strconv"
	"time"

	"github.com/mailetd/mailetd/conf"
)

// FutureReleaseMailParameterHook takes the parameters HOLDFOR and HOLDUNTIL of
// MAIL (RFC 4865): the mail waits in the spool for so many seconds, or until that
// time (2026-01-31T08:00:00Z), before it is processed.
//
//	<handler class="org.apache.james.smtpserver.futurerelease.FutureReleaseMailParameterHook"/>
//
// Only authenticated clients may ask for it, and for one day at most. The mail
// has no attribute that tells; the delay is that of the queue.
//
// Parameters: none.
//
// Differs from James: a HOLDUNTIL that is no date is refused with the same 501 as
// a HOLDFOR that is no number, instead of 451.
type FutureReleaseMailParameterHook struct{ now func() time.Time }

func newFutureReleaseMailParameter(*conf.Params, Services) any {
	return &FutureReleaseMailParameterHook{time.Now}
}

// holdKey is in the transaction state once the client has asked for a delay.
type holdKey struct{}

// MailParams implements MailParamHook.
func (*FutureReleaseMailParameterHook) MailParams() []string { return []string{"HOLDFOR", "HOLDUNTIL"} }

// MailParam implements MailParamHook.
func (h *FutureReleaseMailParameterHook) MailParam(_ context.Context, s *Session, p Param) Decision {
	if s.User == "" {
		return Refuse(554, "", "Needs to be logged in in order to use future release extension")
	}
	hold, ok := h.hold(p)
	switch {
	case !ok:
		return Refuse(501, "", "Incorrect syntax when handling FUTURE-RELEASE mail parameter")
	case hold > maxHold:
		return Refuse(501, "", "HoldFor is greater than max-future-release-interval or holdUntil exceeded max-future-release-date-time")
	case hold < 0:
		return Refuse(501, "", "HoldFor value is negative or holdUntil value is before now")
	case s.Tx.State(holdKey{}) != nil:
		return Refuse(554, "", "Mail parameter cannot contains both holdFor and holdUntil parameters")
	}
	if by, ok := s.Tx.State(byKey{}).(deliverBy); ok && by.endsWithin(hold) {
		return badParam(heldTooLong)
	}
	s.Tx.SetState(holdKey{}, true)
	s.Tx.Delay = hold
	return Decision{}
}

// hold returns how long the mail shall wait.
func (h *FutureReleaseMailParameterHook) hold(p Param) (time.Duration, bool) {
	if p.Name == "HOLDUNTIL" {
		until, err := time.Parse(time.RFC3339, p.Value)
		return until.Sub(h.now()), err == nil
	}
	n, err := strconv.ParseInt(p.Value, 10, 64)
	if err != nil {
		return 0, false
	}
	limit := int64(maxHold/time.Second) + 1 // keeps the product in range
	return time.Duration(min(max(n, -1), limit)) * time.Second, true
}
