package smtphooks

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
)

// ResolvableEhloHeloHandler refuses all mail of clients whose HELO or EHLO name
// has no address.
//
//	<handler class="org.apache.james.smtpserver.fastfail.ResolvableEhloHeloHandler"/>
//
// HELO itself is answered as usual; MAIL and RCPT are answered with "501 5.5.4
// Provided EHLO/HELO {name} can not resolved." (sic). An address in place of the
// name passes, and so does a name that cannot be looked up now. Clients that may
// relay are looked at too: phones and desktops seldom have a name, so leave this
// handler out where they submit mail.
//
// Parameters: none.
//
// Differs from James: the judgement lasts until the next HELO or EHLO, not only
// until the first message or RSET; the reply shows the name as it is, without
// Optional around it; an address literal and a temporary failure of DNS pass.
type ResolvableEhloHeloHandler struct{ s Services }

func newResolvableEhloHelo(_ *conf.Params, s Services) any { return &ResolvableEhloHeloHandler{s} }

// badHelo is the name of a client that is to be refused, by handler, in the state
// of the connection.
type badHelo struct{ handler any }

// Helo implements HeloHook.
func (h *ResolvableEhloHeloHandler) Helo(ctx context.Context, s *Session, name string) Decision {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	s.SetState(badHelo{h}, "")
	if isLiteral(name) {
		return Decision{}
	}
	_, err := h.s.DNS.Addrs(ctx, name)
	if errors.Is(err, dns.ErrNotFound) {
		s.SetState(badHelo{h}, name)
	} else if err != nil {
		h.s.Log.InfoContext(ctx, "HELO name not looked up; let pass", "hello", name, "err", err)
	}
	return Decision{}
}

// Mail implements MailHook.
func (h *ResolvableEhloHeloHandler) Mail(_ context.Context, s *Session, _ container.Address) Decision {
	return heloDecision(s, h)
}

// Rcpt implements RcptHook.
func (h *ResolvableEhloHeloHandler) Rcpt(_ context.Context, s *Session, _ Recipient) Decision {
	return heloDecision(s, h)
}

// heloDecision refuses when the handler has found the HELO name bad.
func heloDecision(s *Session, handler any) Decision {
	if name, _ := s.State(badHelo{handler}).(string); name != "" {
		return Refuse(501, "5.5.4", "Provided EHLO/HELO "+name+" can not resolved.")
	}
	return Decision{}
}

// isLiteral reports whether a HELO name is an address, with or without brackets.
func isLiteral(name string) bool {
	text := strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if len(text) > 5 && strings.EqualFold(text[:5], "IPv6:") {
		text = text[5:]
	}
	_, err := netip.ParseAddr(text)
	return err == nil
}
