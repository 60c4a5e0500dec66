package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// AllowedUnauthenticatedSender limits which senders a client may use that may
// relay because of its address (<authorizedAddresses>) and has not authenticated:
// printers and the like. Other clients are left alone.
//
//	<handler class="org.apache.james.smtpserver.fastfail.AllowedUnauthenticatedSender">
//	  <allowNullSender>false</allowNullSender>
//	  <allowedSenders>
//	    <allowedSender>printer@example.com</allowedSender>
//	    <allowedSender fromIps="192.168.1.0/24, 10.0.0.1">scanner@example.com</allowedSender>
//	  </allowedSenders>
//	</handler>
//
// The reply is "550 5.7.1 Sender <{address}> is not allowed for unauthenticated
// connection from {ip}", or "451 4.4.3 Temporarily rejected: Problem on looking up
// who may use sender {address}" when a host name cannot be looked up now.
//
// Parameters:
//
//   - allowNullSender (default false): whether the sender <> is allowed.
//   - allowedSenders.allowedSender (at least one): an address. Attribute
//     fromIps, a comma list of addresses, networks and host names, says where
//     from; without it any authorized address will do.
//
// Differs from James: a host name that cannot be looked up now is no reason to
// refuse for good.
type AllowedUnauthenticatedSender struct {
	s       Services
	null    bool
	allowed []allowedSender
}

type allowedSender struct {
	address container.Address
	from    *networkList // nil: any
}

func newAllowedUnauthenticatedSender(p *conf.Params, s Services) any {
	const path = "allowedSenders.allowedSender"
	h := &AllowedUnauthenticatedSender{s: s, null: p.Bool("allowNullSender", false)}
	for _, e := range entries(p, path) {
		text := conf.Text(e)
		a, err := container.ParseAddress(text)
		if err != nil {
			p.Fail(path, fmt.Errorf("invalid email address in allowedSender: %s: %w", text, err))
		}
		entry := allowedSender{address: a}
		if ips := e.SelectAttr("fromIps"); ips != nil {
			l, err := parseNetworkList(strings.Split(ips.Value, ","))
			if err != nil {
				p.Fail(path, fmt.Errorf("fromIps: %w", err))
			}
			entry.from = &l
		}
		h.allowed = append(h.allowed, entry)
	}
	if len(h.allowed) == 0 {
		p.Fail("", errors.New("AllowedUnauthenticatedSender requires at least one <allowedSender> entry"))
	}
	return h
}

// Mail implements MailHook.
func (h *AllowedUnauthenticatedSender) Mail(ctx context.Context, s *Session, sender container.Address) Decision {
	if !s.Relaying || s.User != "" || sender.IsNull() && h.null {
		return Decision{}
	}
	var failed error
	for _, a := range h.allowed {
		if !a.address.Equal(sender) {
			continue
		}
		if a.from == nil {
			return Decision{}
		}
		ok, err := a.from.contains(ctx, h.s.DNS, s.RemoteAddr)
		if ok {
			return Decision{}
		}
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		h.s.Log.WarnContext(ctx, "sender not checked", "from", sender.Pretty(), "client", s.RemoteAddr.String(), "err", failed)
		return Defer(451, "4.4.3", "Temporarily rejected: Problem on looking up who may use sender "+sender.String())
	}
	return Refuse(550, "5.7.1", fmt.Sprintf("Sender %s is not allowed for unauthenticated connection from %s", sender.Pretty(), s.RemoteAddr))
}
