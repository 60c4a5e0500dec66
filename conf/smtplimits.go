package conf

import (
	"time"
)

// SMTPLimits is <limits>, which James does not have: how much of a client a
// server bears. In all of it 0 means no limit.
type SMTPLimits struct {
	ConnectionRate int           // connections a minute from one address (IPv6: its /64)
	Messages       int           // accepted on one connection
	Errors         int           // commands refused with 5xx since the last message that was accepted
	CommandTime    time.Duration // the client may take with commands until a message is accepted
	DataRate       int           // octets a second that message content comes with in the long run
}

// defaultLimits let real clients do what they do: 100 octets a second is a tenth
// of what the slowest modem had.
var defaultLimits = SMTPLimits{Errors: 100, CommandTime: time.Hour, DataRate: 100}

func (in smtpElem) limits() SMTPLimits {
	l := defaultLimits
	e := in.e.SelectElement("limits")
	if e == nil {
		return l
	}
	c := smtpElem{in.f, e, in.r}
	c.warnUnknown([]string{"connectionRate", "messagesPerConnection", "errors", "commandTime", "dataRate"})
	l.ConnectionRate = c.natural("connectionRate", l.ConnectionRate)
	l.Messages = c.natural("messagesPerConnection", l.Messages)
	l.Errors = c.natural("errors", l.Errors)
	l.DataRate = c.natural("dataRate", l.DataRate)
	if v := c.str("commandTime", ""); v != "" {
		d, err := ParseDuration(v, time.Second)
		if err != nil {
			in.r.Errorf(c.pos("commandTime"), "<commandTime>: %v", err)
			return l
		}
		l.CommandTime = d
	}
	return l
}

// natural reads a whole number that is not negative.
func (in smtpElem) natural(name string, def int) int {
	n := in.integer(name, def)
	if n < 0 {
		in.r.Errorf(in.pos(name), "<%s> must not be negative; 0 means no limit", name)
		return def
	}
	return n
}
