package smtphooks

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// DeliverByHook offers the DELIVERBY extension (RFC 2852): a client says within
// how many seconds its mail shall be delivered, and what is to be done when that
// is not possible.
//
//	<handler class="com.github.mailetd.DeliverByHook">
//	  <minimum>60</minimum>
//	</handler>
//
// MAIL takes BY=120;R (after 120 seconds the mail is returned) and BY=120;N (the
// sender is told, and the mail goes on); with a T behind it the sender is told of
// each server that the mail is handed over to. The mail has the attributes
// deliver-by, the time, and deliver-by-mode: R, N, RT or NT. RemoteDelivery
// looks at them: it passes on what is left of the time, hands a mail with R to no
// server that does not know DELIVERBY, and returns it with 5.4.7 when the time is
// over; with N it sends a report of the delay then. Local deliveries do not look
// at the time: they come at once.
//
// Parameters:
//
//   - minimum (default 0, none): the least number of seconds that is taken with R,
//     which EHLO announces. Less is refused with "555 5.5.4".
//
// Differs from James: James has no such extension.
type DeliverByHook struct {
	minimum int64
	now     func() time.Time
}

// maxByTime is the largest number of seconds (RFC 2852 §4).
const maxByTime = 999999999

func newDeliverBy(p *conf.Params, _ Services) any {
	h := &DeliverByHook{minimum: int64(p.Int("minimum", 0)), now: time.Now}
	if h.minimum < 0 || h.minimum > maxByTime {
		p.Fail("minimum", fmt.Errorf("want seconds from 0 to %d, not %d", maxByTime, h.minimum))
	}
	return h
}

// deliverBy is what the client asked for, in the transaction state.
type deliverBy struct {
	within time.Duration
	since  time.Time
	mode   string
}

// byKey is the key of the transaction state for a deliverBy.
type byKey struct{}

// EhloKeywords implements EhloKeywords.
func (h *DeliverByHook) EhloKeywords(*Session) []string {
	if h.minimum > 0 {
		return []string{"DELIVERBY " + strconv.FormatInt(h.minimum, 10)}
	}
	return []string{"DELIVERBY"}
}

// MailParams implements MailParamHook.
func (*DeliverByHook) MailParams() []string { return []string{"BY"} }

// MailParam implements MailParamHook.
func (h *DeliverByHook) MailParam(_ context.Context, s *Session, p Param) Decision {
	seconds, mode, ok := parseBy(p.Value)
	switch {
	case s.Tx.State(byKey{}) != nil:
		return badParam("BY given twice")
	case !ok:
		return badParam("BY must be a number of seconds, a semicolon, and R or N, which T may follow")
	case mode[0] == 'R' && seconds <= 0:
		return badParam("BY with R must be more than 0 seconds")
	case mode[0] == 'R' && seconds < h.minimum:
		return Refuse(555, "5.5.4", fmt.Sprintf("BY with R must be at least %d seconds", h.minimum))
	}
	by := deliverBy{time.Duration(seconds) * time.Second, h.now(), mode}
	if by.endsWithin(s.Tx.Delay) {
		return badParam(heldTooLong)
	}
	s.Tx.SetState(byKey{}, by)
	return Decision{}
}

const heldTooLong = "BY with R ends before the time that the mail is to be held"

// endsWithin reports whether a mail that is held for so long would be returned
// without an attempt to deliver it.
func (b deliverBy) endsWithin(held time.Duration) bool {
	return held > 0 && b.mode[0] == 'R' && b.within <= held
}

// parseBy reads the value of BY; letters may be small.
func parseBy(v string) (seconds int64, mode string, ok bool) {
	number, mode, _ := strings.Cut(v, ";")
	mode = strings.ToUpper(mode)
	digits := number
	if number != "" && (number[0] == '+' || number[0] == '-') {
		digits = number[1:]
	}
	if mode != "R" && mode != "N" && mode != "RT" && mode != "NT" || len(digits) < 1 || len(digits) > 9 || strings.Trim(digits, "0123456789") != "" {
		return 0, "", false
	}
	seconds, err := strconv.ParseInt(number, 10, 64)
	return seconds, mode, err == nil
}

// Message implements MessageHook.
func (h *DeliverByHook) Message(_ context.Context, s *Session, m *container.Mail) Decision {
	if by, ok := s.Tx.State(byKey{}).(deliverBy); ok {
		m.Set(container.AttrDeliverBy, by.since.Add(by.within))
		m.Set(container.AttrDeliverByMode, by.mode)
	}
	return Decision{}
}
