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
//   - keyPrefix: a name for the counters. Mailets of this class whose keyPrefix,
//     duration and precision are the same share their counters.
//   - rateLimiterTimeout: how long to wait for the counters; a number alone counts
//     seconds. Without it the time limits of the Redis client hold, some seconds.
//
// Differs from James: as GlobalRateLimit; an address counts as one sender
// however it is written (upper and lower case).
type PerSenderRateLimit struct{ rateLimits }

func newPerSenderRateLimit(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		return &PerSenderRateLimit{readRateLimits(s, p, "sender", true)}
	}
}

// Service charges the mail to its sender.
func (l *PerSenderRateLimit) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	if m.Sender.IsNull() {
		return nil
	}
	within, err := l.within(ctx, m.Sender.Key(), m)
	if err == nil && !within {
		m.State = l.exceeded
	}
	return err
}
