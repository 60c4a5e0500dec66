package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
)

// lmtpPort is the one that Dovecot and Cyrus listen on.
const lmtpPort = "24"

// LMTPConfig is one LMTP server and how to speak with it.
type LMTPConfig struct {
	Address string // host, host:port, [address]:port, or the path of a socket
	Hello   string // our name
	// Timeout bounds one delivery as a whole, ConnectTimeout the connection.
	Timeout, ConnectTimeout time.Duration
	Debug                   bool         // log the conversation at level info
	Log                     *slog.Logger // nil logs nothing
}

// LMTP delivers to a server that speaks LMTP (RFC 2033): SMTP without a queue, in
// which each recipient gets a reply of its own after the message. It is safe for
// concurrent use; each delivery has a connection of its own.
type LMTP struct {
	in      *Instance
	network string
	addr    string
	host    string // for outcomes
	near    bool   // the socket of a machine, which needs no TLS
}

// NewLMTP returns the client of a server. It opens nothing.
func NewLMTP(c LMTPConfig) (*LMTP, error) {
	l := &LMTP{network: "unix", near: true}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	l.in = &Instance{log: c.Log, services: &Services{Log: c.Log}, cfg: Config{
		HeloName: c.Hello, Timeout: c.Timeout, FinalTimeout: c.Timeout, ConnectTimeout: c.ConnectTimeout,
		SendPartial: true, Debug: c.Debug}}
	if l.addr = strings.TrimPrefix(c.Address, "unix:"); strings.HasPrefix(l.addr, "/") {
		l.host = "localhost" // reports may show it to strangers, unlike a path
		return l, nil
	}
	g, err := ParseGateway(c.Address, lmtpPort)
	if err != nil {
		return nil, fmt.Errorf("%q is no LMTP server: want host:port or the path of a socket", c.Address)
	}
	l.network, l.addr, l.host = "tcp", g.String(), g.Host
	ip, err := netip.ParseAddr(g.Host)
	l.near = g.Host == "localhost" || err == nil && ip.IsLoopback()
	return l, nil
}

// Deliver delivers m to rcpts, some of its recipients, and returns an outcome for
// each, in order. It takes no longer than the timeout.
func (l *LMTP) Deliver(ctx context.Context, m *container.Mail, rcpts []container.Address) []container.Outcome {
	ctx, cancel := context.WithTimeout(ctx, l.in.cfg.Timeout)
	defer cancel()
	s := &lmtpSession{l: l, a: &attempt{in: l.in, env: newEnvelope(m), rcpts: make([]rcpt, len(rcpts))}}
	s.a.env.by.final = true
	for i, r := range rcpts {
		s.a.rcpts[i].addr = r
	}
	if l.near {
		// RFC 8689 §4.2 is about relaying; here the mail is where it should be.
		s.a.env.requireTLS = false
	}
	if err := s.run(ctx); err != nil {
		s.fail(err)
	}
	out := make([]container.Outcome, len(rcpts))
	for i := range s.a.rcpts {
		out[i] = s.a.rcpts[i].outcome
		if l.network == "unix" {
			out[i].Addr = ""
		}
	}
	return out
}

// lmtpSession is one connection for one mail.
type lmtpSession struct {
	l *LMTP
	a *attempt
	c *conn // nil until there is one
}

// run does all of it. An error concerns the recipients that have no outcome.
func (s *lmtpSession) run(ctx context.Context) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	stop := s.c.watch(ctx)
	defer stop()
	if err := s.hello(ctx); err != nil {
		s.c.close()
		return err
	}
	t := &transaction{a: s.a, c: s.c, todo: s.a.open()}
	if at, err := t.envelope(ctx); err != nil {
		s.c.close()
		return &stageError{at, err}
	}
	for _, i := range t.later {
		t.record(i, verdict{code: 452, status: "4.5.3", text: "too many recipients"})
	}
	if len(t.accepted) == 0 {
		if t.abandon(ctx) {
			s.c.quit()
		} else {
			s.c.close()
		}
		return nil
	}
	if err := s.message(ctx, t); err != nil {
		s.c.close()
		return err
	}
	s.c.quit()
	return nil
}

func (s *lmtpSession) connect(ctx context.Context) error {
	d := net.Dialer{Timeout: s.l.in.cfg.ConnectTimeout}
	raw, err := d.DialContext(ctx, s.l.network, s.l.addr)
	if err != nil {
		return &stageError{stageConnect, err}
	}
	s.c = &conn{raw: raw, nc: raw, in: s.l.in, host: s.l.host}
	s.c.r, s.c.w = bufio.NewReaderSize(raw, maxReplyLine), bufio.NewWriterSize(raw, writeBuffer)
	if a, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		s.c.addr = a.AddrPort()
	}
	return nil
}

// hello reads the greeting and says LHLO (RFC 2033 §4.1).
func (s *lmtpSession) hello(ctx context.Context) error {
	s.c.arm(ctx, s.l.in.cfg.Timeout)
	rep, err := s.c.read()
	if err == nil && rep.code != 220 {
		err = rep.err()
	}
	if err != nil {
		return &stageError{stageGreeting, err}
	}
	rep, err = s.c.command(ctx, "LHLO "+s.l.in.cfg.HeloName)
	if err == nil && !rep.ok() {
		// Another protocol is spoken there, or nobody wants us: not the fault of
		// the mail, which waits.
		err = &cause{status: "4.3.5", code: rep.code, text: "LHLO was refused: " + rep.text}
	}
	if err != nil {
		return &stageError{stageHello, err}
	}
	s.c.ext = parseExtensions(rep.text)
	return nil
}

// message sends DATA and the message, and reads a reply for each recipient that
// was accepted (RFC 2033 §4.2).
func (s *lmtpSession) message(ctx context.Context, t *transaction) error {
	if at, err := t.command(ctx); err != nil {
		return &stageError{at, err}
	}
	rep, err := t.send(ctx)
	for n, i := range t.accepted {
		if n > 0 {
			s.c.arm(ctx, s.l.in.cfg.Timeout)
			rep, err = s.c.read()
		}
		var se *stageError
		switch {
		case errors.As(err, &se):
			return err
		case err != nil:
			return &stageError{stageEnd, err}
		case rep.ok():
			s.delivered(i, rep)
		default:
			t.record(i, judge(stageEnd, rep.err()))
		}
	}
	s.c.dirty = false
	return nil
}

// delivered notes that the message is in the mailbox of one recipient.
func (s *lmtpSession) delivered(i int, rep reply) {
	o := container.Outcome{Result: container.Delivered, Code: rep.code, Enhanced: rep.enhanced, Text: rep.text}
	if o.Enhanced == "" {
		o.Enhanced = "2.0.0"
	}
	s.c.sign(&o)
	s.a.note(i, false, o, s.c.relay())
}

// fail notes err for the recipients that have no outcome yet. What happened to
// the connection is never their fault.
func (s *lmtpSession) fail(err error) {
	at := stageConnect
	var se *stageError
	if errors.As(err, &se) {
		at, err = se.at, se.err
	}
	var oe *net.OpError
	if errors.As(err, &oe) {
		err = oe.Err // without addresses and paths
	}
	o := judge(at, err).outcome()
	o.Host = s.l.host
	if s.c != nil {
		s.c.sign(&o)
	}
	for i := range s.a.rcpts {
		if !s.a.rcpts[i].known {
			s.a.note(i, false, o, s.l.host)
		}
	}
}
