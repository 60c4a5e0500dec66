package remote

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
)

// attempt is one try to deliver a mail to all its recipients.
type attempt struct {
	in    *Instance
	env   *envelope
	rcpts []rcpt // in the order of the mail's recipients

	deadline    time.Time // when hosts that are slow get no more time
	hurried     bool      // deadline is that of the mail, and says nothing about hosts
	interrupted bool      // the server stops: what has no result has none
	reached     bool      // some host took part in a transaction
}

// rcpt is what is known of one recipient so far.
type rcpt struct {
	addr    container.Address
	settled bool // not to be tried at another host in this attempt
	known   bool // outcome is set
	outcome container.Outcome
	knowsBy bool   // the host that took it knows DELIVERBY
	relay   string // host[address]:port behind outcome
}

func (in *Instance) newAttempt(m *container.Mail) *attempt {
	a := &attempt{in: in, env: newEnvelope(m), rcpts: make([]rcpt, len(m.Recipients))}
	for i, r := range m.Recipients {
		a.rcpts[i].addr = r
	}
	return a
}

// run delivers over the connection c when there is one, and over new ones. It
// returns a connection that can be used for the next mail, or nil. ctx ends the
// attempt, except that a message on its way may finish until hard is over.
func (a *attempt) run(ctx, hard context.Context, c *conn) *conn {
	var tried netip.AddrPort
	a.deadline = time.Now().Add(a.in.attemptLimit(a.env.mail))
	if by := a.env.by; by.giveBack && by.deadline.Before(a.deadline) {
		a.deadline, a.hurried = by.deadline, true
	}
	if err := a.env.by.expired(time.Now()); err != nil {
		a.stop(ctx, stageRoute, err)
		return c
	}
	if c != nil {
		addr := c.addr
		c.span = a.share(false)
		var stale bool
		if c, stale = a.reuse(ctx, hard, c); a.interrupted {
			return c
		}
		if !stale {
			tried = addr
		}
		if len(a.open()) == 0 {
			return c
		}
	}
	retries := retryCount(a.env.mail)
	targets, err := a.in.candidates(ctx, a.env.mail.Recipients[0].Domain, retries)
	if err != nil {
		a.stop(ctx, stageRoute, err)
		return c
	}
	return a.tour(ctx, hard, c, targets, tried)
}

// tour goes over the targets until every recipient is settled.
func (a *attempt) tour(ctx, hard context.Context, c *conn, targets []target, tried netip.AddrPort) *conn {
	for i, t := range targets {
		if t.addr == tried {
			continue
		}
		if len(a.open()) == 0 || a.late() {
			break
		}
		next, err := a.in.connect(ctx, t, a.env.requireTLS, a.share(i == len(targets)-1))
		if err != nil {
			if a.stop(ctx, stageConnect, err, t); a.interrupted {
				return c
			}
			continue
		}
		if c != nil {
			c.quit()
		}
		if c, _ = a.over(ctx, hard, next); a.interrupted {
			return c
		}
	}
	a.leftOver()
	return c
}

// reuse tries a connection that carried other mail before. A host may have
// closed it meanwhile, which says nothing about this mail: stale is true then,
// and everything begins anew.
func (a *attempt) reuse(ctx, hard context.Context, c *conn) (left *conn, stale bool) {
	if a.env.requireTLS && !c.verified {
		return c, true
	}
	return a.over(ctx, hard, c)
}

// over runs transactions on a connection until no recipient is left that it
// should try. It returns the connection while it is of use.
func (a *attempt) over(ctx, hard context.Context, c *conn) (left *conn, stale bool) {
	todo := a.open()
	for first := true; len(todo) > 0; first = false {
		if !first && c.spent() {
			if c = a.again(ctx, c); c == nil {
				return nil, false
			}
		}
		r := a.transact(ctx, hard, c, todo)
		if !r.alive {
			c.close()
			return nil, r.stale && first
		}
		todo = r.left
	}
	return c, false
}

