package mailets

import (
	"context"
	"fmt"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Bounce tells the sender in words, with the mail attached, that something went
// wrong. DSNBounce does so in the standard form.
//
//	<mailet match="All" class="Bounce">
//	  <sender>postmaster</sender>
//	  <prefix>Undeliverable:</prefix>
//	  <notice>We could not deliver your message.</notice>
//	  <inline>none</inline>
//	  <attachment>heads</attachment>
//	  <attachError>true</attachError>
//	  <passThrough>false</passThrough>
//	</mailet>
//
// Parameters:
//
//   - sender (default postmaster): address in From, or one of the words
//     postmaster, sender (the sender of the mail) and unaltered (as postmaster).
//   - sendingAddress: another name for sender; sender wins.
//   - prefix (default Re:): stands before the subject of the mail.
//   - message: the first lines of the text.
//   - notice: the same, and wins over message.
//   - inline (default none): what of the mail stands in the text: heads, body,
//     all, none, or unaltered, which sends the mail itself on with a new head.
//   - attachment (default message): what of the mail is attached: heads, body,
//     all, message (the mail as such) or none.
//   - attachError (default false): attach the error message of the mail.
//   - passThrough (default true): whether the mail goes on to the next mailet.
//   - fakeDomainCheck (default false): accepted; the new mail has the null
//     sender, whose domain cannot be looked up.
//   - debug (default false): accepted; what was sent is in the log anyway.
//
// Nothing is sent when the sender is null or the mail is a report itself.
//
// Differs from James: From is the postmaster unless configured, as James's
// manual promises; sendingAddress is honoured; Auto-Submitted is set; Date is
// the time of the notice; there is no Reply-To; a wrong address is refused at
// start; the attributes of the mail are not copied except the record against
// loops and REQUIRETLS; the default text is another; no line says how many lines
// the mail has.
type Bounce struct{ notifier }

func newBounce(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet { return &Bounce{readNotifier(s, p, bounceText)} }
}

// Service sends the notice.
func (b *Bounce) Service(_ context.Context, m *container.Mail, out *container.Outbox) error {
	if reportable(m) {
		if err := b.notify(m, out, m.Sender, m.Sender.Path(), "auto-replied"); err != nil {
			return fmt.Errorf("bounce: %w", err)
		}
	}
	if !b.passThrough {
		m.State = container.StateGhost
	}
	return nil
}
