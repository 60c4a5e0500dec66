package mailets

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/delivery"
	"github.com/mailetd/mailetd/mailets/mailbox"
)

// ToMaildir stores the mail in Maildirs anywhere: one for each recipient, one for
// each domain, or a single one, as the path says. Boxes and folders are made when
// the first mail for them comes. Nobody is asked whether the recipient has an
// account here: %u and %d are the parts of the address as it is, in lower case.
//
//	<mailet match="HostIs=archive.example.com" class="ToMaildir">
//	  <path>/srv/archive/%d</path>
//	  <folder>Incoming</folder>
//	  <delayTime>1 minute, 5 minutes, 1 hour</delayTime>
//	  <maxRetries>5</maxRetries>
//	  <onFailure>error</onFailure>
//	  <concurrency>10</concurrency>
//	  <consume>true</consume>
//	</mailet>
//
// Return-Path is put on top. A box of a single recipient gets the same header as
// from LocalDelivery; one that several may share gets one copy of a mail, in which
// each recipient has a field X-Envelope-To. A mail that runs again after a crash is
// not stored twice.
//
// A name that cannot be part of a path is a permanent failure; all that the
// file system says is temporary, a used-up quota included. What a retry runs again
// is the processor from its beginning, for the recipients that are left.
//
// Parameters:
//
//   - path (required): where the boxes are. %u is the local part of the recipient,
//     %d its domain, %% a percent sign; a relative path is below the mail folder of
//     the server. A character that cannot be in a path becomes % and two digits.
//   - folder (default INBOX): folder in the box, with slashes between levels.
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
//     place, because a file system hangs, goes back to the spool for ten seconds.
//
// Differs from James: James has no such class; LocalDelivery and ToRecipientFolder
// deliver to accounts.
type ToMaildir struct {
	policy *delivery.Policy
	store  *mailbox.Store
	layout mailbox.Layout
	folder string
}

func newToMaildir(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		path := p.Required("path")
		t := &ToMaildir{folder: p.String("folder", mailbox.Inbox)}
		c := delivery.Config{Name: "ToMaildir", ID: "ToMaildir " + path + " " + t.folder + twin(p, "path", "folder")}
		if path != "" {
			var err error
			if t.layout, err = mailbox.NewAnyLayout(s.MailDir, path); err != nil {
				p.Fail("path", err)
			} else if t.layout.PerUser() && !t.layout.HasDomain() && s.Local.VirtualHosting() {
				p.Warn("path", "<path> has no %%d: recipients of the same name in two domains share one Maildir")
			}
		}
		if err := mailbox.CheckFolder(t.folder); err != nil {
			p.Fail("folder", err)
		}
		t.store = mailbox.NewStore(t.layout, s.Hostname, s.Log)
		t.policy = newPolicy(s, p, c, 10)
		return t
	}
}

// Service stores the mail.
func (t *ToMaildir) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	t.policy.Run(ctx, m, out, func(_ context.Context, rcpts []container.Address) []container.Outcome {
		outcomes := make([]container.Outcome, len(rcpts))
		if t.layout.PerUser() {
			for i, r := range rcpts {
				outcomes[i] = t.put(mailbox.Copy(m, r), strings.ToLower(r.Local), strings.ToLower(r.Domain))
			}
			return outcomes
		}
		for domain, list := range t.shared(rcpts) {
			group := make([]container.Address, len(list))
			for n, i := range list {
				group[n] = rcpts[i]
			}
			o := t.put(mailbox.SharedCopy(m, group), "", domain)
			for _, i := range list {
				outcomes[i] = o
			}
		}
		return outcomes
	})
	return nil
}

// shared returns the recipients of each shared box, as indexes, by domain; ""
// when there is one box for all.
func (t *ToMaildir) shared(rcpts []container.Address) map[string][]int {
	boxes := map[string][]int{}
	for i, r := range rcpts {
		domain := ""
		if t.layout.HasDomain() {
			domain = strings.ToLower(r.Domain)
		}
		boxes[domain] = append(boxes[domain], i)
	}
	return boxes
}

// put stores one copy.
func (t *ToMaildir) put(msg *mailbox.Message, user, domain string) container.Outcome {
	msg.User, msg.Domain, msg.Folder = user, domain, t.folder
	if err := t.store.Deliver(msg); err != nil {
		o := container.Outcome{Result: container.Deferred}
		if o.Enhanced, o.Text = mailbox.Explain(err); o.Enhanced[0] == '5' {
			o.Result = container.Failed
		}
		return o
	}
	return container.Outcome{Result: container.Delivered, Enhanced: "2.0.0", Text: "stored in a Maildir"}
}

// ReferredStates implements container.StateReferrer.
func (t *ToMaildir) ReferredStates() []string { return t.policy.ReferredStates() }
