package server

import (
	"context"
	"errors"
	"log/slog"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/logctx"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/smtphooks"
)

// errExpired ends a connection whose time was over before its message was read.
var errExpired = errors.New("the connection has lasted long enough")

func (c *conn) data(ctx context.Context, arg string) {
	switch {
	case arg != "":
		c.reply(500, "5.5.4", "Unexpected argument provided with DATA command")
		return
	case !c.s.Tx.HasSender:
		c.reply(503, "5.5.0", "No sender specified")
		return
	case len(c.s.Tx.Recipients) == 0:
		c.reply(503, "5.5.0", "No recipients specified")
		return
	case c.chunks != nil:
		c.reply(503, "5.5.1", "DATA after BDAT") // RFC 3030 §3
		return
	}
	if c.s.Tx.Body == bodyBinary {
		c.reply(503, "5.5.1", "BODY=BINARYMIME requires BDAT") // RFC 3030 §3
		return
	}
	c.reply(354, "", "Ok Send data ending with <CRLF>.<CRLF>")
	c.replied = false // the reply to the message is still owed
	defer c.s.Reset()
	c.setInData(true)
	d := &dataReader{in: c.in, newBody: c.e.server.services.Queue.NewBody, header: c.received(ctx),
		maxLine: c.e.cfg.MaxLineLength, maxSize: c.e.cfg.MaxMessageSize}
	defer d.abort()
	if err := d.run(); err != nil {
		c.brokenData(ctx, err)
		return
	}
	// From here on the input is at a command again, but the client waits for the
	// reply: shutdown does too.
	if c.setReplying(true) {
		c.brokenData(ctx, errExpired) // the client sends the message again
		return
	}
	c.endOfData(ctx, d)
	c.setInData(false)
	if c.e.lifespan > 0 && c.flush() != nil || c.setReplying(false) {
		c.closing = true
	}
}

// brokenData ends a connection whose message cannot be read to its end.
func (c *conn) brokenData(ctx context.Context, err error) {
	c.setInData(false)
	c.closing = true
	c.e.server.count("mails_refused")
	switch {
	case errors.Is(err, errBareLineEnd):
		c.reply(500, "5.0.0", "line delimiter must be CRLF")
		c.linger = true
	case errors.Is(err, errTooSlow):
		c.tooSlow()
	}
	c.e.log().InfoContext(ctx, "message broken off", c.about(slog.Any("err", err))...)
}

// endOfData replies to a message that was read to its end: once, or in LMTP for
// each recipient.
func (c *conn) endOfData(ctx context.Context, d *dataReader) {
	switch d.verdict {
	case accepted:
		c.deliver(ctx, d)
		return
	case tooBig:
		if c.e.cfg.LMTP {
			c.answer(552, "5.3.4", "Message size exceeds fixed maximum message size")
		} else {
			c.answer(552, "", "Quota exceeded")
		}
	case headerTooBig:
		c.answer(552, "5.3.4", "Header size is too large")
	case lineTooLong:
		c.answer(500, "", "Line length exceeded. See RFC 2821 #4.5.3.1.")
	case notStored:
		c.e.log().ErrorContext(ctx, "message not stored", "err", d.writeErr)
		c.answer(451, "4.0.0", "Error processing message.")
	case looping:
		c.answer(554, "5.4.6", "Too many hops")
	case bareLineEnd:
		c.answer(554, "5.6.0", "line delimiter must be CRLF")
	case inconvertible:
		c.answer(554, "5.6.3", inconvertibleText(d.writeErr))
	}
	c.e.server.count("mails_refused")
	c.e.log().InfoContext(ctx, "mail refused", c.about(slog.Int64("size", d.size), slog.String("why", d.verdict.String()))...)
}

// maxHops is how many Received fields a message may come with: one that has more
// goes round in circles (RFC 5321 §6.3).
const maxHops = 100

// deliver makes the mail and lets the message hooks decide; the last of them
// puts it into the spool.
func (c *conn) deliver(ctx context.Context, d *dataReader) {
	msg, err := d.message()
	if err != nil {
		d.verdict, d.writeErr = notStored, err
		c.endOfData(ctx, d)
		return
	}
	if mime.Count(msg.Header(), "Received") > maxHops+1 { // one of them is ours
		d.verdict = looping
		c.endOfData(ctx, d)
		return
	}
	if d.binary {
		if msg, d.verdict, err = c.unbinary(msg, d.maxLine); err != nil {
			d.writeErr = err
			c.endOfData(ctx, d)
			return
		}
	}
	tx := c.s.Tx
	m := container.NewMail(tx.Sender, c.recipients(), msg)
	if tx.Body == "8BITMIME" {
		m.Set(container.AttrBodyType, tx.Body)
	}
	if tx.UTF8 {
		m.Set(container.AttrSMTPUTF8, true)
	}
	size := slog.Int64("size", m.Message.Size()) // m may belong to the queue afterwards
	ctx = logctx.With(ctx, slog.String("mail", m.Name))
	decision := c.e.chain.Message(ctx, c.s, m)
	switch {
	case decision.Refuses():
		c.answerAll(decision)
		c.e.server.count("mails_refused")
		code, _, text := decision.Reply()
		c.e.log().InfoContext(ctx, "mail refused", c.about(size, slog.Int("code", code), slog.String("reply", text))...)
	case decision.Action != smtphooks.OK && c.e.cfg.LMTP:
		c.deliverEach(ctx, m, size)
	case decision.Action != smtphooks.OK:
		// Nobody took the mail: it must not be acknowledged.
		c.e.log().ErrorContext(ctx, "no handler took the mail", c.about()...)
		c.reply(451, "4.0.0", "Error processing message.")
	default:
		c.answerAll(decision)
		c.settle()
		c.e.log().InfoContext(ctx, "mail accepted", c.about(size)...)
	}
}

// about returns the log attributes of the transaction, and more.
func (c *conn) about(more ...any) []any {
	return append([]any{
		slog.String("client", c.s.RemoteAddr.String()), slog.String("hello", c.s.Helo), slog.String("user", c.s.User),
		slog.String("from", c.s.Tx.Sender.Pretty()), slog.Int("recipients", len(c.s.Tx.Recipients)),
	}, more...)
}

// String returns what the log says.
func (v verdict) String() string {
	return [...]string{"accepted", "too big", "header too big", "line too long", "not stored", "too many hops", "bare CR or LF", "not convertible"}[v]
}
