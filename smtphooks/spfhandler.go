package smtphooks

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mailauth"
)

// SPFHandler refuses senders whose domain says, with SPF (RFC 7208), that the
// client may not send for it.
//
//	<handler class="org.apache.james.smtpserver.fastfail.SPFHandler">
//	  <blockSoftFail>false</blockSoftFail>
//	  <blockPermError>true</blockPermError>
//	</handler>
//
// The reply to MAIL is "554 5.7.1 " and why, or "451 4.4.3 Temporarily rejected:
// Problem on SPF lookup" when the policy cannot be fetched now. Clients that may
// relay, the null sender, and clients that did not say HELO are left alone. The
// attribute org.apache.james.spf.header of a mail that was checked has the value
// for a field Received-SPF.
//
// Parameters:
//
//   - blockSoftFail (default false): whether the result softfail is refused too.
//   - blockPermError (default true): whether a policy that is broken is a reason
//     to refuse.
//
// Differs from James: RFC 7208 instead of RFC 4408; the reply says why, in our
// words, where James prints "false"; a mail that was checked is accepted, where
// James fails every one.
type SPFHandler struct {
	s                    Services
	softFail, permErrors bool
}

// attrSPFHeader is the attribute with the value for Received-SPF.
const attrSPFHeader = "org.apache.james.spf.header"

func newSPFHandler(p *conf.Params, s Services) any {
	return &SPFHandler{s, p.Bool("blockSoftFail", false), p.Bool("blockPermError", true)}
}

// spfHeader is the key of the transaction state for the value of the attribute.
type spfHeader struct{}

// Mail implements MailHook.
func (h *SPFHandler) Mail(ctx context.Context, s *Session, sender container.Address) Decision {
	if s.Relaying || sender.IsNull() || s.HeloMode == "" {
		return Decision{}
	}
	r, err := mailauth.CheckSPF(ctx, h.s.DNS, s.RemoteAddr.String(), s.Helo, sender)
	if err != nil {
		h.s.Log.WarnContext(ctx, "SPF not checked", "from", sender.Pretty(), "err", err)
		return trouble()
	}
	s.Tx.SetState(spfHeader{}, receivedSPF(s, sender, r))
	refuse := func(what string) Decision {
		return Refuse(554, "5.7.1", fmt.Sprintf("SPF %s: %s %s %s", r.Result, s.RemoteAddr, what, r.Domain))
	}
	switch {
	case r.Result == "fail":
		return refuse("may not send mail for")
	case r.Result == "softfail" && h.softFail:
		return refuse("should not send mail for")
	case r.Result == "permerror" && h.permErrors:
		return refuse("cannot be checked against the broken policy of")
	case r.Result == "temperror":
		return Defer(451, "4.4.3", "Temporarily rejected: Problem on SPF lookup")
	}
	return Decision{}
}

// Message implements MessageHook.
func (h *SPFHandler) Message(_ context.Context, s *Session, m *container.Mail) Decision {
	if v, ok := s.Tx.State(spfHeader{}).(string); ok {
		m.Set(attrSPFHeader, v)
	}
	return Decision{}
}

// receivedSPF returns the value of the field Received-SPF (RFC 7208 §9.1).
func receivedSPF(s *Session, sender container.Address, r mailauth.SPF) string {
	return fmt.Sprintf("%s (%s: result for %s) client-ip=%s; envelope-from=%s; helo=%s; identity=mailfrom; receiver=%s",
		r.Result, spfText(s.Hello), spfText(r.Domain), s.RemoteAddr, spfQuoted(sender.String()), spfQuoted(s.Helo), spfText(s.Hello))
}

// spfText makes a word fit for a comment of a header (RFC 5322 §3.2.2).
func spfText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`()\`, r) {
			return '?'
		}
		return r
	}, s)
}

// spfQuoted returns a quoted string (RFC 5322 §3.2.4).
func spfQuoted(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
