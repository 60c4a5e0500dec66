package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// extensions is what a host offers in reply to EHLO.
type extensions struct {
	pipelining, eightBit, utf8, dsn, requireTLS, priority, startTLS, size bool

	maxSize   int64 // 0: no limit announced
	deliverBy bool
	byMinimum int64 // seconds
	limits    limits
	auth      []string
}

// parseExtensions reads the lines of an EHLO reply; the first one is the name
// of the host.
func parseExtensions(text string) extensions {
	var e extensions
	lines := strings.Split(text, "\n")
	for _, line := range lines[1:] {
		word, args, _ := strings.Cut(line, " ")
		switch strings.ToUpper(word) {
		case "PIPELINING":
			e.pipelining = true
		case "8BITMIME":
			e.eightBit = true
		case "SMTPUTF8":
			e.utf8 = true
		case "DSN":
			e.dsn = true
		case "REQUIRETLS":
			e.requireTLS = true
		case "MT-PRIORITY":
			e.priority = true
		case "DELIVERBY":
			e.deliverBy = true
			// RFC 2852 §2: further options may follow the least time.
			least, _, _ := strings.Cut(args, ",")
			if n, err := strconv.ParseInt(strings.TrimSpace(least), 10, 64); err == nil && n > 0 {
				e.byMinimum = n
			}
		case "LIMITS":
			e.limits = parseLimits(args)
		case "STARTTLS":
			e.startTLS = true
		case "SIZE":
			e.size = true
			if n, err := strconv.ParseInt(strings.TrimSpace(args), 10, 64); err == nil && n > 0 {
				e.maxSize = n
			}
		case "AUTH":
			e.auth = append(e.auth, strings.Fields(strings.ToUpper(args))...)
		default:
			// Old servers write AUTH=LOGIN.
			if rest, ok := strings.CutPrefix(strings.ToUpper(line), "AUTH="); ok {
				e.auth = append(e.auth, strings.Fields(rest)...)
			}
		}
	}
	return e
}

// conn is one SMTP connection. One goroutine uses it at a time.
type conn struct {
	raw  net.Conn // deadlines are set here, with and without TLS
	nc   net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	in   *Instance
	host string
	addr netip.AddrPort

	ext      extensions
	tls      string // protocol version, "" in clear
	verified bool   // the certificate is that of host

	scratch   []byte // for command lines
	dirty     bool   // a transaction was left open: RSET comes first
	used      int    // transactions begun
	span      span   // of the attempt that is going on
	idleSince time.Time
}

// writeBuffer holds a whole mail of ordinary size: one write, one packet train.
const writeBuffer = 32 << 10

// stageError says at which stage a session failed.
type stageError struct {
	at  stage
	err error
}

func (e *stageError) Error() string { return fmt.Sprintf("%s: %v", e.at, e.err) }
func (e *stageError) Unwrap() error { return e.err }

// past is a deadline that ends every read and write at once.
var past = time.Unix(1, 0)

// watch lets the end of ctx interrupt reads and writes until stop is called,
// once. Behind it no interruption comes any more: one that was late would break
// off the message that may still be sent.
func (c *conn) watch(ctx context.Context) (stop func()) {
	over := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		_ = c.raw.SetDeadline(past)
		close(over)
	})
	return func() {
		if !cancel() {
			<-over
		}
	}
}

// arm gives reads and writes d from now, within the span of the attempt.
func (c *conn) arm(ctx context.Context, d time.Duration) {
	c.armUntil(ctx, c.span.cut(time.Now().Add(d)))
}

// armUntil gives reads and writes until t, nothing when ctx is over: its end may
// come before or after the deadline is set, and must win either way.
func (c *conn) armUntil(ctx context.Context, t time.Time) {
	_ = c.raw.SetDeadline(t)
	if ctx.Err() != nil {
		_ = c.raw.SetDeadline(past)
	}
}

// connect makes a connection to t and brings it to where MAIL can be sent: TLS
// and AUTH as configured. requireTLS asks for verified TLS whatever the
// configuration says. s is how long the host may take for all that follows.
// Errors are of type *stageError.
func (in *Instance) connect(ctx context.Context, t target, requireTLS bool, s span) (*conn, error) {
	raw, err := in.dial(ctx, t.addr, s)
	if err != nil {
		return nil, &stageError{stageConnect, err}
	}
	c := &conn{raw: raw, nc: raw, in: in, host: t.host, addr: t.addr, span: s}
	c.r, c.w = bufio.NewReaderSize(raw, maxReplyLine), bufio.NewWriterSize(raw, writeBuffer)
	stop := c.watch(ctx)
	err = c.open(ctx, requireTLS)
	stop()
	if err != nil {
		c.close()
		var se *stageError
		if errors.As(err, &se) {
			se.err = c.why(se.at, se.err)
		}
		return nil, err
	}
	return c, nil
}

