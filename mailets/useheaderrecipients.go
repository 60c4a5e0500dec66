package mailets

import (
	"context"
	"errors"
	"fmt"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// UseHeaderRecipients sends the mail to the addresses in its header instead of to
// its recipients: to those in Mail-For, or else those in To, Cc and Bcc. The mail
// ends here; the new one starts at root.
//
//	<mailet match="HostIs=gateway.example.com" class="UseHeaderRecipients">
//	  <debug>false</debug>
//	</mailet>
//
// Whoever can send a mail through here chooses where it goes: let nobody do so
// who must not relay.
//
// Parameters:
//
//   - debug (default false): accepted and of no effect.
//
// Differs from James: a header without addresses makes the mailet fail, where
// James loses the mail; an address that is there twice counts once.
type UseHeaderRecipients struct{}

func newUseHeaderRecipients(p *conf.Params) container.Mailet {
	p.Bool("debug", false)
	return &UseHeaderRecipients{}
}

// Service sends the new mail.
func (*UseHeaderRecipients) Service(_ context.Context, m *container.Mail, out *container.Outbox) error {
	h := m.Message.Header()
	names := []string{"To", "Cc", "Bcc"}
	if mime.Has(h, "Mail-For") {
		names = []string{"Mail-For"}
	}
	var rcpts addressSet
	for _, name := range names {
		for _, v := range mime.Values(h, name) {
			boxes, ok := mime.ParseAddresses(v)
			if !ok {
				return fmt.Errorf("use header recipients: %s has something that is no address", name)
			}
			for _, b := range boxes {
				rcpts.add(b.Address)
			}
		}
	}
	if len(rcpts.list) == 0 {
		return errors.New("use header recipients: there is no address in the header")
	}
	c, err := m.Duplicate()
	if err != nil {
		return fmt.Errorf("use header recipients: %w", err)
	}
	c.Recipients = rcpts.list
	out.Send(c)
	m.State = container.StateGhost
	return nil
}
