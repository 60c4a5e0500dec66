package smtphooks

import (
	"context"
	"errors"
	"net/netip"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
)

// ValidSenderDomainHandler refuses senders to whom no answer could be sent: their
// domain has neither MX records nor an address.
//
//	<handler class="org.apache.james.smtpserver.fastfail.ValidSenderDomainHandler"/>
//
// The reply is "501 5.1.7 sender {address} contains a domain with no valid MX
// records". Clients that may relay are looked at too. The null sender passes, and
// so does an address literal.
//
// Parameters: none.
//
// Differs from James: a domain that cannot be looked up now is put off with 451
// 4.4.3 instead of being refused for good; a domain with a null MX (RFC 7505) is
// refused; the reply shows the address as it is, without MaybeSender around it.
type ValidSenderDomainHandler struct{ s Services }

func newValidSenderDomain(_ *conf.Params, s Services) any { return &ValidSenderDomainHandler{s} }

// Mail implements MailHook.
func (h *ValidSenderDomainHandler) Mail(ctx context.Context, _ *Session, sender container.Address) Decision {
	if sender.IsNull() {
		return Decision{}
	}
	if _, err := netip.ParseAddr(sender.Domain); err == nil {
		return Decision{}
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	list, err := h.s.DNS.MX(ctx, sender.Domain)
	if errors.Is(err, dns.ErrNotFound) {
		_, err = h.s.DNS.Addrs(ctx, sender.Domain)
	}
	switch {
	case err != nil && !errors.Is(err, dns.ErrNotFound):
		h.s.Log.WarnContext(ctx, "domain of the sender not looked up", "from", sender.Pretty(), "err", err)
		return Defer(451, "4.4.3", "Temporarily rejected: Problem on looking up the domain of sender "+sender.String())
	case err != nil, len(list) == 1 && list[0].Host == ".":
		return Refuse(501, "5.1.7", "sender "+sender.String()+" contains a domain with no valid MX records")
	}
	return Decision{}
}
