package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container/local"
)

// JDBCGreylistHandler puts off mails of clients that were not seen before
// (greylisting, RFC 6647): a mail server comes again after a while, much of what
// sends spam does not.
//
//	<handler class="org.apache.james.smtpserver.fastfail.JDBCGreylistHandler">
//	  <tempBlockTime>1 hour</tempBlockTime>
//	  <autoWhiteListLifeTime>36 days</autoWhiteListLifeTime>
//	  <unseenLifeTime>4 hours</unseenLifeTime>
//	  <whitelistedNetworks>127.0.0.0/8, 192.168.0.0/16</whitelistedNetworks>
//	  <ipv4Prefix>24</ipv4Prefix>
//	  <ipv6Prefix>64</ipv6Prefix>
//	  <onFailure>accept</onFailure>
//	</handler>
//
// What counts is the triplet of client, sender and recipient. A new one is
// answered with "451 4.4.3 Temporary rejected: Please try again later", one that
// comes again too early with "451 4.4.3 Temporary rejected: Reconnect to fast.
// Please try again later". Afterwards it passes until it was not seen for a
// long time. Clients that may relay or are authenticated are left alone. The
// triplets are in the store and outlive a restart; all servers share them.
//
// Put it behind handlers that refuse for good, such as ValidRcptHandler: what
// they refuse is not remembered then. Of one client, or network, 10000 new
// triplets are remembered within unseenLifeTime; the rest is put off, too, but
// not remembered.
//
// Parameters:
//
//   - sqlFile: accepted and of no effect, as there is no database to be told SQL.
//   - tempBlockTime (default 1 hour): how long a new triplet is put off; a number
//     alone counts milliseconds, here and below.
//   - autoWhiteListLifeTime (default 36 days): for how long a triplet passes after
//     it was last seen.
//   - unseenLifeTime (default 4 hours): when a triplet is forgotten that did not
//     come again. More than tempBlockTime.
//   - whitelistedNetworks: a comma list of addresses, networks and host names
//     that are left alone.
//   - ipv4Prefix (default 32): how many bits of an IPv4 address count. With 24 a
//     mail server may come again from another address of its network.
//   - ipv6Prefix (default 64): how many bits of an IPv6 address count.
//   - onFailure (default accept): what happens to a recipient while the store
//     cannot be asked, or takes longer than 10 seconds: accept lets it pass, with an error in the log; defer answers
//     451.
//
// Differs from James: the waiting time applies, where James reads its own clock
// wrongly; the times have defaults; of an IPv6 address the network of 64 bits
// counts; addresses are compared without regard to upper and lower case; the time
// that a triplet was last seen is stored once an hour at most; ipv4Prefix,
// ipv6Prefix and onFailure are new.
type JDBCGreylistHandler struct {
	s                   Services
	block, keep, unseen time.Duration
	white               networkList
	bits4, bits6        int
	deferring           bool
	now                 func() time.Time
	patience            time.Duration // with the store
	*freshTriplets
}

// freshTriplets are counted so that nobody can fill the store.
type freshTriplets struct {
	mu    sync.Mutex
	since time.Time      // when counting began
	fresh map[string]int // new triplets by network, since then
	total int
}

// Inherit implements Heir.
func (h *JDBCGreylistHandler) Inherit(predecessor any) {
	if p, ok := predecessor.(*JDBCGreylistHandler); ok {
		h.freshTriplets = p.freshTriplets
	}
}

// storePatience is how long a client may wait for the greylist: a store that is
// that slow counts as one that cannot be asked.
const storePatience = 10 * time.Second

// Bounds of what is remembered within unseenLifeTime.
const (
	maxFreshOfNetwork = 10000
	maxFresh          = 1000000
)

// refreshGreylist is how old the stored time of a triplet may become.
const refreshGreylist = time.Hour

func newJDBCGreylist(p *conf.Params, s Services) any {
	h := &JDBCGreylistHandler{s: s, now: time.Now, patience: storePatience, freshTriplets: &freshTriplets{fresh: map[string]int{}}}
	if p.String("sqlFile", "") != "" {
		p.Warn("sqlFile", "<sqlFile> has no effect: the greylist is kept in the store of mailetd; the element can be removed")
	}
	h.block = p.Duration("tempBlockTime", time.Millisecond, time.Hour)
	h.keep = p.Duration("autoWhiteListLifeTime", time.Millisecond, 36*24*time.Hour)
	h.unseen = p.Duration("unseenLifeTime", time.Millisecond, 4*time.Hour)
	if h.unseen <= h.block {
		p.Fail("unseenLifeTime", errors.New("want more than tempBlockTime: every mail would be put off for ever"))
	}
	if h.keep <= 0 {
		p.Fail("autoWhiteListLifeTime", errors.New("want more than 0"))
	}
	var err error
	if h.white, err = parseNetworkList(p.List("whitelistedNetworks")); err != nil {
		p.Fail("whitelistedNetworks", err)
	}
	h.bits4, h.bits6 = prefixBits(p, "ipv4Prefix", 32, 32), prefixBits(p, "ipv6Prefix", 64, 128)
	h.deferring = readOnFailure(p)
	return h
}

