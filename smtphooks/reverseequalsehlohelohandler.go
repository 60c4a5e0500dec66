package smtphooks

import (
	"context"
	"errors"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
)

// ReverseEqualsEhloHeloHandler refuses all mail of clients whose HELO or EHLO name
// is not the one that the reverse lookup (PTR) of their address gives.
//
//	<handler class="org.apache.james.smtpserver.fastfail.ReverseEqualsEhloHeloHandler"/>
//
// HELO itself is answered as usual; MAIL and RCPT are answered with "501 5.5.4
// Provided EHLO/HELO {name} can not resolved." (sic). A client whose address has
// no name is refused; one whose address cannot be looked up now passes. This is a
// strict rule, which honest servers break: look at your log before you use it.
//
// Parameters: none.
//
// Differs from James: there, by mistake, it is the same as
// ResolvableEhloHeloHandler. Names are compared without regard to upper and lower
// case. The judgement lasts until the next HELO or EHLO.
type ReverseEqualsEhloHeloHandler struct{ s Services }

func newReverseEqualsEhloHelo(_ *conf.Params, s Services) any {
	return &ReverseEqualsEhloHeloHandler{s}
}

// Helo implements HeloHook.
func (h *ReverseEqualsEhloHeloHandler) Helo(ctx context.Context, s *Session, name string) Decision {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	bad := ""
	reverse, err := h.s.DNS.Reverse(ctx, s.RemoteAddr)
	switch {
	case err != nil && !errors.Is(err, dns.ErrNotFound):
		h.s.Log.InfoContext(ctx, "name of the client not looked up; let pass", "client", s.RemoteAddr.String(), "err", err)
	case err != nil, !strings.EqualFold(strings.TrimSuffix(reverse, "."), strings.TrimSuffix(name, ".")):
		bad = name
	}
	s.SetState(badHelo{h}, bad)
	return Decision{}
}

// Mail implements MailHook.
func (h *ReverseEqualsEhloHeloHandler) Mail(_ context.Context, s *Session, _ container.Address) Decision {
	return heloDecision(s, h)
}

// Rcpt implements RcptHook.
func (h *ReverseEqualsEhloHeloHandler) Rcpt(_ context.Context, s *Session, _ Recipient) Decision {
	return heloDecision(s, h)
}
