package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// PerSenderRateLimit lets each envelope sender send so much within a time. Mail
// above a limit goes to another processor; mail with the null sender is not
// limited.
//
//	<mailet match="SMTPAuthSuccessful" class="PerSenderRateLimit">
//	  <duration>1h</duration>
//	  <precision>5m</precision>
//	  <count>100</count>
//	  <recipients>500</recipients>
//	  <size>100M</size>
//	  <exceededProcessor>tooMuchMail</exceededProcessor>
//	</mailet>
//
// Parameters:
//
//   - duration (required): length of the window; a number alone counts seconds.
//     At least one second.
//   - precision (default duration): steps in which the window slides. The default
//     is a window that stands still and then starts from zero.
//   - count: mails within the window, of each sender.
//   - recipients: recipients of these mails.
//   - size: octets of these mails, such as 100M.
//   - totalSize: octets of these mails, each times its recipients.
//   - exceededProcessor (default error): the processor for mail above a limit,
//     which must exist.
//   - keyPrefix, rateLimiterTimeout: accepted and of no effect: each mailet has
//     counters of its own, in memory.
//
// Differs from James: as GlobalRateLimit; an address counts as one sender
// however it is written (upper and lower case); with more than 100000 senders
// in a window, those not seen lately are forgotten early.
type PerSenderRateLimit struct{ rateLimits }

func newPerSenderRateLimit(p *conf.Params) container.Mailet {
	return &PerSenderRateLimit{readRateLimits(p, true)}
}

// Service charges the mail to its sender.
func (l *PerSenderRateLimit) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	if !m.Sender.IsNull() && !l.take(m.Sender.Key(), m.Message.Size(), len(m.Recipients)) {
		m.State = l.exceeded
	}
	return nil
}
