package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/mailbox"
)

// ToRecipientFolder stores the mail in a folder of each recipient's mailbox. It
// is LocalDelivery with a folder of its own, and lets the mail go on.
//
//	<mailet match="All" class="ToRecipientFolder">
//	  <folder>Junk</folder>
//	  <consume>false</consume>
//	</mailet>
//
// Parameters:
//
//   - folder (default INBOX): the folder; levels are separated by a slash. The
//     attribute DeliveryPaths_USER goes before it.
//   - consume (default false): whether the processing of the mail ends here.
//   - retries, onMailetException, maildir: as in LocalDelivery.
//
// Differs from James: as LocalDelivery.
type ToRecipientFolder struct {
	dispatcher *mailbox.Dispatcher
	consume    bool
}

func newToRecipientFolder(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		d := newDispatcher(s, p, p.String("folder", mailbox.Inbox))
		if err := mailbox.CheckFolder(d.Folder); err != nil {
			p.Fail("folder", err)
		}
		return &ToRecipientFolder{d, p.Bool("consume", false)}
	}
}

// Service delivers the mail.
func (t *ToRecipientFolder) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	if err := t.dispatcher.Dispatch(ctx, m, out); err != nil {
		return err
	}
	if t.consume {
		m.State = container.StateGhost
	}
	return nil
}
