package server

import (
	"errors"
	"time"
)

// errTooSlow ends a connection whose client gets on too slowly, though it is
// never silent for long.
var errTooSlow = errors.New("client is too slow")

// Patience with message content: for the time of silence that is configured, at
// least leastPatience and, when there is no limit of silence, mostPatience (RFC
// 5321 §4.5.3.2 wants five minutes).
const (
	leastPatience = time.Minute
	mostPatience  = 5 * time.Minute
)

// pace measures how long the server has waited for a client. What the server
// itself takes is not counted. An idle timer alone would start anew with each
// octet, so that a client could stay for ever.
//
// With commands there are two limits: a line must be there, whole, within the
// idle time, and all waiting together, for lines and for the client to read
// replies, has an end. Content draws on credit: waiting uses it up, and every
// octet earns its share of a second, but never more than there was at first. A
// message that is accepted settles both accounts.
type pace struct {
	idle     time.Duration // 0: no limit
	commands time.Duration // 0: no limit
	rate     int           // octets a second; 0: no limit

	line   time.Time     // when the line that is waited for must be there; zero: nothing waits
	spent  time.Duration // with commands
	credit time.Duration // for content
}

func newPace(e *endpoint) pace {
	p := pace{idle: e.cfg.IdleTimeout, commands: e.cfg.Limits.CommandTime, rate: e.cfg.Limits.DataRate}
	p.settle()
	return p
}

// settle begins anew.
func (p *pace) settle() { p.spent, p.credit = 0, p.patience() }

func (p *pace) patience() time.Duration {
	if p.idle == 0 {
		return mostPatience
	}
	return max(p.idle, leastPatience)
}

// until returns when a read that begins now has to end, and whether it is because
// the client is too slow, not because it is silent. The zero time means never.
func (p *pace) until(now time.Time, content bool) (end time.Time, slow bool) {
	var left time.Duration
	switch {
	case content:
		if p.idle > 0 {
			end = now.Add(p.idle)
		}
		left, slow = p.credit, p.rate > 0
	default:
		if p.idle > 0 {
			if p.line.IsZero() {
				p.line = now.Add(p.idle)
			}
			end = p.line
		}
		left, slow = p.commands-p.spent, p.commands > 0
	}
	if !slow || !end.IsZero() && !now.Add(left).Before(end) {
		return end, false
	}
	return now.Add(left), true
}

// waited notes that a read took d and brought n octets.
func (p *pace) waited(d time.Duration, n int, content bool) {
	if !content {
		p.spent += d
		return
	}
	if p.rate > 0 {
		earned := min(time.Duration(n)*time.Second/time.Duration(p.rate), p.patience())
		p.credit = min(p.credit-d+earned, p.patience())
	}
}

// writing returns how long the client may take to read a reply: a moment even
// when its time is over, since the reply may be the last one.
func (p *pace) writing() time.Duration {
	if p.commands == 0 {
		return writeTimeout
	}
	return max(time.Second, min(writeTimeout, p.commands-p.spent))
}
