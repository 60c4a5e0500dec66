package smtphooks

import (
	"context"
	"errors"
	"slices"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

// MailboxDeliverToRecipientHandler stores mail that comes in over LMTP in the
// mailbox of each recipient, the Maildir that the mailet LocalDelivery uses. The
// processors of mailetcontainer.xml do not see it. It is part of the core bundle
// of lmtpserver.xml; written out, with a parameter, it takes the place of that
// one.
//
//	<handler class="org.apache.james.lmtpserver.hook.MailboxDeliverToRecipientHandler">
//	  <maildir>/srv/mail/%d/%u/Maildir</maildir>
//	</handler>
//
// The client reads one reply for each recipient, in the order of its RCPT
// commands, and "250 2.6.0 Message received <{address}>" when the message is on
// disk. The others are "552 5.2.2 Over Quota error when delivering message to
// <{address}>", "550 5.1.1 Unknown user: {address}", "550 5.1.3 Mailbox name not
// possible: {address}", and "451 4.3.0 Temporary error deliver message to
// {address}" (452 4.3.1 when the disk is full). How much a mailbox may hold is
// set with webadmin's /quota. A recipient given twice has one copy.
//
// An address that the recipient rewrite table maps to accounts here is delivered
// to them. When a target is anything else (an address elsewhere, an error) the
// recipient is refused at RCPT as unknown, since only processors could send the
// mail on: use MailetContainerCmdHandlerLoader then. user+folder goes to the
// inbox of user, when ValidRcptHandler lets it through.
//
// Of several accounts behind one address each gets the message that can. When one
// cannot for the moment the reply is 451, and those who have the message do not
// get it once more when the client sends it again, unless the server was started
// anew meanwhile. When one cannot at all the reply says so, and the sender learns
// that not everybody has the message.
//
// Parameters:
//
//   - maildir (default %d/%u): where the boxes are, as in LocalDelivery, which
//     should say the same. A relative path is below the mail folder of the server.
//
// Differs from James: mailboxes are Maildirs, and maildir is our own parameter;
// rewritten addresses reach the accounts behind them, instead of a mailbox that
// nobody reads; the replies of 451 have an enhanced code; message hooks of the
// chain are asked, and what they refuse is refused for all recipients.
type MailboxDeliverToRecipientHandler struct {
	s     Services
	boxes Mailboxes
	half  halfDone[[]string] // keys of the accounts that have the message
}

func newMailboxDeliverToRecipient(p *conf.Params, s Services) any {
	h := &MailboxDeliverToRecipientHandler{s: s}
	pattern := p.String("maildir", "")
	if s.Mailboxes == nil {
		return h // only looked at
	}
	boxes, err := s.Mailboxes(pattern)
	if err != nil {
		p.Fail("maildir", err)
	}
	h.boxes = boxes
	return h
}

// Rcpt implements RcptHook: an address that could not be delivered to is refused
// before the message is sent.
func (h *MailboxDeliverToRecipientHandler) Rcpt(ctx context.Context, _ *Session, rcpt Recipient) Decision {
	_, d := h.accounts(ctx, rcpt.Address)
	return d
}

// DeliverToRecipient implements DeliverToRecipientHook.
func (h *MailboxDeliverToRecipientHandler) DeliverToRecipient(ctx context.Context, _ *Session, m *container.Mail, rcpt container.Address) Decision {
	accounts, d := h.accounts(ctx, rcpt)
	if d.Refuses() {
		return d
	}
	if len(accounts) == 1 {
		return h.store(ctx, m, rcpt, accounts[0])
	}
	return h.deliverToAll(ctx, m, rcpt, accounts)
}

// store delivers to one account.
func (h *MailboxDeliverToRecipientHandler) store(ctx context.Context, m *container.Mail, rcpt, account container.Address) Decision {
	if err := h.boxes.Deliver(ctx, m, account); err != nil {
		h.s.Log.ErrorContext(ctx, "mail not stored in mailbox", "to", rcpt.String(), "account", account.String(), "err", err)
		return refusedByMailbox(err, rcpt)
	}
	return received(rcpt)
}

// deliverToAll delivers to each of several accounts that does not have the
// message yet. The reply is that of the one in trouble; one that gets the message
// when it is sent again comes first.
func (h *MailboxDeliverToRecipientHandler) deliverToAll(ctx context.Context, m *container.Mail, rcpt container.Address, accounts []container.Address) Decision {
	key, err := halfKeyOf(m, rcpt)
	if err != nil {
		h.s.Log.ErrorContext(ctx, "message cannot be read", "err", err)
		return refusedByMailbox(err, rcpt)
	}
	before, _ := h.half.of(key)
	done, out := slices.Clone(before), received(rcpt)
	for _, a := range accounts {
		if slices.Contains(done, a.Key()) {
			continue
		}
		d := h.store(ctx, m, rcpt, a)
		switch {
		case !d.Refuses():
			done = append(done, a.Key())
		case d.Action == DenySoft || out.Action == OK:
			out = d
		}
	}
	if out.Action == DenySoft && len(done) > 0 {
		h.half.note(key, done)
	} else {
		h.half.forget(key)
	}
	return out
}

// received is the reply for a recipient that has the message.
func received(rcpt container.Address) Decision {
	return Decision{Action: OK, Code: 250, Enhanced: "2.6.0", Text: "Message received " + rcpt.Pretty()}
}

// refusedByMailbox is the reply for a recipient whose mailbox did not take the
// message.
func refusedByMailbox(err error, rcpt container.Address) Decision {
	var status *MailboxError
	if errors.As(err, &status) {
		switch status.Enhanced {
		case "4.2.2", "5.2.2":
			return Refuse(552, "5.2.2", "Over Quota error when delivering message to "+rcpt.Pretty())
		case "5.1.3":
			return Refuse(550, "5.1.3", "Mailbox name not possible: "+rcpt.String())
		case "4.3.1":
			return Defer(452, "4.3.1", "Temporary error deliver message to "+rcpt.String())
		}
	}
	return Defer(451, "4.3.0", "Temporary error deliver message to "+rcpt.String())
}

// accounts returns the accounts that mail for rcpt goes to, or the refusal when
// there are none.
func (h *MailboxDeliverToRecipientHandler) accounts(ctx context.Context, rcpt container.Address) ([]container.Address, Decision) {
	list, err := h.find(ctx, rcpt)
	switch {
	case err != nil:
		h.s.Log.ErrorContext(ctx, "recipient not checked", "to", rcpt.String(), "err", err)
		return nil, Defer(451, "4.0.0", "Unexpected error for "+rcpt.String())
	case len(list) == 0:
		return nil, Refuse(550, "5.1.1", "Unknown user: "+rcpt.String())
	}
	return list, Decision{}
}

// find returns the accounts; none when part of the mail would have to go anywhere
// else.
func (h *MailboxDeliverToRecipientHandler) find(ctx context.Context, rcpt container.Address) ([]container.Address, error) {
	if exists, err := h.s.Local.UserExists(ctx, rcpt); err != nil || exists {
		return []container.Address{rcpt}, err
	}
	targets, err := h.s.Local.Resolve(ctx, rcpt)
	var mapped *local.MappingError
	switch {
	case errors.As(err, &mapped), errors.Is(err, local.ErrTooManyMappings):
		return nil, nil
	case err != nil:
		return nil, err
	}
	var out []container.Address
	for _, t := range targets {
		a, err := container.ParseAddress(t.Target)
		if err != nil || t.Type == local.MapError {
			return nil, nil
		}
		if exists, err := h.s.Local.UserExists(ctx, a); err != nil || !exists {
			return nil, err
		}
		out = append(out, a)
	}
	if plain, ok := withoutFolder(rcpt); ok && len(out) == 0 {
		if exists, err := h.s.Local.UserExists(ctx, plain); err != nil || exists {
			return []container.Address{plain}, err
		}
	}
	return out, nil
}
