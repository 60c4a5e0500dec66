package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/mailetd/mailetd/container/logctx"
	"github.com/mailetd/mailetd/smtphooks"
)

// errStopping ends a connection between two commands at shutdown.
var errStopping = errors.New("server is stopping")

// Time limits that no configuration changes.
const (
	handshakeTimeout = time.Minute
	proxyTimeout     = 30 * time.Second
	writeTimeout     = 5 * time.Minute
	lingerTimeout    = 2 * time.Second
	lingerOctets     = 1 << 20
)

// conn is one connection. Its goroutine owns everything but the fields below mu.
type conn struct {
	e    *endpoint
	peer netip.Addr // TCP peer, or the client that a proxy names, for limits
	raw  net.Conn   // below TLS
	s    *smtphooks.Session
	in   *input
	out  []byte

	heloName     string // argument of the last HELO or EHLO that was accepted
	authFailures int
	chunks       *chunks // message arriving by BDAT, or nil
	rcptOctets   int     // of the RCPT commands accepted in this transaction
	proxyNeeded  bool
	deadline     time.Time // for the next reads, when not zero
	pace         pace
	errors       int  // commands answered with 5xx since the last message
	failing      bool // the current command is one of them
	messages     int  // that were accepted
	replied      bool // to the current command
	closing      bool // after the replies are written
	linger       bool // let the client read them before the connection goes

	mu       sync.Mutex
	nc       net.Conn
	inData   bool
	stopping bool
	replying bool // to the end of a message: the reply must reach the client
	expired  bool // the time of the connection is over
	info     ConnInfo
}

// remotePort is the client's port, when it is the client that connects.
func (c *conn) remotePort() uint16 {
	if a, ok := c.nc.RemoteAddr().(*net.TCPAddr); ok && !c.e.cfg.ProxyRequired {
		return a.AddrPort().Port()
	}
	return 0
}

func newConn(e *endpoint, nc net.Conn, peer netip.Addr) *conn {
	c := &conn{e: e, nc: nc, raw: nc, peer: peer, proxyNeeded: e.cfg.ProxyRequired, pace: newPace(e)}
	c.in = newInput(c.read)
	c.s = smtphooks.NewSession(newID(), peer, e.server.reverse)
	c.s.Server, c.s.Hello = e.cfg.Name, e.hello
	c.s.StartTLS = e.cfg.TLS != nil && e.cfg.TLS.StartTLS && e.hasCertificate()
	c.refresh()
	return c
}

// refresh computes what follows from address, TLS and user.
func (c *conn) refresh() {
	authorized := c.e.authorized(c.s.RemoteAddr)
	c.s.Relaying = authorized || c.s.User != ""
	c.s.AuthAnnounced = c.e.announces(authorized, c.s.TLSProtocol != "")
	c.mu.Lock()
	c.info = ConnInfo{ID: c.s.ID, Protocol: c.e.protocol(), Server: c.s.Server, RemoteAddr: c.s.RemoteAddr, RemotePort: c.remotePort(), Connected: c.s.Connected,
		Encrypted: c.s.TLSProtocol != "", User: c.s.User}
	c.mu.Unlock()
}

// read is the only place that reads from the network: it writes pending replies
// first, arms the timer, and notes how long it took.
func (c *conn) read(p []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	begin, limit, slow := time.Now(), c.deadline, false
	c.mu.Lock()
	content := c.inData
	if limit.IsZero() {
		limit, slow = c.pace.until(begin, content)
	}
	if c.stopping && !content {
		c.mu.Unlock()
		return 0, errStopping
	}
	err := c.nc.SetReadDeadline(limit)
	nc := c.nc
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := nc.Read(p)
	c.pace.waited(time.Since(begin), n, content)
	if err != nil && n == 0 {
		return 0, c.readError(err, slow)
	}
	return n, err
}

// readError tells why a read failed; slow: its limit was that of a slow client.
func (c *conn) readError(err error, slow bool) error {
	switch {
	case c.isStopping():
		return errStopping
	case slow && errors.Is(err, os.ErrDeadlineExceeded):
		return errTooSlow
	}
	return err
}

// line returns the next line of the client.
func (c *conn) line(limit int) ([]byte, error) {
	line, err := c.in.line(limit)
	c.pace.line = time.Time{}
	return line, err
}

func (c *conn) isStopping() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopping && !c.inData
}

// flush writes the pending replies.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	out := c.out
	c.out = c.out[:0]
	if cap(c.out) > maxPending {
		c.out = nil
	}
	begin := time.Now()
	if err := c.nc.SetWriteDeadline(begin.Add(c.pace.writing())); err != nil {
		return err
	}
	_, err := c.nc.Write(out)
	c.pace.waited(time.Since(begin), 0, false)
	if err != nil {
		c.kill() // thousands of further replies must not wait as long, each
	}
	return err
}

// stop asks the connection to end at the next command boundary.
func (c *conn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = true
	if !c.inData {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // wakes the reader; a closed connection is as good
	}
}

// kill ends the connection at once, also when its client reads nothing: TLS would
// try to say goodbye for seconds.
func (c *conn) kill() { _ = c.raw.Close() }

// expire ends the connection because it has lasted long enough. Only the reply to
// a message that has arrived is waited for.
func (c *conn) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expired = true
	if !c.replying {
		c.kill()
	}
}

// setReplying tells expire whether a message waits for its reply. It reports
// whether the connection has expired: before the message had been read, so that
// nobody would get the reply, or meanwhile.
func (c *conn) setReplying(on bool) (expired bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replying = on
	return c.expired
}

func (c *conn) setInData(in bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inData = in
}

