package mailets

import (
	"errors"
	"fmt"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/ratelimit"
)

// rateLimits are the limits of one mailet, nil for those it does not have.
type rateLimits struct {
	count, recipients, size, totalSize *ratelimit.Limiter
	exceeded                           string
}

// readRateLimits reads the parameters that the rate limits share. envelope tells
// whether the limits that concern the recipients as a whole are among them.
func readRateLimits(p *conf.Params, envelope bool) rateLimits {
	l := rateLimits{exceeded: p.String("exceededProcessor", container.StateError)}
	p.Required("duration")
	duration := p.Duration("duration", time.Second, time.Hour)
	if duration < time.Second {
		p.Fail("duration", errors.New("want at least one second"))
	}
	precision := p.Duration("precision", time.Second, duration)
	if precision > duration {
		p.Warn("precision", "<precision> is longer than <duration>; the window does not slide")
	}
	p.String("keyPrefix", "")
	if p.String("rateLimiterTimeout", "") != "" && p.Duration("rateLimiterTimeout", time.Second, time.Second) == 0 {
		p.Fail("rateLimiterTimeout", errors.New("want more than 0"))
	}
	limit := func(name string, read func(string) int64) *ratelimit.Limiter {
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
		return ratelimit.New(n, duration, precision, nil)
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
	return l
}

// take charges a mail for n recipients to key, and reports whether it keeps
// within all limits. Each limit is charged, whatever the others say.
func (l *rateLimits) take(key string, size int64, n int) bool {
	ok := true
	for _, t := range []struct {
		limiter *ratelimit.Limiter
		n       int64
	}{{l.count, 1}, {l.recipients, int64(n)}, {l.size, size}, {l.totalSize, size * int64(n)}} {
		if t.limiter != nil && !t.limiter.Take(key, t.n) {
			ok = false
		}
	}
	return ok
}

// ReferredStates returns the processor for mail above a limit.
func (l *rateLimits) ReferredStates() []string { return []string{l.exceeded} }
