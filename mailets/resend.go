package mailets

import (
	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Resend sends the mail, or a message made of it, to others. It is Redirect
// without a connection between its parameters: what is not given is not changed.
//
//	<mailet match="All" class="Resend">
//	  <recipients>archive@example.com</recipients>
//	  <to>unaltered</to>
//	  <sender>unaltered</sender>
//	  <reversePath>postmaster</reversePath>
//	  <inline>unaltered</inline>
//	  <passThrough>true</passThrough>
//	</mailet>
//
// Parameters: those of Redirect, with these defaults.
//
//   - recipients, to, sender, reversePath, replyTo, replyto, subject, prefix
//     (default unchanged): as in Redirect.
//   - isReply (default false): as in Redirect.
//   - inline (default unaltered): as in Redirect.
//   - attachment (default none): as in Redirect.
//   - message, attachError: as in Redirect.
//   - passThrough (default false): whether the mail goes on to the next mailet.
//   - fakeDomainCheck (default false): as in Redirect.
//   - static, debug (default false): accepted and of no effect.
//
// Differs from James: as Redirect; static, which is in the sample of James's
// manual, does not stop the start.
type Resend struct{ *resender }

func newResend(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		r := newResender(s, p, "Resend")
		r.readAll(p)
		r.warnSame(p)
		return &Resend{r}
	}
}
