package cmd

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/mailets/mailbox"
	"github.com/mailetd/mailetd/smtphooks"
)

// openMailboxes returns what opens the mailboxes for LMTP: those of
// LocalDelivery.
func (s *site) openMailboxes(l *live) func(pattern string) (smtphooks.Mailboxes, error) {
	return func(pattern string) (smtphooks.Mailboxes, error) {
		layout, err := mailbox.NewLayout(filepath.Join(s.flags.data, "mail"), pattern)
		if err != nil {
			return nil, err
		}
		l.mailboxes.Add(layout)
		delivered := l.metrics.Counter("mailetd_mailbox_delivered_total", "Recipients whose mail was stored in a mailbox.").Inc
		return mailboxes{&mailbox.Dispatcher{Store: mailbox.NewStore(layout, s.hostname, s.log), Users: l.local,
			Folder: mailbox.Inbox, Delivered: delivered, Log: s.log}, l.quotas}, nil
	}
}

// mailboxes are Maildirs for package smtphooks.
type mailboxes struct {
	d      *mailbox.Dispatcher
	quotas *local.Quotas
}

// errOverQuota: the mailbox may not hold one more message of this size.
var errOverQuota = errors.New("the quota of the mailbox is used up")

// Deliver implements smtphooks.Mailboxes.
func (b mailboxes) Deliver(ctx context.Context, m *container.Mail, rcpt container.Address) error {
	over, err := b.quotas.Over(ctx, rcpt, m.Message.Size())
	switch {
	case err != nil:
		return err
	case over:
		return &smtphooks.MailboxError{Enhanced: "5.2.2", Err: errOverQuota}
	}
	if err := b.d.DeliverTo(ctx, m, rcpt); err != nil {
		return &smtphooks.MailboxError{Enhanced: mailbox.Status(err), Err: err}
	}
	return nil
}

// process returns what runs a mail through the processors for LMTP.
func (l *live) process(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	return l.pipeline.Engine.Run(ctx, m, out)
}
