package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// GlobalRateLimit lets so much mail pass within a time, whoever sends it. Mail
// above a limit goes to another processor; with Requeue there, it waits for its
// turn.
//
//	<mailet match="All" class="GlobalRateLimit">
//	  <duration>1 hour</duration>
//	  <precision>1 minute</precision>
//	  <count>10000</count>
//	  <totalSize>20G</totalSize>
//	  <exceededProcessor>tooMuchMail</exceededProcessor>
//	</mailet>
//
// Each limit of a mailet is charged on its own: a mail that one of them refuses
// has been charged to the others. What alone is above a limit is always refused.
//
// Parameters:
//
//   - duration (required): length of the window; a number alone counts seconds.
//     At least one second.
//   - precision (default duration): steps in which the window slides. The default
//     is a window that stands still and then starts from zero.
//   - count: mails within the window.
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
// Counters are in the store: a restart leaves them as they are, and a crash
// forgets at most what was counted in the last second. With redisURL in
// redis.properties they are in Redis, for all machines that use it; when Redis
// does not answer, the mailet fails, and onMailetException says what then becomes
// of the mail.
//
// Differs from James: without Redis counters survive the process; classes do not
// share counters; more than 1000 steps in a window are not kept apart; a message
// without octets or recipients is no error, and no size is too large to be
// counted.
type GlobalRateLimit struct{ rateLimits }

func newGlobalRateLimit(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet { return &GlobalRateLimit{readRateLimits(s, p, "global", true)} }
}

// Service charges the mail.
func (g *GlobalRateLimit) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	within, err := g.within(ctx, "", m)
	if err == nil && !within {
		m.State = g.exceeded
	}
	return err
}
