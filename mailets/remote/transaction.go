package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/mailetd/mailetd/container"
)

// Limits of one transaction.
const (
	// A host must take 100 recipients (RFC 5321 §4.5.3.1.8); far more than that
	// are usual, and 452 is understood.
	maxRecipients = 1000
	// So many RCPT go out before their replies are read: more could fill the
	// buffers of both sides (RFC 2920 §3.1).
	maxPipeline = 100
)

// transaction is one MAIL, its RCPTs and its message on one connection.
type transaction struct {
	a    *attempt
	c    *conn
	todo []int // recipients, as indexes of a.rcpts

	accepted []int
	later    []int // refused for now because there were enough
	refusals int
	first    verdict // of the first refusal
	dataSent bool    // DATA went out with the RCPTs
}

// result is how a transaction left the connection.
type result struct {
	alive bool // it can be used again
	// stale: a connection that carried other mail before turned out to be closed
	// when this mail began. Nothing is noted then.
	stale bool
	left  []int // recipients there was no room for
}

// transact offers recipients to c and sends the message to those accepted.
func (a *attempt) transact(ctx, hard context.Context, c *conn, todo []int) result {
	n := a.portion(c, todo)
	t := &transaction{a: a, c: c, todo: todo[:n:n]}
	used := c.used > 0
	c.used++
	stop := c.watch(ctx)
	at, err := t.envelope(ctx)
	stop()
	switch {
	case err == nil:
	case ctx.Err() != nil:
		a.interrupted = true
		return result{}
	case used && at == stageMail && !errors.Is(err, errDone):
		return result{stale: true}
	default:
		t.broken(at, err)
		return result{left: todo[n:]}
	}
	a.reached = true
	if len(t.accepted) == 0 || t.withheld() {
		return result{alive: t.abandon(ctx), left: todo[n:]}
	}
	return result{alive: t.message(ctx, hard), left: append(t.later, todo[n:]...)}
}

// envelope sends MAIL and the RCPTs, and DATA with them when nothing the replies
// can say would keep us from sending the message. An error means that the
// connection is of no more use.
func (t *transaction) envelope(ctx context.Context) (stage, error) {
	c, env := t.c, t.a.env
	line, err := env.mailLine(c.scratch[:0], &c.ext)
	if err != nil {
		t.refuseAll(stageMail, err)
		return 0, nil
	}
	c.arm(ctx, c.in.cfg.Timeout)
	mailWaits, err := t.sendMail(ctx, line)
	if err != nil {
		return stageMail, err
	}
	for len(t.todo) > 0 {
		n := min(len(t.todo), maxPipeline)
		if !c.ext.pipelining {
			n = 1
		}
		batch := t.writeRcpts(t.todo[:n])
		t.todo = t.todo[n:]
		if c.ext.pipelining && len(t.todo) == 0 && len(batch) > 0 && (c.in.cfg.SendPartial || len(t.a.rcpts) == 1) {
			t.dataSent = true
			c.send(dataCommand)
		}
		if err := c.w.Flush(); err != nil {
			t.todo = slices.Concat(batch, t.todo)
			return stageMail, t.afterWrite(ctx, err)
		}
		if mailWaits {
			mailWaits = false
			if ok, err := t.mailReply(ctx, batch); !ok {
				return stageMail, err
			}
		}
		if err := t.rcptReplies(ctx, batch); err != nil {
			return stageRcpt, err
		}
		if len(t.accepted) > 0 && c.span.pressing() {
			// Those who were accepted get the message before the time is over.
			t.later, t.todo = append(t.later, t.todo...), nil
		}
	}
	return 0, nil
}

// sendMail sends RSET when a transaction is open, and MAIL. With pipelining it
// only writes them and the reply to MAIL is still to come.
func (t *transaction) sendMail(ctx context.Context, line []byte) (waits bool, err error) {
	c := t.c
	if c.dirty {
		if rep, err := c.command(ctx, "RSET"); err != nil || !rep.ok() {
			return false, errors.Join(err, io.ErrUnexpectedEOF)
		}
	}
	c.dirty = true
	c.send(line)
	if c.ext.pipelining {
		return true, nil
	}
	if err := c.w.Flush(); err != nil {
		return false, t.afterWrite(ctx, err)
	}
	if ok, err := t.mailReply(ctx, nil); !ok {
		return false, err
	}
	return false, nil
}

// afterWrite prefers what the host said last to the news that it went away.
func (t *transaction) afterWrite(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	_ = t.c.raw.SetReadDeadline(time.Now().Add(time.Second))
	if rep, rerr := t.c.read(); rerr == nil && rep.code >= 400 {
		return rep.err()
	}
	return err
}

