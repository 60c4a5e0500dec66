package mailets

import (
	"errors"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Forward sends the mail as it is to other recipients. Envelope sender, header
// and body stay.
//
//	<mailet match="RecipientIs=info@example.com" class="Forward">
//	  <forwardTo>alice@example.com, bob@example.org</forwardTo>
//	  <passThrough>false</passThrough>
//	</mailet>
//
// Parameters:
//
//   - forwardTo (required): addresses, and the words that recipients of Redirect
//     can have.
//   - forwardto: another name for forwardTo; it wins if both are there.
//   - passThrough (default false): whether the mail goes on to the next mailet.
//   - fakeDomainCheck (default false): fail when the domain of the sender has no
//     mail server.
//   - debug (default false): accepted; what was sent is in the log anyway.
//
// Differs from James: the message is forwarded as it is, as James's manual has
// it, where James's code loses the body; a missing or wrong forwardTo stops the
// start; otherwise as Redirect.
type Forward struct{ *resender }

func newForward(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		r := newResender(s, p, "Forward")
		r.recipients = readAddressItems(p, "forwardTo")
		if other := readAddressItems(p, "forwardto"); len(other) > 0 {
			r.recipients = other
		}
		if !r.recipients.given() {
			p.Fail("forwardTo", errors.New("there is nobody to forward to"))
		}
		return &Forward{r}
	}
}