// serve runs the conversation.
func (c *conn) serve(ctx context.Context) {
	ctx = logctx.With(ctx, slog.String("session", c.s.ID), slog.String("server", c.s.Server))
	defer c.finish(ctx)
	if d := c.e.lifespan; d > 0 {
		defer time.AfterFunc(d, c.expire).Stop()
	}
	defer func() {
		if p := recover(); p != nil {
			c.e.log().ErrorContext(ctx, "SMTP connection failed", "panic", p, "stack", string(debug.Stack()))
			c.trouble()
		}
	}()
	if !c.greet(ctx) {
		return
	}
	for !c.closing {
		if c.isStopping() {
			c.sayGoodbye()
			return
		}
		line, err := c.line(c.e.cfg.MaxLineLength)
		switch {
		case err == nil:
			c.command(ctx, string(line))
		case !c.framing(err):
			return
		}
		c.countErrors(ctx)
	}
}

// countErrors ends the connection of a client that gets everything wrong. Those
// who may relay, and programs on this machine, are spared: their lists of recipients
// are what they are.
func (c *conn) countErrors(ctx context.Context) {
	if !c.failing {
		return
	}
	c.failing = false
	c.errors++
	if n := c.e.cfg.Limits.Errors; n == 0 || c.errors < n || c.closing || c.s.Relaying || onThisMachine(c.raw) {
		return
	}
	c.e.server.count("too_many_errors")
	c.e.log().InfoContext(ctx, "too many errors", "client", c.s.RemoteAddr.String(), "errors", c.errors)
	c.reply(421, "4.7.0", c.s.Hello+" Too many errors, closing transmission channel")
	c.closing, c.linger = true, true
}

// settle notes that a message was accepted: whoever sends mail is welcome.
func (c *conn) settle() {
	c.e.server.count("mails_accepted")
	c.messages++
	c.errors = 0
	c.pace.settle()
}

// tooManyMessages refuses a further message when there were enough.
func (c *conn) tooManyMessages() bool {
	n := c.e.cfg.Limits.Messages
	if n == 0 || c.messages < n || c.e.authorized(c.s.RemoteAddr) {
		return false
	}
	c.reply(421, "4.7.0", c.s.Hello+" Too many messages on this connection, open another one")
	c.closing, c.linger = true, true
	return true
}

// tooSlow tells a client why its connection ends.
func (c *conn) tooSlow() {
	c.e.server.count("too_slow")
	c.reply(421, "4.4.2", c.s.Hello+" Too slow, closing transmission channel")
	c.linger = true
}

// framing replies to an error of in.line; it reports whether the connection
// goes on.
func (c *conn) framing(err error) bool {
	switch {
	case errors.Is(err, errLineTooLong):
		c.reply(500, "", "Line length exceeded. See RFC 2821 #4.5.3.1.")
		return true
	case errors.Is(err, errBareLineEnd):
		c.reply(500, "5.0.0", "line delimiter must be CRLF")
		c.linger = true
	case errors.Is(err, errStopping):
		c.sayGoodbye()
	case errors.Is(err, errTooSlow):
		c.tooSlow()
	}
	// As James: an idle or broken connection is closed without a word.
	return false
}

func (c *conn) sayGoodbye() {
	c.reply(421, "4.3.2", c.s.Hello+" Service not available, closing transmission channel")
}

// finish writes what is left to say and closes.
func (c *conn) finish(ctx context.Context) {
	defer c.in.release()
	defer func() {
		if c.chunks != nil {
			c.chunks.abort()
		}
	}()
	defer func() { _ = c.nc.Close() }() // the client may be gone
	_ = c.flush()
	if c.linger && !c.isStopping() {
		c.discard()
	}
	defer func() {
		if p := recover(); p != nil {
			c.e.log().ErrorContext(ctx, "disconnect hook failed", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	c.e.chain.Disconnect(ctx, c.s)
}

// discard reads on for a moment: closing with unread octets would make the
// kernel take back the reply.
func (c *conn) discard() {
	switch nc := c.nc.(type) {
	case *net.TCPConn:
		_ = nc.CloseWrite()
	case *net.UnixConn:
		_ = nc.CloseWrite()
	case *tls.Conn:
		_ = nc.CloseWrite()
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(lingerTimeout))
	_, _ = io.Copy(io.Discard, io.LimitReader(c.nc, lingerOctets))
}

// command carries out one command line.
func (c *conn) command(ctx context.Context, line string) {
	c.replied = false
	defer c.dropChunks()
	defer func() {
		if p := recover(); p != nil {
			c.e.log().ErrorContext(ctx, "SMTP command failed", "panic", p, "stack", string(debug.Stack()))
			c.failed()
		}
	}()
	line = strings.Trim(line, " \t")
	verb, arg, _ := strings.Cut(line, " ")
	if i := strings.IndexByte(verb, '\t'); i >= 0 {
		verb, arg = line[:i], line[i+1:]
	}
	verb, arg = upper(verb), strings.Trim(arg, " \t")
	if strings.HasPrefix(verb, "STARTTLS") {
		c.startTLS(ctx, verb, arg)
		return
	}
	if f, ok := c.e.verbs[verb]; ok {
		f(c, ctx, arg)
		return
	}
	c.unknown(ctx, verb)
}

// failed answers a command whose handling panicked. In the middle of a message
// the rest of it would be taken for commands, so the connection ends.
func (c *conn) failed() {
	c.mu.Lock()
	inData := c.inData
	c.inData = false
	c.mu.Unlock()
	if !c.replied {
		c.trouble()
	}
	if inData {
		c.closing, c.linger = true, true
	}
}
