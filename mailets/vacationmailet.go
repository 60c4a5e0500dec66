package mailets

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/mailets/responder"
)

// VacationMailet answers for users who are away. What they say, and from when to
// when, is set by webadmin: POST /vacation/USER. Put it where recipients are
// accounts: behind RecipientRewriteTable, in front of LocalDelivery. The mail goes on
// unchanged.
//
//	<mailet match="RecipientIsLocal" class="VacationMailet">
//	  <replyMode>envelope</replyMode>
//	  <onlyWhenAddressed>true</onlyWhenAddressed>
//	  <useUserAsMailFrom>false</useUserAsMailFrom>
//	</mailet>
//
// Parameters:
//
//   - replyMode (default replyToHeader): who gets the answer. replyToHeader: the
//     first address in Reply-To, and the sender of the envelope where there is none;
//     envelope: always the sender of the envelope, as RFC 3834 §4 has it.
//   - useUserAsMailFrom (default false): whether the answer has the user as the
//     sender of its envelope, instead of the null one.
//   - onlyWhenAddressed (default false): whether only mails are answered that name
//     the user, or one of the user's aliases, in To, Cc, Bcc or their Resent forms.
//
// Each correspondent gets one answer, until the vacation is over or is set anew;
// that is kept in the store. A mail is never answered (RFC 3834 §2) when its sender is
// null, the user, or no person (MAILER-DAEMON, owner-x, x-request, noreply and the
// like), when it comes from a mailing list (any List- field; Precedence bulk, list
// or junk), was sent automatically (Auto-Submitted other than no), is a report, asks
// for no answer (X-Auto-Response-Suppress), names more than 64 KiB of addresses, or was
// made by a mailet of this server.
// When the store fails the mail goes on without an answer; the log says so.
//
// Differs from James: more is taken for mail that no person waits for an answer to:
// unknown List- fields, Precedence, X-Auto-Response-Suppress, noreply and no-reply
// without anything in front, x-bounces, mail made by this server or with very many
// addresses, in any case of letters. In a multipart answer the plain text comes first, as RFC 2046 §5.1.4 asks,
// so that readers of HTML see the HTML. A malformed Reply-To is not repaired in the mail.
// onlyWhenAddressed is ours.
type VacationMailet struct {
	responder responder.Responder
	vacations local.VacationStorage
	users     vacationUsers
	log       *slog.Logger
	now       func() time.Time

	mode          responder.Mode
	fromUser      bool
	onlyAddressed bool
}

// vacationUsers is what VacationMailet needs of the local data.
type vacationUsers interface {
	Username(a container.Address) string
	UserExists(ctx context.Context, a container.Address) (bool, error)
	SenderAddresses(ctx context.Context, user string) ([]string, error)
}

func newVacationMailet(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		v := &VacationMailet{vacations: s.Vacations, users: s.Local, log: s.Log, now: time.Now,
			responder: responder.Responder{Notes: s.Vacations, Hostname: s.Hostname, UserName: s.Local.Username},
			fromUser:  p.Bool("useUserAsMailFrom", false), onlyAddressed: p.Bool("onlyWhenAddressed", false)}
		switch mode := p.String("replyMode", "replyToHeader"); {
		case strings.EqualFold(mode, "replyToHeader"):
			v.mode = responder.ReplyToHeader
		case !strings.EqualFold(mode, "envelope"):
			p.Fail("replyMode", fmt.Errorf("%q is neither replyToHeader nor envelope", mode))
		}
		return v
	}
}

// Service answers for each recipient who is away.
func (v *VacationMailet) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	if m.Sender.IsNull() {
		return nil
	}
	for _, rcpt := range m.Recipients {
		sent, why, err := v.answer(ctx, m, out, rcpt)
		switch {
		case err != nil:
			v.log.ErrorContext(ctx, "vacation answer not sent", "user", rcpt.String(), "err", err)
		case sent:
			v.log.InfoContext(ctx, "vacation answer sent", "user", rcpt.String(), "sender", m.Sender.String())
		case why != "":
			v.log.DebugContext(ctx, "no vacation answer", "user", rcpt.String(), "why", why)
		}
	}
	return nil
}

// forever is the end of what has none.
var forever = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

func (v *VacationMailet) answer(ctx context.Context, m *container.Mail, out *container.Outbox, rcpt container.Address) (sent bool, why string, err error) {
	user := v.users.Username(rcpt)
	vac, err := v.vacations.Vacation(ctx, user)
	if err != nil || !vac.At(v.now()) {
		return false, "", err
	}
	h := m.Message.Header()
	if responder.Crowded(h) {
		return false, "the mail names too many addresses", nil
	}
	if is, err := v.users.UserExists(ctx, rcpt); err != nil || !is {
		return false, "", err
	}
	if len(mime.Addresses(h, "Reply-To")) == 0 && len(mime.Addresses(h, "From")) == 0 {
		return false, "the mail has neither Reply-To nor From", nil
	}
	names, err := v.users.SenderAddresses(ctx, user)
	if err != nil {
		return false, "", err
	}
	a := responder.Answer{User: rcpt, Handle: local.VacationHandle, Until: vac.To, Subject: vac.Subject, Text: vac.Text, HTML: vac.HTML,
		ReplyTo: v.mode, FromUser: v.fromUser, Unaddressed: !v.onlyAddressed}
	if a.Until.IsZero() {
		a.Until = forever
	}
	for _, name := range names {
		if alias, err := container.ParseAddress(name); err == nil {
			a.Aliases = append(a.Aliases, alias)
		}
	}
	return v.responder.Reply(ctx, m, out, a)
}
