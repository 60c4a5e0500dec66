package mailets

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/ratelimit"
)

// rateLimits are the limits of one mailet, nil for those it does not have.
type rateLimits struct {
	backend                            ratelimit.Backend
	count, recipients, size, totalSize *ratelimit.Limit
	timeout                            time.Duration // 0: none
	exceeded                           string
}

// readRateLimits reads the parameters that the rate limits share. scope begins
// the names of the counters; envelope tells whether the limits that concern the
// recipients as a whole are among them.
func readRateLimits(s Services, p *conf.Params, scope string, envelope bool) rateLimits {
	l := rateLimits{backend: s.Rates, exceeded: p.String("exceededProcessor", container.StateError)}
	p.Required("duration")
	duration := p.Duration("duration", time.Second, time.Hour)
	if duration < time.Second {
		p.Fail("duration", errors.New("want at least one second"))
	}
	precision := p.Duration("precision", time.Second, duration)
	if precision > duration {
		p.Warn("precision", "<precision> is longer than <duration>; the window does not slide")
	}
	prefix := p.String("keyPrefix", "")
	if p.String("rateLimiterTimeout", "") != "" {
		if l.timeout = p.Duration("rateLimiterTimeout", time.Second, time.Second); l.timeout <= 0 {
			p.Fail("rateLimiterTimeout", errors.New("want more than 0"))
		}
	}
	shared := ""
	limit := func(name string, read func(string) int64) *ratelimit.Limit {
		text, there := p.Lookup(name)
		if !there {
			return nil
		}
		n := int64(0)
		if text != "" {
			n = read(name)
		}
		if n <= 0 {
			p.Fail(name, fmt.Errorf("want a number above 0, not %q", text))
			return nil
		}
		made, known := l.backend.Limit(scope+"/"+prefix+"/"+name, ratelimit.Rule{Limit: n, Duration: duration, Precision: precision})
		if known {
			shared = name
		}
		return made
	}
	number := func(name string) int64 { return int64(p.Int(name, 1)) }
	octets := func(name string) int64 { return p.Size(name, 1) }
	l.count, l.size = limit("count", number), limit("size", octets)
	if envelope {
		l.recipients, l.totalSize = limit("recipients", number), limit("totalSize", octets)
	}
	if l.count == nil && l.size == nil && l.recipients == nil && l.totalSize == nil {
		p.Warn("", "%s has no limit and lets everything pass", p.Class())
	}
	if shared != "" {
		p.Warn(shared, "another %s with the same <keyPrefix>, <duration> and <precision> has a <%s>: they share its counters, so a mail that passes both is counted twice; give each a <keyPrefix> of its own", p.Class(), shared)
	}
	return l
}

// charges appends what a mail of size octets for n recipients is charged to
// key, one for each limit.
func (l *rateLimits) charges(list []ratelimit.Charge, key string, size, n int64) []ratelimit.Charge {
	add := func(limit *ratelimit.Limit, n int64) {
		if limit != nil {
			list = append(list, ratelimit.Charge{Limit: limit, Key: key, N: n})
		}
	}
	add(l.count, 1)
	add(l.recipients, n)
	add(l.size, size)
	add(l.totalSize, size*n)
	return list
}

// take decides about charges, within the time that the mailet gives for it.
func (l *rateLimits) take(ctx context.Context, charges []ratelimit.Charge) error {
	if l.timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, l.timeout)
		defer cancel()
		ctx = limited
	}
	return l.backend.Take(ctx, charges)
}

// within charges a mail to key, and reports whether it keeps within all limits.
// Each limit is charged, whatever the others say.
func (l *rateLimits) within(ctx context.Context, key string, m *container.Mail) (bool, error) {
	charges := l.charges(make([]ratelimit.Charge, 0, 4), key, m.Message.Size(), int64(len(m.Recipients)))
	if err := l.take(ctx, charges); err != nil {
		return false, err
	}
	return allWithin(charges), nil
}

func allWithin(charges []ratelimit.Charge) bool {
	for _, c := range charges {
		if !c.Within {
			return false
		}
	}
	return true
}

// ReferredStates returns the processor for mail above a limit.
func (l *rateLimits) ReferredStates() []string { return []string{l.exceeded} }
