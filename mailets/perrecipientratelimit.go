package mailets

import (
	"context"
	"errors"
	"fmt"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/ratelimit"
)

// PerRecipientRateLimit lets each recipient receive so much within a time. The
// recipients above a limit get a mail of their own, which goes to another
// processor; when that is all of them, the mail itself goes there.
//
//	<mailet match="RecipientIsLocal" class="PerRecipientRateLimit">
//	  <duration>1 day</duration>
//	  <precision>1 hour</precision>
//	  <count>1000</count>
//	  <size>1G</size>
//	  <exceededProcessor>tooMuchMail</exceededProcessor>
//	</mailet>
//
// Parameters:
//
//   - duration (required): length of the window; a number alone counts seconds.
//     At least one second.
//   - precision (default duration): steps in which the window slides. The default
//     is a window that stands still and then starts from zero.
//   - count: mails within the window, for each recipient.
//   - size: octets of these mails, such as 1G.
//   - exceededProcessor (default error): the processor for recipients above a
//     limit, which must exist.
//   - keyPrefix: a name for the counters. Mailets of this class whose keyPrefix,
//     duration and precision are the same share their counters.
//   - rateLimiterTimeout: how long to wait for the counters; a number alone counts
//     seconds. Without it the time limits of the Redis client hold, some seconds.
//
// Differs from James: as GlobalRateLimit; an address counts as one recipient
// however it is written (upper and lower case); a mail can be split any number of
// times.
type PerRecipientRateLimit struct{ rateLimits }

func newPerRecipientRateLimit(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		return &PerRecipientRateLimit{readRateLimits(s, p, "recipient", false)}
	}
}

// Service charges the mail to each of its recipients.
func (l *PerRecipientRateLimit) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	size := m.Message.Size()
	charges := make([]ratelimit.Charge, 0, 2*len(m.Recipients))
	for _, r := range m.Recipients {
		charges = l.charges(charges, r.Key(), size, 1)
	}
	if err := l.take(ctx, charges); err != nil {
		return err
	}
	var within, above []container.Address
	for i, r := range m.Recipients {
		each := len(charges) / len(m.Recipients)
		if allWithin(charges[i*each : (i+1)*each]) {
			within = append(within, r)
		} else {
			above = append(above, r)
		}
	}
	switch {
	case len(above) == 0:
	case len(within) == 0:
		m.State = l.exceeded
	default:
		c, err := m.Duplicate()
		if errors.Is(err, container.ErrTooManyCopies) {
			// This is no loop: each copy has fewer recipients. Where mail waits for its
			// turn, it may take many of them.
			c, err = m.Clone(), nil
			c.Name = container.NewName()
		}
		if err != nil {
			return fmt.Errorf("limit recipients: %w", err)
		}
		c.Recipients, c.State = above, l.exceeded
		m.Recipients = within
		out.Send(c)
	}
	return nil
}