func prefixBits(p *conf.Params, name string, def, max int) int {
	n := p.Int(name, def)
	if n < 1 || n > max {
		p.Fail(name, fmt.Errorf("want a number of bits from 1 to %d, not %d", max, n))
		return def
	}
	return n
}

// Rcpt implements RcptHook.
func (h *JDBCGreylistHandler) Rcpt(ctx context.Context, s *Session, rcpt Recipient) Decision {
	if s.Relaying {
		return Decision{}
	}
	if white, err := h.white.contains(ctx, h.s.DNS, s.RemoteAddr); err != nil {
		h.s.Log.WarnContext(ctx, "name in whitelistedNetworks not looked up; the client counts as not listed", "err", err)
	} else if white {
		return Decision{}
	}
	t := local.Triplet{Network: h.network(s.RemoteAddr), Sender: s.Tx.Sender.Key(), Recipient: rcpt.Address.Key()}
	if s.Tx.Sender.IsNull() {
		t.Sender = ""
	}
	limited, cancel := context.WithTimeout(ctx, h.patience)
	defer cancel()
	d, err := h.judge(limited, t)
	if err != nil {
		if !errors.Is(err, errFull) {
			h.s.Log.ErrorContext(ctx, "greylist not asked", "client", s.RemoteAddr.String(), "deferred", h.deferring, "err", err)
		}
		h.s.count("mailetd_smtp_greylist_failures_total", "Recipients that the greylist could not be asked about.")
		if h.deferring {
			return trouble()
		}
		return Decision{}
	}
	if d.Refuses() {
		h.s.count("mailetd_smtp_greylisted_total", "Recipients put off by greylisting.")
	}
	return d
}

// judge looks a triplet up and notes that it was seen.
func (h *JDBCGreylistHandler) judge(ctx context.Context, t local.Triplet) (Decision, error) {
	now := h.now()
	g, known, err := h.s.Greylist.Greylisted(ctx, t)
	if err != nil {
		return Decision{}, err
	}
	switch {
	case !known || !now.Before(g.Until) || now.Before(g.First): // the last: a clock was set back
		return h.begin(ctx, t, now)
	case g.Passed == 0 && now.Sub(g.First) < h.block:
		return Defer(451, "4.4.3", "Temporary rejected: Reconnect to fast. Please try again later"), nil
	case g.Passed > 0 && now.Sub(g.Last) < min(refreshGreylist, h.keep/10):
		return Decision{}, nil // nothing worth a write
	}
	g.Last, g.Until = now, now.Add(h.keep)
	g.Passed++
	return Decision{}, h.s.Greylist.PutGreylisted(ctx, t, g)
}

// begin remembers a triplet for the first time.
func (h *JDBCGreylistHandler) begin(ctx context.Context, t local.Triplet, now time.Time) (Decision, error) {
	remember, err := h.room(t.Network, now)
	if err == nil && remember {
		err = h.s.Greylist.PutGreylisted(ctx, t, local.Greylisted{First: now, Last: now, Until: now.Add(h.unseen)})
	}
	return Defer(451, "4.4.3", "Temporary rejected: Please try again later"), err
}

// errFull lets mail pass that could not be remembered.
var errFull = errors.New("too many new senders at the moment")

// room reports whether one more triplet of a network may be remembered. An
// error means that there are too many of all networks together.
func (h *JDBCGreylistHandler) room(network string, now time.Time) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.since) >= h.unseen || now.Before(h.since) {
		h.since, h.total = now, 0
		clear(h.fresh)
	}
	if h.fresh[network] >= maxFreshOfNetwork {
		return false, nil
	}
	h.total++
	if h.total > maxFresh {
		if h.total == maxFresh+1 {
			h.s.Log.Error("too many new senders for the greylist; more of them pass", "within", h.unseen.String(), "limit", maxFresh)
		}
		return false, errFull
	}
	h.fresh[network]++
	return true, nil
}

// network returns what stands for the client in a triplet.
func (h *JDBCGreylistHandler) network(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	bits := h.bits6
	if ip.Is4() {
		bits = h.bits4
	}
	return netip.PrefixFrom(ip, bits).Masked().String()
}
