package server

import (
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/smtphooks"
)

// maxPending is how much of replies is collected before they are written.
const maxPending = 4 << 10

// reply appends one reply to what will be written. Text may have several lines;
// the enhanced code, when there is one, stands on each of them (RFC 2034 §4).
func (c *conn) reply(code int, enhanced, text string) {
	c.replied = true
	c.failing = c.failing || code >= 500
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		sep := byte('-')
		if i == len(lines)-1 {
			sep = ' '
		}
		c.out = strconv.AppendInt(c.out, int64(code), 10)
		c.out = append(c.out, sep)
		if enhanced != "" {
			c.out = append(c.out, enhanced...)
			c.out = append(c.out, ' ')
		}
		c.out = appendClean(c.out, line)
		c.out = append(c.out, '\r', '\n')
	}
	if len(c.out) > maxPending {
		if err := c.flush(); err != nil {
			c.closing = true
		}
	}
}

// appendClean appends s with control characters replaced: what a client sent is
// echoed in some replies, and must not become a line of its own.
func appendClean(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			out = append(out, '?')
		} else {
			out = append(out, c)
		}
	}
	return out
}

// decide sends the reply of a hook that refuses, and closes when it says so.
func (c *conn) decide(d smtphooks.Decision) {
	code, enhanced, text := d.Reply()
	c.reply(code, enhanced, text)
	c.closing = c.closing || d.Disconnect
}

// trouble is James's reply when a command cannot be carried out.
func (c *conn) trouble() { c.reply(451, "", "Unable to process request") }

func (c *conn) unrecognized(verb string) {
	if len(verb) > 128 {
		verb = verb[:128]
	}
	c.reply(500, "5.5.1", "Command "+asciiOnly(verb)+" unrecognized.")
}

// asciiOnly replaces octets outside ASCII.
func asciiOnly(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] >= 0x80 {
			b[i] = '?'
		}
	}
	return string(b)
}
