package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
)

// AttrRetries is a map from the ID of a policy to the number of its attempts so
// far, on mails that wait for the next one.
const AttrRetries = "com.github.mailetd.retries"

// Pauses of mails that found no free place.
const (
	patience  = 2 * time.Second  // in the hands of the spool
	busyDelay = 10 * time.Second // in its queue
	leftDelay = time.Second      // of recipients whose turn did not come
)

// Bounds of an error message.
const (
	maxReasons = 20  // recipients
	maxReason  = 500 // octets for each
)

// Policy says what becomes of the recipients of one mailet. Make it with New.
type Policy struct {
	Config
	slots    chan struct{}
	now      func() time.Time
	patience time.Duration
}

// Config is a policy as configured.
type Config struct {
	Name string // of the class, for the log
	// ID names the mailet in the counter of attempts. It must be the same after
	// a restart.
	ID      string
	Retries int                       // after the first attempt
	Delay   func(n int) time.Duration // before the n-th retry, from 1
	Slots   int                       // mails at the same time
	Batch   int                       // recipients for each call; 0: all
	Limit   time.Duration             // no batch is begun when a mail took so long
	Consume bool                      // the mail ends here
	Log     *slog.Logger              // one line for each recipient
	Count   func(container.Outcome)   // called for each outcome
	// OnTemporary is the processor of deferred recipients; "": retries.
	OnTemporary string
	OnFailure   string // processor of failed ones
}

// New returns the policy of a configuration.
func New(c Config) *Policy {
	return &Policy{Config: c, slots: make(chan struct{}, max(c.Slots, 1)), now: time.Now, patience: patience}
}

// Deliver tries to deliver to rcpts and returns an outcome for each, in order;
// of an outcome, Time and Attempt are filled in later. One without result was
// not an attempt. The call must end in bounded time.
type Deliver func(ctx context.Context, rcpts []container.Address) []container.Outcome

// ReferredStates are the processors that mails are sent to.
func (p *Policy) ReferredStates() []string {
	out := []string{p.OnFailure}
	if p.OnTemporary != "" {
		out = append(out, p.OnTemporary)
	}
	return out
}

// Attempts returns how many attempts of this policy m has behind it.
func (p *Policy) Attempts(m *container.Mail) int {
	all, _ := m.Attributes.Map(AttrRetries)
	n, _ := container.Attributes(all).Int(p.ID)
	return max(n, 0)
}

// Run delivers m and does with each recipient what the policy says.
func (p *Policy) Run(ctx context.Context, m *container.Mail, out *container.Outbox, deliver Deliver) {
	if len(m.Recipients) == 0 {
		return
	}
	if !p.acquire(ctx) {
		p.Log.InfoContext(ctx, "no free place for a delivery; put off", "class", p.Name, "delay", busyDelay.Seconds())
		out.Enqueue(container.SpoolQueue, "", m.Clone(), busyDelay)
		m.State = container.StateGhost
		return
	}
	defer func() { <-p.slots }()
	p.settle(ctx, m, out, p.attempt(ctx, m, deliver))
}

