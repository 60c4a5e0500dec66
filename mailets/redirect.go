package mailets

import (
	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Redirect sends the mail, or a message made of it, to others. The new mail
// starts at the processor root with this server as its client.
//
//	<mailet match="All" class="Redirect">
//	  <recipients>auditor@example.com, sender</recipients>
//	  <to>auditor@example.com</to>
//	  <sender>postmaster</sender>
//	  <reversePath>postmaster</reversePath>
//	  <replyTo>sender</replyTo>
//	  <subject>A mail for you to see</subject>
//	  <prefix>[audit]</prefix>
//	  <message>Please have a look at the attached mail.</message>
//	  <inline>none</inline>
//	  <attachment>message</attachment>
//	  <passThrough>true</passThrough>
//	</mailet>
//
// Parameters:
//
//   - recipients (default as to): who gets the new mail: addresses and the words
//     postmaster, sender, reversePath, from (all three the sender of the mail),
//     replyTo (Reply-To, else From, else the sender), recipients, to (those of the
//     mail), null (nobody) and unaltered, which alone changes nothing.
//   - to (default as recipients): the To field: addresses and the same words,
//     where from, recipients and to stand for the addresses in the fields From
//     and To; null alone removes the field.
//   - sender: address in From, or postmaster, sender or unaltered (the default).
//   - reversePath (default as sender): the envelope sender: an address, or
//     postmaster, sender, unaltered, or null for the null reverse-path.
//   - replyTo: address in Reply-To, or postmaster, sender, unaltered (the
//     default), or null, which removes the field.
//   - replyto: another name for replyTo; replyTo wins.
//   - subject: the new subject.
//   - prefix: stands before the subject.
//   - isReply (default false): add In-Reply-To with the Message-ID of the mail.
//   - message: the first lines of the text of a new message.
//   - inline (default unaltered): unaltered sends the message itself. With heads,
//     body, all or none a new message is made, and this of the old one stands in
//     its text.
//   - attachment (default none): what of the mail is attached to a new message:
//     heads, body, all, message (the mail as such) or none.
//   - attachError (default false): attach the error message of the mail to a new
//     message.
//   - passThrough (default false): whether the mail goes on to the next mailet.
//   - fakeDomainCheck (default false): fail when the domain of the new envelope
//     sender has no mail server.
//   - static (default false): accepted; parameters are read once in any case.
//   - debug (default false): accepted; what was sent is in the log anyway.
//
// The words are understood in any case. Attributes are not copied, except the
// record against loops and REQUIRETLS. When the recipients come to nobody (sender,
// and the sender is null) nothing is sent: with passThrough the mail goes on,
// without it the mailet fails, so that the mail is not lost.
//
// Differs from James: words are understood in any case; a wrong address stops
// the start; replyTo is the address that is configured; null as to or replyTo
// removes the field; recipients that come to nobody do not mean the old ones; a new
// message keeps the Received fields, which RelayLimit counts, and Auto-Submitted,
// and has no Return-Path.
type Redirect struct{ *resender }

func newRedirect(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		r := newResender(s, p, "Redirect")
		r.readAll(p)
		if len(r.recipients) == 0 {
			r.recipients = r.to
		}
		if len(r.to) == 0 {
			r.to = r.recipients
		}
		if r.reversePath == (addressItem{}) {
			r.reversePath = r.from
		}
		r.warnSame(p)
		return &Redirect{r}
	}
}