// again replaces a connection that may carry no more mails by another one to the
// same host; nil when there is none.
func (a *attempt) again(ctx context.Context, c *conn) *conn {
	t := target{host: c.host, addr: c.addr}
	c.quit()
	next, err := a.in.connect(ctx, t, a.env.requireTLS, c.span)
	if err != nil {
		a.stop(ctx, stageConnect, err, t)
		return nil
	}
	return next
}

// open returns the recipients that still want a host.
func (a *attempt) open() []int {
	var out []int
	for i := range a.rcpts {
		if !a.rcpts[i].settled {
			out = append(out, i)
		}
	}
	return out
}

// stop notes a failure that concerns every recipient that wants a host.
func (a *attempt) stop(ctx context.Context, at stage, err error, t ...target) {
	if ctx.Err() != nil {
		a.interrupted = true
		return
	}
	var se *stageError
	if errors.As(err, &se) {
		at, err = se.at, se.err
	}
	v := judge(at, err)
	if at == stageRoute {
		v.next = false
	}
	o := v.outcome()
	relay := ""
	if len(t) > 0 {
		o.Host, o.Addr = t[0].host, t[0].addr.Addr().String()
		relay = relayName(t[0].host, t[0].addr)
	}
	for _, i := range a.open() {
		a.note(i, v.next, o, relay)
	}
}

// leftOver gives an outcome to recipients that no host was asked about, because
// each connection broke, or took too long, before it was their turn.
func (a *attempt) leftOver() {
	text := "connection lost before this recipient was sent"
	if a.late() {
		text = tooSlow
	}
	for _, i := range a.open() {
		if !a.rcpts[i].known {
			a.note(i, false, container.Outcome{Result: container.Deferred, Enhanced: "4.4.2", Text: text}, "")
		}
	}
}

// note records the outcome of one recipient. While other hosts may be tried, a
// reply that one host gave is not replaced by the news that another could not be
// reached, and what one host put off is not given up because another did. Nor is
// a recipient given up when the last host may have taken the message.
func (a *attempt) note(i int, next bool, o container.Outcome, relay string) {
	r := &a.rcpts[i]
	r.settled = !next
	old, known := r.outcome, r.known
	if !known || old.Code == 0 || o.Code != 0 || !next && (o.Result == container.Failed || old.Result == container.Failed) {
		o.Time = time.Now()
		r.known, r.outcome, r.relay = true, o, relay
	}
	if known && next && (old.Result == container.Deferred || o.Result == container.Deferred) {
		r.outcome.Result = container.Deferred
		if e := r.outcome.Enhanced; e != "" && e[0] == '5' {
			r.outcome.Enhanced = "4" + e[1:]
		}
	}
}

// unreachable reports whether no host of the destination could be talked to:
// what holds for this mail holds for the next one.
func (a *attempt) unreachable() bool {
	if a.reached || a.interrupted || a.env.requireTLS || a.hurried && a.late() {
		return false
	}
	for i := range a.rcpts {
		if !a.rcpts[i].known || a.rcpts[i].outcome.Result != container.Deferred {
			return false
		}
	}
	return true
}

// adopt takes over the outcome of an attempt of another mail for the same
// destination, which reached nobody.
func (a *attempt) adopt(other *attempt) {
	o := other.rcpts[0]
	for i := range a.rcpts {
		a.rcpts[i].settled, a.rcpts[i].known = true, true
		a.rcpts[i].outcome, a.rcpts[i].relay = o.outcome, o.relay
	}
}

// retryCount returns how often a queued mail was retried. Only state error
// marks a retry, as in James.
func retryCount(m *container.Mail) int {
	if m.State != container.StateError {
		return 0
	}
	n, _ := m.Attributes.Int(container.AttrRetryCount)
	return max(n, 0)
}

// domains returns the recipients by domain, in order of appearance.
func domains(rcpts []container.Address) (names []string, byName map[string][]container.Address) {
	byName = map[string][]container.Address{}
	for _, r := range rcpts {
		d := strings.ToLower(r.Domain)
		if _, ok := byName[d]; !ok {
			names = append(names, d)
		}
		if !container.ContainsAddress(byName[d], r) {
			byName[d] = append(byName[d], r)
		}
	}
	return names, byName
}
