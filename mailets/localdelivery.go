package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/mailbox"
)

// LocalDelivery stores the mail in the mailbox of each recipient: a Maildir that
// Dovecot and other programs read. Boxes and folders are made when the first mail
// for them comes; whether the user exists is not asked.
//
//	<mailet match="RecipientIsLocal" class="LocalDelivery">
//	  <consume>true</consume>
//	  <retries>3</retries>
//	  <maildir>/srv/mail/%d/%u/Maildir</maildir>
//	  <onMailetException>error</onMailetException>
//	</mailet>
//
// Return-Path is put on top and replaces what was there; below it come
// Original-Recipient when the client gave ORCPT, and the header fields that
// mailets made for this recipient. The folder is the first of the attribute
// DeliveryPaths_USER (or DeliveryPath_USER), with copies in the others, else
// INBOX; Seen_USER and Important_USER become the flags S and F, Keywords_USER
// becomes X-Keywords. USER is the account name, in lower case.
//
// After a delivery the recipient's outcome is "delivered", status 2.0.0. A
// recipient for whom it failed leaves the mail.
//
// Parameters:
//
//   - consume (default true): whether the processing of the mail ends here.
//   - retries (default 3): further attempts for a recipient when the file system
//     fails, with pauses of 200 ms to 1 s; not when a quota is used up.
//   - onMailetException (default error): what becomes of recipients for whom
//     all attempts failed. A processor name: they go there in a mail of their own,
//     called error- and the name of the mail. ignore: they are dropped. propagate:
//     the mailet fails and the spool runs the mail again; recipients who have
//     their copy get no second one.
//   - maildir (default %d/%u): where the boxes are. %u is the local part of the
//     account name, %d its domain; a relative path is below the mail folder of
//     the server. A character that cannot be in a path becomes % and two digits.
//
// Differs from James: mailboxes are Maildirs, and maildir is our own parameter;
// new folders are not subscribed; a dot in a folder name separates levels; a
// recipient for whom delivery failed leaves the mail also when consume is false,
// so that no success is reported for him; the error mail keeps the error text, the
// outcomes and the DSN attributes; a mail that is run again after a crash is not
// stored twice.
type LocalDelivery struct {
	dispatcher *mailbox.Dispatcher
	consume    bool
}

func newLocalDelivery(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		return &LocalDelivery{newDispatcher(s, p, mailbox.Inbox), p.Bool("consume", true)}
	}
}

// newDispatcher reads the parameters that all classes with local delivery have.
func newDispatcher(s Services, p *conf.Params, folder string) *mailbox.Dispatcher {
	layout, err := mailbox.NewLayout(s.MailDir, p.String("maildir", mailbox.DefaultPattern))
	switch {
	case err != nil:
		p.Fail("maildir", err)
	case !layout.HasDomain() && s.Local.VirtualHosting():
		p.Warn("maildir", "<maildir> has no %%d: users of the same name in two domains share one mailbox")
	}
	if s.Mailboxes != nil {
		s.Mailboxes.Add(layout)
	}
	return &mailbox.Dispatcher{
		Store:     mailbox.NewStore(layout, s.Hostname, s.Log),
		Users:     s.Local,
		Folder:    folder,
		Retries:   p.Int("retries", 3),
		OnError:   p.String("onMailetException", container.StateError),
		Delivered: s.Metrics.Counter("mailetd_mailbox_delivered_total", "Recipients whose mail was stored in a mailbox.").Inc,
		Log:       s.Log,
	}
}

// Service delivers the mail.
func (l *LocalDelivery) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	if err := l.dispatcher.Dispatch(ctx, m, out); err != nil {
		return err
	}
	if l.consume {
		m.State = container.StateGhost
	}
	return nil
}
