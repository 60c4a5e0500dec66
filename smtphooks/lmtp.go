package smtphooks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Packages of James's handlers for LMTP.
const (
	lmtp         = "org.apache.james.lmtpserver."
	lmtpProtocol = "org.apache.james.protocols.lmtp.core."
)

// A DeliverToRecipientHook delivers a message that came in over LMTP to one of
// its recipients, before the client reads the reply for this recipient: OK means
// that the message is on disk. The hooks of a chain are asked in order until one
// decides. m is the same for all recipients and must not be changed.
type DeliverToRecipientHook interface {
	DeliverToRecipient(ctx context.Context, s *Session, m *container.Mail, rcpt container.Address) Decision
}

// A DeliverMessageHook delivers a message that came in over LMTP to all of its
// recipients: it returns one decision for each element of s.Tx.Recipients, in
// order. A chain that has one asks no DeliverToRecipientHook. m belongs to the
// hook.
type DeliverMessageHook interface {
	DeliverMessage(ctx context.Context, s *Session, m *container.Mail) []Decision
}

// Mailboxes stores mail in the mailboxes of accounts.
type Mailboxes interface {
	// Deliver stores m for the account of rcpt. When it returns nil the message
	// survives a power failure. Errors that tell a client more than "try again"
	// are of type *MailboxError.
	Deliver(ctx context.Context, m *container.Mail, rcpt container.Address) error
}

// MailboxError is why a message was not stored in a mailbox.
type MailboxError struct {
	Enhanced string // status code of RFC 3463, such as 4.2.2: the mailbox is full
	Err      error
}

// Error implements error.
func (e *MailboxError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *MailboxError) Unwrap() error { return e.Err }

// registerLMTP adds the handlers that only LMTP has.
func registerLMTP(r *Registry) {
	r.Handler(mailetContainer, newMailetContainer)
	r.Handler(mailboxDelivery, newMailboxDeliverToRecipient)
	for _, class := range lmtpBuiltIn {
		r.Handler(class, newCommandHandler)
	}
	r.Bundle(conf.DefaultLMTPCore, lmtpCoreBundle)
	r.Bundle(lmtpContainerCore, lmtpContainerBundle)
	r.Bundle(conf.DefaultLMTPJMX, nil)
}

// Classes and a bundle of LMTP that other code knows by name.
const (
	lmtpContainerCore = lmtp + "MailetContainerCmdHandlerLoader"
	mailetContainer   = lmtp + "MailetContainerHandler"
	mailboxDelivery   = lmtp + "hook.MailboxDeliverToRecipientHandler"
)

// lmtpBuiltIn are the handlers whose work the server does in any case.
var lmtpBuiltIn = []string{
	lmtp + "DataLineLMTPHandler", lmtp + "NoopJamesMessageHook",
	lmtpProtocol + "LhloCmdHandler", lmtpProtocol + "ReceivedDataLineFilter", lmtpProtocol + "WelcomeMessageHandler",
}

// lmtpCoreBundle and lmtpContainerBundle are the policy classes of James's
// bundles for LMTP. The first has the mailbox before postmaster is taken without
// questions: there is nobody behind it who would do something with such mail.
// The second notes on the mail where it comes from, as SMTP does.
var (
	lmtpCoreBundle = []string{
		james + "fastfail.ValidRcptHandler", james + "AuthRequiredToRelayRcptHook",
		mailboxDelivery, protocol + "PostmasterAbuseRcptHook",
	}
	lmtpContainerBundle = []string{
		james + "fastfail.ValidRcptHandler", james + "AuthRequiredToRelayRcptHook", protocol + "PostmasterAbuseRcptHook",
		james + "AddDefaultAttributesMessageHook", mailetContainer,
	}
)

// lmtpClassAllowed reports whether a handler means something in a chain for
// LMTP, and says so when it does not.
func (reg *Registry) lmtpClassAllowed(server conf.SMTPServer, class string, p *conf.Params, r *conf.Report) bool {
	isDelivery := class == mailetContainer || class == mailboxDelivery
	if !server.LMTP {
		if isDelivery {
			r.Errorf(p.Pos(""), "%s delivers for LMTP; it belongs into lmtpserver.xml", class)
		}
		return !isDelivery
	}
	if server.Chain.Core != conf.DefaultLMTPCore || reg.written(server, mailetContainer) {
		return true
	}
	for _, kind := range []string{"dsn.", "futurerelease.", "priority."} {
		if strings.HasPrefix(class, james+kind) {
			r.Warnf(p.Pos(""), "%s is left out: the core handlers put mail into the mailbox at once, without queue or report; %s would make use of it",
				simpleName(class), lmtpContainerCore)
			return false
		}
	}
	return true
}

// coreOf returns the classes of the bundle of server, without those that a
// chain for LMTP writes out: there, the one with parameters takes the place of
// the one of the bundle, which has none.
func (reg *Registry) coreOf(server conf.SMTPServer, r *conf.Report) []string {
	name := reg.resolve(server.Chain.Core)
	core, ok := reg.bundles[name]
	known := []string{conf.DefaultSMTPCore, james + "NoAuthCmdHandlerLoader"}
	if server.LMTP {
		known = []string{conf.DefaultLMTPCore, lmtpContainerCore}
	}
	other := lmtp
	if server.LMTP {
		other = james
	}
	example, isExample := examples[name]
	switch {
	case isExample:
		r.Errorf(server.Chain.Pos, "coreHandlersPackage: Can not load %s: %s", server.Chain.Core, example)
	case !ok:
		r.Errorf(server.Chain.Pos, "coreHandlersPackage: Can not load %s: no such bundle%s", server.Chain.Core, conf.Suggest(server.Chain.Core, known))
	case strings.HasPrefix(name, other):
		r.Errorf(server.Chain.Pos, "coreHandlersPackage: %s is for the other protocol; want one of %s", server.Chain.Core, strings.Join(known, ", "))
		return nil
	}
	if !server.LMTP {
		return core
	}
	return slices.DeleteFunc(slices.Clone(core), func(class string) bool {
		return reg.written(server, class) || class == mailboxDelivery && reg.written(server, mailetContainer)
	})
}

// written reports whether the chain of server writes class out.
func (reg *Registry) written(server conf.SMTPServer, class string) bool {
	return slices.ContainsFunc(server.Chain.Handlers, func(p *conf.Params) bool { return reg.resolve(p.Class()) == class })
}

// DeliverMessage hands the mail to the DeliverMessageHook; nil when the chain has
// none.
func (c *Chain) DeliverMessage(ctx context.Context, s *Session, m *container.Mail) []Decision {
	if len(c.deliverAll) == 0 {
		return nil
	}
	out := c.deliverAll[0].DeliverMessage(ctx, s, m)
	if len(out) != len(s.Tx.Recipients) {
		panic(fmt.Sprintf("handler decided on %d of %d recipients", len(out), len(s.Tx.Recipients)))
	}
	return out
}

// DeliverToRecipient asks the DeliverToRecipientHooks. Without one that decides
// the recipient is put off.
func (c *Chain) DeliverToRecipient(ctx context.Context, s *Session, m *container.Mail, rcpt container.Address) Decision {
	d := first(c.deliver, func(h DeliverToRecipientHook) Decision { return h.DeliverToRecipient(ctx, s, m, rcpt) })
	if !d.decides() {
		return Defer(451, "4.0.0", "Temporary error deliver message to "+rcpt.String())
	}
	return d
}