func (in *Instance) dial(ctx context.Context, addr netip.AddrPort, s span) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, s.cut(time.Now().Add(in.cfg.ConnectTimeout)))
	defer cancel()
	if in.services.Dial != nil {
		return in.services.Dial(ctx, "tcp", addr.String())
	}
	var d net.Dialer
	if in.cfg.Bind.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(in.cfg.Bind, 0))
	}
	return d.DialContext(ctx, "tcp", addr.String())
}

// open does everything from the first octet to AUTH.
func (c *conn) open(ctx context.Context, requireTLS bool) error {
	cfg := &c.in.cfg
	if cfg.ImplicitTLS {
		if err := c.handshake(ctx, requireTLS); err != nil {
			return &stageError{stageTLS, err}
		}
	}
	c.arm(ctx, cfg.Timeout)
	rep, err := c.read()
	if err == nil && rep.code != 220 {
		err = rep.err()
	}
	if err != nil {
		return &stageError{stageGreeting, err}
	}
	if err := c.hello(ctx); err != nil {
		return &stageError{stageHello, err}
	}
	if c.tls == "" && (cfg.StartTLS || cfg.StartTLSRequired || requireTLS) {
		if err := c.startTLS(ctx, requireTLS); err != nil {
			return err
		}
	}
	if cfg.Auth != nil {
		if err := c.authenticate(ctx); err != nil {
			return &stageError{stageAuth, err}
		}
	}
	return nil
}

// hello sends EHLO, and HELO when that is refused. After HELO no extension
// counts as offered.
func (c *conn) hello(ctx context.Context) error {
	name := c.in.cfg.HeloName
	c.ext = extensions{}
	if !c.in.cfg.HeloOnly {
		rep, err := c.command(ctx, "EHLO "+name)
		if err != nil {
			return err
		}
		if rep.ok() {
			c.ext = parseExtensions(rep.text)
			return nil
		}
		if rep.code == 421 {
			return rep.err()
		}
	}
	rep, err := c.command(ctx, "HELO "+name)
	if err == nil && !rep.ok() {
		err = rep.err()
	}
	return err
}

// command sends one line and reads the reply.
func (c *conn) command(ctx context.Context, line string) (reply, error) {
	c.trace("smtp out", line)
	return c.secret(ctx, line)
}

// send writes one line, with its CRLF, and keeps its memory for the next one.
// Nothing is flushed, and an error shows at the flush.
func (c *conn) send(line []byte) {
	if _, on := c.in.traceLevel(); on {
		c.trace("smtp out", string(line[:len(line)-2]))
	}
	_, _ = c.w.Write(line)
	if len(line) > cap(c.scratch) {
		c.scratch = line
	}
}

// secret is command for what must not be logged.
func (c *conn) secret(ctx context.Context, line string) (reply, error) {
	c.arm(ctx, c.in.cfg.Timeout)
	c.w.WriteString(line)
	c.w.WriteString("\r\n")
	if err := c.w.Flush(); err != nil {
		return reply{}, err
	}
	return c.read()
}

// read reads one reply under the deadline that is set.
func (c *conn) read() (reply, error) {
	rep, err := readReply(c.r)
	if err == nil {
		c.traceIn(rep)
	}
	return rep, err
}

// close ends the connection without a word.
func (c *conn) close() { _ = c.raw.Close() }

// quit ends the connection politely, without waiting for the answer: a mail is
// delivered when its final dot was answered, whatever QUIT brings.
func (c *conn) quit() {
	_ = c.raw.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.w.WriteString("QUIT\r\n"); err == nil {
		_ = c.w.Flush()
	}
	c.close()
}

// relay names the host in logs: host[address]:port.
func (c *conn) relay() string { return relayName(c.host, c.addr) }

func relayName(host string, addr netip.AddrPort) string {
	return fmt.Sprintf("%s[%s]:%d", host, addr.Addr(), addr.Port())
}

// errNotOffered: the gateway wants no credentials, or none that we can give.
var errNotOffered = errors.New("no mechanism in common")
