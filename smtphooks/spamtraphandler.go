package smtphooks

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// SpamTrapHandler keeps clients away that send to an address which only spammers
// know: from then on, and for some time, all their recipients are refused.
//
//	<handler class="org.apache.james.smtpserver.fastfail.SpamTrapHandler">
//	  <spamTrapRecip>trap@example.com, trap2@example.com</spamTrapRecip>
//	  <blockTime>43200000</blockTime>
//	</handler>
//
// The reply is "554 Email rejected". Clients that may relay are left alone. Up
// to 100000 clients are remembered, as long as the process lives. IPv6 clients count by their network of 64 bits.
//
// Parameters:
//
//   - spamTrapRecip (required): a comma list of addresses.
//   - blockTime (default 12 hours): for how long; a number without unit counts
//     milliseconds.
//
// Differs from James: there the configuration is refused when it has a
// spamTrapRecip and taken when it has none; the default is 72 minutes, though
// meant to be 12 hours; clients that may relay are caught too.
type SpamTrapHandler struct {
	traps map[string]bool
	block time.Duration
	now   func() time.Time
	*caughtClients
}

// caughtClients are the clients that have fallen into a trap.
type caughtClients struct {
	mu     sync.Mutex
	caught map[netip.Addr]time.Time // until when
}

// Inherit implements Heir.
func (h *SpamTrapHandler) Inherit(predecessor any) {
	if p, ok := predecessor.(*SpamTrapHandler); ok {
		h.caughtClients = p.caughtClients
	}
}

// maxCaught bounds the memory for clients.
const maxCaught = 100000

func newSpamTrap(p *conf.Params, _ Services) any {
	h := &SpamTrapHandler{traps: map[string]bool{}, now: time.Now, caughtClients: &caughtClients{caught: map[netip.Addr]time.Time{}}}
	p.Required("spamTrapRecip")
	for _, text := range p.List("spamTrapRecip") {
		a, err := container.ParseAddress(text)
		if err != nil {
			p.Fail("spamTrapRecip", fmt.Errorf("want addresses: %w", err))
			continue
		}
		h.traps[a.Key()] = true
	}
	h.block = p.Duration("blockTime", time.Millisecond, 12*time.Hour)
	return h
}

// Rcpt implements RcptHook.
func (h *SpamTrapHandler) Rcpt(_ context.Context, s *Session, rcpt Recipient) Decision {
	if s.Relaying {
		return Decision{}
	}
	client, now := clientNetwork(s.RemoteAddr), h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if until, ok := h.caught[client]; ok && now.Before(until) {
		return Decision{Action: Deny}
	}
	if !h.traps[rcpt.Address.Key()] {
		delete(h.caught, client)
		return Decision{}
	}
	if len(h.caught) >= maxCaught {
		h.forget(now)
	}
	h.caught[client] = now.Add(h.block)
	return Decision{Action: Deny}
}

// forget makes room: it drops those whose time is over, and when there are none a
// tenth of the others.
func (h *SpamTrapHandler) forget(now time.Time) {
	maps.DeleteFunc(h.caught, func(_ netip.Addr, until time.Time) bool { return !now.Before(until) })
	for ip := range h.caught {
		if len(h.caught) <= maxCaught*9/10 {
			return
		}
		delete(h.caught, ip)
	}
}

// clientNetwork returns what stands for one client: an IPv4 address, or the first
// address of an IPv6 network of 64 bits.
func clientNetwork(ip netip.Addr) netip.Addr {
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip
	}
	return netip.PrefixFrom(ip, 64).Masked().Addr()
}
