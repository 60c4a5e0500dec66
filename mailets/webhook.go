package mailets

import (
	"context"
	"fmt"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/delivery"
	"github.com/mailetd/mailetd/mailets/webhook"
)

// Webhook posts the mail to a web server: the message as it is, or a JSON document
// about it.
//
//	<processor name="tickets">
//	  <mailet match="All" class="Webhook">
//	    <url>https://tickets.example.com/incoming</url>
//	    <format>message</format>
//	    <authorization>Bearer ${env:TICKETS_TOKEN:-none}</authorization>
//	    <timeout>30s</timeout>
//	    <delayTime>1 minute, 5 minutes, 12 * 1 hour</delayTime>
//	    <maxRetries>14</maxRetries>
//	    <onFailure>error</onFailure>
//	    <concurrency>10</concurrency>
//	    <consume>true</consume>
//	  </mailet>
//	</processor>
//
// With format message the body of the request is the message, message/rfc822,
// and the header fields Mail-Sender (empty for the null sender) and
// Mail-Recipient (one for each) are the envelope. With format json it is an object
// with name, id, sender, recipients, remoteHost, remoteAddress, attempt, size (of
// the message in octets) and headers, a list of objects with name and value as
// they stand in the message; a header of more than 256 KiB is cut off, and
// headersTruncated is true. A mail with more than 100 recipients makes several
// requests. Each has Mail-Name, Mail-Attempt and an Idempotency-Key, which is the
// same when the same mail is posted for the same recipients again, after a retry
// or a crash.
//
// A status 2xx means delivered, 4xx refused, but for 408, 425 and 429; these, all
// other statuses, and no answer in time are temporary failures. Redirections are
// not followed. The first 512 octets of an answer of type text/plain are kept in
// the outcome, which a bounce may show to the sender.
//
// What a retry runs again is the processor from its beginning, for the
// recipients that are left. So give the mailet a processor of its own, or at
// least nothing in front of it that must not happen twice.
//
// Parameters:
//
//   - url (required): http or https.
//   - format (default message): message or json.
//   - authorization: value of the header field Authorization.
//   - timeout (default 30s): how long a request may take as a whole; a number
//     without unit means seconds. After that time no further request is begun for
//     a mail; the other recipients get their turn in a mail of their own.
//   - consume (default true): whether the processing of the mail ends here. If
//     not, it goes on for the recipients delivered to.
//   - maxRetries (default 5): retries after a temporary failure.
//   - delayTime (default 1 minute, 5 minutes, 30 minutes, 2 hours, 6 hours): comma
//     list of "[number *] delay", the waits before the retries, in milliseconds
//     unless a unit is given. The last one is repeated up to maxRetries.
//   - onTemporary: processor of recipients that failed for now, instead of
//     retries.
//   - onFailure (default error): processor of recipients that failed for good, or
//     once more after the last retry.
//   - concurrency (default 10): mails at the same time. A mail that finds no free
//     place goes back to the spool for ten seconds.
//
// Differs from James: James has no such class; HeadersToHTTP and SerialiseToHTTP
// post forms, once.
type Webhook struct {
	policy *delivery.Policy
	hook   *webhook.Hook
}

// Limits of Webhook.
const (
	webhookTimeout    = 30 * time.Second
	webhookRecipients = 100 // their header fields fit what servers take
)

func newWebhook(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		c := webhook.Config{URL: p.Required("url"), Format: p.String("format", webhook.Message),
			Authorization: p.String("authorization", ""), Timeout: timeLimit(p, "timeout", webhookTimeout)}
		if c.Format != webhook.Message && c.Format != webhook.JSON {
			p.Fail("format", fmt.Errorf("%q is neither %s nor %s", c.Format, webhook.Message, webhook.JSON))
		}
		if err := webhook.CheckAuthorization(c.Authorization); err != nil {
			p.Fail("authorization", err)
		}
		w := &Webhook{}
		host := ""
		if c.URL != "" {
			var err error
			if w.hook, err = webhook.New(c); err != nil {
				p.Fail("url", err)
			} else {
				host = w.hook.Place()
			}
		}
		w.policy = newPolicy(s, p, delivery.Config{Name: "Webhook", ID: "Webhook " + host + " " + fingerprint(c.URL, c.Format) + twin(p, "url", "format"),
			Batch: webhookRecipients, Limit: c.Timeout}, 10)
		return w
	}
}

// Service posts the mail.
func (w *Webhook) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	attempt := w.policy.Attempts(m) + 1
	w.policy.Run(ctx, m, out, func(ctx context.Context, rcpts []container.Address) []container.Outcome {
		o := w.hook.Post(ctx, m, rcpts, attempt)
		outcomes := make([]container.Outcome, len(rcpts))
		for i := range outcomes {
			outcomes[i] = o
		}
		return outcomes
	})
	return nil
}

// ReferredStates implements container.StateReferrer.
func (w *Webhook) ReferredStates() []string { return w.policy.ReferredStates() }
