package mailets

import (
	"context"
	"fmt"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/mailbox"
)

// accountNames is what local delivery beside LocalDelivery needs of the local
// data.
type accountNames interface {
	Username(a container.Address) string
	UserExists(ctx context.Context, a container.Address) (bool, error)
}

// ToSenderFolder stores a copy of the mail in a folder of the sender's mailbox.
// The sender must have an account here; otherwise nothing is stored.
//
//	<mailet match="SenderIsLocal" class="ToSenderFolder">
//	  <folder>Sent</folder>
//	  <consume>false</consume>
//	</mailet>
//
// Parameters:
//
//   - folder (default Sent): the folder; levels are separated by a slash.
//   - consume (default false): whether the processing of the mail ends here once
//     it is stored.
//   - retries, maildir: as in LocalDelivery.
//   - onMailetException: what becomes of the mail when it cannot be stored, as for
//     every mailet.
//
// Differs from James: mailboxes are Maildirs; a sender without account gets no
// mailbox; mail that was not stored goes on although consume is true.
type ToSenderFolder struct {
	users      accountNames
	dispatcher *mailbox.Dispatcher
	consume    bool
}

func newToSenderFolder(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		d := newDispatcher(s, p, p.String("folder", "Sent"))
		if err := mailbox.CheckFolder(d.Folder); err != nil {
			p.Fail("folder", err)
		}
		d.OnError = "propagate"
		return &ToSenderFolder{s.Local, d, p.Bool("consume", false)}
	}
}

// Service stores the copy.
func (t *ToSenderFolder) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	if m.Sender.IsNull() {
		return nil
	}
	ok, err := t.users.UserExists(ctx, m.Sender)
	if err != nil {
		return fmt.Errorf("look up sender: %w", err)
	}
	if !ok {
		return nil
	}
	c := m.Clone()
	c.Recipients, c.RecipientHeaders, c.Attributes = []container.Address{m.Sender}, nil, nil
	if n, ok := m.Attributes[container.AttrErrorCount]; ok {
		c.Set(container.AttrErrorCount, n) // it may have been stored before
	}
	if err := t.dispatcher.Dispatch(ctx, c, &container.Outbox{}); err != nil {
		return fmt.Errorf("store for sender: %w", err)
	}
	if t.consume {
		m.State = container.StateGhost
	}
	return nil
}
