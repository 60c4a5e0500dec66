package mailets

import (
	"context"
	"fmt"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// NotifySender tells the sender in words, with the mail attached, that something
// happened to it.
//
//	<mailet match="All" class="NotifySender">
//	  <sender>postmaster</sender>
//	  <prefix>[not delivered]</prefix>
//	  <notice>Your mail was held back for inspection.</notice>
//	  <inline>none</inline>
//	  <attachment>heads</attachment>
//	  <to>sender</to>
//	  <passThrough>true</passThrough>
//	</mailet>
//
// Parameters:
//
//   - to (default sender): what stands in To: sender, from (the addresses in From)
//     or unaltered (the To field of the mail). The notice goes to the sender.
//   - sender, sendingAddress, prefix, message, notice, inline, attachment,
//     attachError, passThrough, fakeDomainCheck, debug: as in Bounce.
//
// Nothing is sent when the sender is null or the mail is a report itself. The
// notice has the null reverse-path.
//
// Differs from James: a null sender is not notified, where James tells the
// recipients of the mail; the reverse-path is null; otherwise as Bounce.
type NotifySender struct {
	notifier
	to string
}

func newNotifySender(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		return &NotifySender{readNotifier(s, p, bounceText), readTo(p, wordSender, wordFrom, wordUnaltered)}
	}
}

// Service sends the notice.
func (n *NotifySender) Service(_ context.Context, m *container.Mail, out *container.Outbox) error {
	if reportable(m) {
		to := m.Sender.Path()
		switch n.to {
		case wordFrom:
			to = addressField(fromAddresses(m))
		case wordUnaltered:
			to = originalTo(m)
		}
		if err := n.notify(m, out, m.Sender, to, "auto-replied"); err != nil {
			return fmt.Errorf("notify sender: %w", err)
		}
	}
	if !n.passThrough {
		m.State = container.StateGhost
	}
	return nil
}