// mailReply reads the reply to MAIL. When it is a refusal, the replies to what
// was sent with it are read too, and the verdict noted for all recipients.
func (t *transaction) mailReply(ctx context.Context, batch []int) (ok bool, err error) {
	c := t.c
	rep, err := c.read()
	if err == nil && rep.ok() {
		return true, nil
	}
	t.todo = slices.Concat(batch, t.todo)
	if err != nil {
		return false, err
	}
	if rep.code == 421 {
		return false, rep.err()
	}
	c.dirty = false
	t.refuseAll(stageMail, rep.err())
	n := len(batch)
	if t.dataSent {
		n++
	}
	for range n {
		c.arm(ctx, c.in.cfg.Timeout)
		rep, err := c.read()
		if err != nil || rep.code == 354 || rep.code == 421 {
			return false, errDone
		}
	}
	t.dataSent = false
	return false, nil
}

// errDone ends a session whose recipients all have their verdict already.
var errDone = errors.New("session is out of step")

// writeRcpts writes RCPT for the recipients and returns those it was sent for;
// the others cannot be named to this host.
func (t *transaction) writeRcpts(list []int) []int {
	c := t.c
	sent := list[:0:0]
	for _, i := range list {
		line, err := t.a.env.rcptLine(c.scratch[:0], t.a.rcpts[i].addr, &c.ext)
		if err != nil {
			t.refuse(i, judge(stageRcpt, err))
			continue
		}
		c.send(line)
		sent = append(sent, i)
	}
	return sent
}

// rcptReplies reads one reply for each recipient.
func (t *transaction) rcptReplies(ctx context.Context, batch []int) error {
	c := t.c
	for n, i := range batch {
		c.arm(ctx, c.in.cfg.Timeout)
		rep, err := c.read()
		if err == nil && rep.code == 421 {
			err = rep.err()
		}
		switch {
		case err != nil:
			t.todo = slices.Concat(batch[n:], t.todo)
			return err
		case rep.ok():
			t.accepted = append(t.accepted, i)
		case t.enough(rep):
			t.later = append(t.later, i)
		default:
			t.refuse(i, judge(stageRcpt, rep.err()))
		}
	}
	return nil
}

// enough reports whether a refusal only says that the transaction has all the
// recipients it can hold (RFC 5321 §4.5.3.1.10): the rest goes in another one.
func (t *transaction) enough(rep reply) bool {
	return rep.code == 452 && len(t.accepted) > 0 &&
		(rep.enhanced == "4.5.3" || rep.enhanced == "" && len(t.accepted) >= 100)
}

// withheld reports whether the message must not be sent although some would take
// it: sendpartial is off and others were refused.
func (t *transaction) withheld() bool {
	return t.refusals > 0 && !t.a.in.cfg.SendPartial
}

// abandon ends a transaction without sending the message. The recipients that
// were accepted wait for the next attempt, or for the next host when that may
// take all.
func (t *transaction) abandon(ctx context.Context) (alive bool) {
	c := t.c
	if len(t.accepted) > 0 {
		v := verdict{next: t.first.next, status: "4.5.0",
			text: "not sent, because another recipient was refused: " + t.first.outcome().Reply()}
		for _, i := range append(t.accepted, t.later...) {
			t.record(i, v)
		}
	}
	if !t.dataSent {
		return true
	}
	stop := c.watch(ctx)
	defer stop()
	c.arm(ctx, c.in.cfg.Timeout)
	rep, err := c.read()
	if err == nil && rep.code == 354 {
		// RFC 2920 §3.1: all were refused and yet data is asked for.
		rep, err = c.secret(ctx, ".")
	}
	return err == nil && rep.code != 421
}

// message sends DATA and the message, and notes what the host says to it.
func (t *transaction) message(ctx, hard context.Context) (alive bool) {
	if at, err := t.command(ctx); err != nil {
		if at == stageData && ctx.Err() != nil {
			t.a.interrupted = true
			return false
		}
		return t.failed(stageData, err)
	}
	c := t.c
	stop := c.watch(hard)
	rep, err := t.send(hard)
	stop()
	if err != nil && hard.Err() != nil {
		t.a.interrupted = true
		return false
	}
	if err != nil {
		at := stageEnd
		var se *stageError
		if errors.As(err, &se) {
			at, err = se.at, se.err
		}
		return t.failed(at, err)
	}
	c.dirty = false
	if !rep.ok() {
		return t.failed(stageEnd, rep.err())
	}
	t.delivered(rep)
	return true
}

