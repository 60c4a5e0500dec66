package server

import (
	"context"
	"log/slog"
	"runtime/debug"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/smtphooks"
)

// lmtpSoftware is how James's LMTP server calls itself.
const lmtpSoftware = "JAMES Protocols Server"

// lmtpVerbs are the commands of LMTP (RFC 2033 §4.1): LHLO in place of HELO and
// EHLO, and no AUTH. As in James there is no HELP.
var lmtpVerbs = map[string]func(*conn, context.Context, string){
	"BDAT": (*conn).bdat,
	"DATA": (*conn).data,
	"EXPN": verbs["EXPN"],
	"LHLO": (*conn).ehlo,
	"MAIL": (*conn).mail,
	"NOOP": verbs["NOOP"],
	"QUIT": (*conn).quit,
	"RCPT": (*conn).rcpt,
	"RSET": (*conn).rset,
	"VRFY": verbs["VRFY"],
}

// protocol names what the clients of e speak.
func (e *endpoint) protocol() string {
	if e.cfg.LMTP {
		return "LMTP"
	}
	return "SMTP"
}

func (c *conn) unknownLMTP() {
	c.reply(500, "", "Unable to process request: the command is unknown")
}

// recipients returns those of the mail. In LMTP one that was given twice, and has
// two replies, is there once.
func (c *conn) recipients() []container.Address {
	out := make([]container.Address, 0, len(c.s.Tx.Recipients))
	seen := map[string]bool{}
	for _, r := range c.s.Tx.Recipients {
		if c.e.cfg.LMTP {
			if seen[r.Address.Key()] {
				continue
			}
			seen[r.Address.Key()] = true
		}
		out = append(out, r.Address)
	}
	return out
}

// answer replies to a message: once, or in LMTP once for each recipient (RFC
// 2033 §4.2).
func (c *conn) answer(code int, enhanced, text string) {
	n := 1
	if c.e.cfg.LMTP {
		n = len(c.s.Tx.Recipients)
	}
	for range n {
		c.reply(code, enhanced, text)
	}
}

// answerAll replies to a message with what a hook decided.
func (c *conn) answerAll(d smtphooks.Decision) {
	code, enhanced, text := d.Reply()
	c.answer(code, enhanced, text)
	c.closing = c.closing || d.Disconnect
}

// deliverEach delivers an LMTP message and replies for each recipient, in the
// order of the RCPT commands. Each reply is true when it is made: nothing that
// happens to a later recipient changes it.
func (c *conn) deliverEach(ctx context.Context, m *container.Mail, size slog.Attr) {
	taken := false
	decisions := c.deliverWhole(ctx, m)
	made := map[string]smtphooks.Decision{} // a recipient given twice has one copy, and one answer
	for i, r := range c.s.Tx.Recipients {
		d, ok := made[r.Address.Key()]
		switch {
		case decisions != nil:
			d = decisions[i]
		case !ok:
			d = c.deliverOne(ctx, m, r.Address)
			made[r.Address.Key()] = d
		}
		c.decide(d)
		code, _, text := d.Reply()
		about := c.about(size, slog.String("to", r.Address.String()), slog.Int("code", code), slog.String("reply", text))
		if d.Refuses() {
			c.e.server.count("recipients_refused")
			c.e.log().InfoContext(ctx, "mail refused", about...)
			continue
		}
		taken = true
		c.e.log().InfoContext(ctx, "mail delivered", about...)
	}
	if taken {
		c.settle()
	} else {
		c.e.server.count("mails_refused")
	}
}

// deliverWhole asks the hook that delivers to all recipients at once; nil when
// there is none.
func (c *conn) deliverWhole(ctx context.Context, m *container.Mail) (out []smtphooks.Decision) {
	defer func() {
		if p := recover(); p != nil {
			c.e.log().ErrorContext(ctx, "LMTP delivery failed", "panic", p, "stack", string(debug.Stack()))
			out = make([]smtphooks.Decision, len(c.s.Tx.Recipients))
			for i := range out {
				out[i] = undelivered()
			}
		}
	}()
	return c.e.chain.DeliverMessage(ctx, c.s, m)
}

// deliverOne delivers to one recipient. A hook that panics costs this recipient
// the message and leaves the others theirs.
func (c *conn) deliverOne(ctx context.Context, m *container.Mail, rcpt container.Address) (d smtphooks.Decision) {
	defer func() {
		if p := recover(); p != nil {
			c.e.log().ErrorContext(ctx, "LMTP delivery failed", "to", rcpt.String(), "panic", p, "stack", string(debug.Stack()))
			d = undelivered()
		}
	}()
	return c.e.chain.DeliverToRecipient(ctx, c.s, m, rcpt)
}

func undelivered() smtphooks.Decision {
	return smtphooks.Defer(451, "4.0.0", "Error processing message.")
}