// acquire takes a place, which is a matter of a moment or not at all.
func (p *Policy) acquire(ctx context.Context) bool {
	select {
	case p.slots <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(p.patience)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// verdicts are the recipients of a mail by what happened to them.
type verdicts struct {
	done, failed, exhausted, again, left []container.Address
}

// attempt calls deliver for one batch after the other.
func (p *Policy) attempt(ctx context.Context, m *container.Mail, deliver Deliver) verdicts {
	var v verdicts
	rcpts := unique(m.Recipients)
	size := p.Batch
	if size <= 0 {
		size = len(rcpts)
	}
	start := p.now()
	for len(rcpts) > 0 {
		if len(v.done)+len(v.failed)+len(v.again)+len(v.exhausted) > 0 && p.now().Sub(start) > p.Limit {
			v.left = append(v.left, rcpts...)
			break
		}
		batch := rcpts[:min(size, len(rcpts))]
		rcpts = rcpts[len(batch):]
		outcomes := deliver(ctx, batch)
		for i, rcpt := range batch {
			if i < len(outcomes) {
				p.note(ctx, m, &v, rcpt, outcomes[i])
			} else {
				v.left = append(v.left, rcpt)
			}
		}
	}
	return v
}

// note keeps the outcome of one recipient.
func (p *Policy) note(ctx context.Context, m *container.Mail, v *verdicts, rcpt container.Address, o container.Outcome) {
	o.Time, o.Attempt = p.now(), p.Attempts(m)+1
	level := slog.LevelInfo
	switch o.Result {
	case container.Delivered, container.Relayed:
		v.done = append(v.done, rcpt)
	case container.Failed:
		v.failed = append(v.failed, rcpt)
		level = slog.LevelWarn
	case container.Deferred:
		if p.OnTemporary != "" || o.Attempt <= p.Retries {
			v.again = append(v.again, rcpt)
			break
		}
		o.Result = container.Failed
		if o.Enhanced == "" {
			o.Enhanced = "4.4.7" // delivery time expired
		}
		v.exhausted = append(v.exhausted, rcpt)
		level = slog.LevelWarn
	default:
		v.left = append(v.left, rcpt)
		return
	}
	m.SetOutcome(rcpt, o)
	if p.Count != nil {
		p.Count(o)
	}
	p.Log.Log(ctx, level, "delivery", "class", p.Name, "to", rcpt.String(), "relay", o.Host, "dsn", o.Enhanced,
		"result", o.Result, "reply", o.Reply(), "attempt", o.Attempt)
}

// settle sends the recipients that do not stay in m where they belong.
func (p *Policy) settle(ctx context.Context, m *container.Mail, out *container.Outbox, v verdicts) {
	s := pieces{m: m, nameFree: p.Consume || len(v.done) == 0}
	if len(v.failed) > 0 {
		out.Send(p.failure(s.piece(v.failed), p.OnFailure, true))
	}
	if len(v.exhausted) > 0 {
		out.Send(p.failure(s.piece(v.exhausted), p.OnFailure, false))
	}
	if len(v.again) > 0 && p.OnTemporary != "" {
		out.Send(p.failure(s.piece(v.again), p.OnTemporary, false))
	} else if len(v.again) > 0 {
		c := s.piece(v.again)
		// Not Send: it is the mail that came here, and none sent by a mailet.
		out.Enqueue(container.SpoolQueue, "", c, p.Delay(p.count(c)))
	}
	if len(v.left) > 0 {
		p.Log.InfoContext(ctx, "the time of a mail is used up; the other recipients are put off", "class", p.Name, "recipients", len(v.left))
		out.Enqueue(container.SpoolQueue, "", s.piece(v.left), leftDelay)
	}
	p.forget(m)
	m.Recipients = v.done
	if p.Consume || len(v.done) == 0 {
		m.State = container.StateGhost
	}
}

// count notes one more attempt and returns how many there were.
func (p *Policy) count(m *container.Mail) int {
	n := p.Attempts(m) + 1
	all, ok := m.Attributes.Map(AttrRetries)
	if !ok {
		all = map[string]container.Value{}
		m.Set(AttrRetries, all)
	}
	all[p.ID] = int32(n)
	return n
}

// forget drops the counter of this policy.
func (p *Policy) forget(m *container.Mail) {
	all, ok := m.Attributes.Map(AttrRetries)
	if !ok {
		return
	}
	delete(all, p.ID)
	if len(all) == 0 {
		delete(m.Attributes, AttrRetries)
	}
}

// failure makes c a mail for a processor that deals with failures, with the
// attributes that RemoteDelivery sets too.
func (p *Policy) failure(c *container.Mail, state string, permanent bool) *container.Mail {
	c.State = state
	p.forget(c)
	var lines []string
	for i, rcpt := range c.Recipients {
		if i == maxReasons {
			lines = append(lines, fmt.Sprintf("and %d more", len(c.Recipients)-i))
			break
		}
		o, _ := c.Outcome(rcpt)
		lines = append(lines, fmt.Sprintf("%s: delivery to %s failed: %s", p.Name, rcpt, clip(o.Reply())))
	}
	c.ErrorMessage = strings.Join(lines, "\r\n")
	o, _ := c.Outcome(c.Recipients[0])
	c.Set(container.AttrDeliveryError, o.Reply())
	c.Set(container.AttrPermanentError, permanent)
	delete(c.Attributes, container.AttrDeliveryErrorCode)
	if o.Code != 0 {
		c.Set(container.AttrDeliveryErrorCode, int32(o.Code))
	}
	return c
}

// clip bounds a reason.
func clip(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return strings.ToValidUTF8(s[:maxReason], "") + "..."
}

// pieces makes the mails that come of m.
type pieces struct {
	m        *container.Mail
	nameFree bool // m ends here, and no piece has its name
}

// piece returns a copy of m for some of its recipients, under a name that no
// other piece has.
func (s *pieces) piece(rcpts []container.Address) *container.Mail {
	c := s.m.CloneFor([][]container.Address{rcpts})[0]
	if s.nameFree {
		s.nameFree = false
		return c
	}
	name, err := s.m.DeriveName()
	if err != nil { // after very many splits
		name = container.NewName()
	}
	c.Name = name
	return c
}

// unique returns list without what is in it twice.
func unique(list []container.Address) []container.Address {
	seen := make(map[string]bool, len(list))
	out := make([]container.Address, 0, len(list))
	for _, a := range list {
		if !seen[a.Key()] {
			seen[a.Key()] = true
			out = append(out, a)
		}
	}
	return out
}