// command gets to the point where the message can be sent.
func (t *transaction) command(ctx context.Context) (stage, error) {
	c := t.c
	stop := c.watch(ctx)
	defer stop()
	if !t.dataSent {
		c.send(dataCommand)
	}
	c.arm(ctx, c.in.cfg.Timeout)
	if err := c.w.Flush(); err != nil {
		return stageData, err
	}
	rep, err := c.read()
	if err == nil && rep.code != 354 {
		err = rep.err()
	}
	return stageData, err
}

// send transmits the message and reads the reply to the final dot. Memory does
// not grow with the message. A message that cannot be read to its end never
// gets a final dot.
func (t *transaction) send(hard context.Context) (reply, error) {
	c, msg := t.c, &t.a.env.mail.Message
	body, err := msg.Body().Open()
	if err != nil {
		return reply{}, &stageError{stageBody, fmt.Errorf("%w: %w", errMessage, err)}
	}
	defer body.Close()
	d := &dataWriter{w: c.w}
	w := &watchedWriter{d: d, c: c, ctx: hard}
	c.arm(hard, c.in.cfg.Timeout)
	for _, part := range [][]byte{msg.Header(), crlf} {
		if _, err := w.Write(part); err != nil {
			return reply{}, &stageError{stageBody, t.afterWrite(hard, err)}
		}
	}
	if err := copyBody(w, body); err != nil {
		if w.failed == nil {
			return reply{}, &stageError{stageBody, fmt.Errorf("%w: %w", errMessage, err)}
		}
		return reply{}, &stageError{stageBody, t.afterWrite(hard, err)}
	}
	if err := d.close(); err != nil {
		return reply{}, &stageError{stageBody, t.afterWrite(hard, err)}
	}
	c.armUntil(hard, time.Now().Add(c.in.cfg.FinalTimeout))
	if err := c.w.Flush(); err != nil {
		return reply{}, t.afterWrite(hard, err)
	}
	return c.read()
}

// watchedWriter gives every portion of a message its time, and remembers
// whether it was writing that failed.
type watchedWriter struct {
	d      *dataWriter
	c      *conn
	ctx    context.Context
	since  int
	failed error
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		part := p[n:min(len(p), n+rearmEvery)]
		if w.since += len(part); w.since >= rearmEvery {
			w.since = 0
			w.c.arm(w.ctx, w.c.in.cfg.Timeout)
		}
		if _, w.failed = w.d.Write(part); w.failed != nil {
			return n, w.failed
		}
		n += len(part)
	}
	return n, nil
}

// rearmEvery is how much of a message a host must take within one timeout.
const rearmEvery = 256 << 10

// delivered notes success for the accepted recipients.
func (t *transaction) delivered(rep reply) {
	o := container.Outcome{Result: container.Relayed, Code: rep.code, Enhanced: rep.enhanced, Text: rep.text}
	if o.Enhanced == "" {
		o.Enhanced = "2.0.0"
	}
	if t.c.ext.dsn {
		o.Result = container.Delivered // that host reports itself (RFC 3461 §5.2.1)
	}
	t.c.sign(&o)
	for _, i := range t.accepted {
		t.a.note(i, false, o, t.c.relay())
		t.a.rcpts[i].knowsBy = t.c.ext.deliverBy
	}
}

// failed notes a failure for the accepted recipients. The connection is kept
// when the host answered and did not say that it closes.
func (t *transaction) failed(at stage, err error) (alive bool) {
	v := judge(at, t.c.why(at, err))
	for _, i := range t.accepted {
		t.record(i, v)
	}
	return v.code >= 400 && v.code != 421
}

var dataCommand = []byte("DATA\r\n")

// broken notes a failure for every recipient that this transaction has no
// verdict for yet.
func (t *transaction) broken(at stage, err error) {
	t.a.reached = true
	if errors.Is(err, errDone) {
		return
	}
	v := judge(at, t.c.why(at, err))
	for _, list := range [][]int{t.accepted, t.later, t.todo} {
		for _, i := range list {
			t.record(i, v)
		}
	}
}

// refuseAll notes a refusal for all recipients of the transaction.
func (t *transaction) refuseAll(at stage, err error) {
	v := judge(at, err)
	for _, i := range t.todo {
		t.refuse(i, v)
	}
	t.todo = nil
}

// refuse notes that one recipient was refused.
func (t *transaction) refuse(i int, v verdict) {
	if t.refusals == 0 {
		t.first = v
	}
	t.refusals++
	t.record(i, v)
}

func (t *transaction) record(i int, v verdict) {
	o := v.outcome()
	t.c.sign(&o)
	t.a.note(i, v.next, o, t.c.relay())
}

// sign adds to an outcome which host it is from.
func (c *conn) sign(o *container.Outcome) {
	o.Host, o.Addr, o.DSN, o.TLS = c.host, c.addr.Addr().String(), c.ext.dsn, c.tls
}
