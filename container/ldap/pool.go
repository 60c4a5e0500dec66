package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/mailetd/mailetd/conf"
)

// Times that hold when the settings say nothing. James waits for ever then.
const (
	connectTime = 10 * time.Second
	readTime    = 30 * time.Second
	avoidTime   = 30 * time.Second // how long a host that failed comes last
)

// host is one server.
type host struct {
	addr   string
	tls    *tls.Config // nil: none
	failed time.Time   // guarded by pool.mu
}

// pool opens connections and keeps some of them.
type pool struct {
	principal, credentials           string
	connectTimeout, readTimeout, max time.Duration
	slots                            chan struct{} // one for each connection that is kept

	mu     sync.Mutex
	hosts  []*host
	idle   []*goldap.Conn // the one used last at the end
	closed bool
}

func newPool(s conf.LDAP) (*pool, error) {
	p := &pool{principal: s.Principal, credentials: s.Credentials, connectTimeout: s.ConnectionTimeout, readTimeout: s.ReadTimeout,
		max: s.MaxWaitTime, slots: make(chan struct{}, max(s.PoolSize, 1))}
	if p.connectTimeout <= 0 {
		p.connectTimeout = connectTime
	}
	if p.readTimeout <= 0 {
		p.readTimeout = readTime
	}
	// RFC 4513 §5.1.2: a name without a password would pass for nobody in
	// particular, without anybody noticing.
	if (s.Principal == "") != (s.Credentials == "") {
		return nil, errors.New("principal and credentials belong together; give both, or none")
	}
	for _, text := range s.Hosts {
		h, err := parseHost(text, s.TrustAllCerts)
		if err != nil {
			return nil, err
		}
		p.hosts = append(p.hosts, h)
	}
	if len(p.hosts) == 0 {
		return nil, errors.New("no LDAP host is given")
	}
	return p, nil
}

func parseHost(text string, trustAll bool) (*host, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return nil, fmt.Errorf("LDAP host %q: want a URL such as ldap://ldap.example.com:389", text)
	}
	port := u.Port()
	switch u.Scheme {
	case "ldap":
		if port == "" {
			port = "389"
		}
		return &host{addr: net.JoinHostPort(u.Hostname(), port)}, nil
	case "ldaps":
		if port == "" {
			port = "636"
		}
		return &host{addr: net.JoinHostPort(u.Hostname(), port),
			tls: &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12, InsecureSkipVerify: trustAll}}, nil
	default:
		return nil, fmt.Errorf("LDAP host %q: %s:// is neither ldap:// nor ldaps://", text, u.Scheme)
	}
}

// do runs op on a connection: one that is open, and if that has died a new one
// to each of the hosts until one answers.
func (p *pool) do(ctx context.Context, op func(*goldap.Conn) error) error {
	defer p.slot(ctx)()
	if c := p.take(); c != nil {
		if err := p.use(ctx, c, op); !broken(err) || ctx.Err() != nil {
			return err
		}
	}
	var errs []error
	for _, h := range p.order() {
		c, err := p.connect(ctx, h)
		if err == nil {
			if err = p.use(ctx, c, op); !broken(err) {
				return err
			}
		}
		errs = append(errs, fmt.Errorf("%s: %w", h.addr, err))
		if ctx.Err() != nil {
			break
		}
		p.mu.Lock()
		h.failed = time.Now()
		p.mu.Unlock()
	}
	return errors.Join(errs...)
}

// slot waits for a connection to be free, but not longer than maxWaitTime: then
// one more is opened, as in James. The result gives it back.
func (p *pool) slot(ctx context.Context) (release func()) {
	t := time.NewTimer(p.max)
	defer t.Stop()
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }
	default:
	}
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }
	case <-t.C:
	case <-ctx.Done():
	}
	return func() {}
}

// broken reports whether err says that the connection, or the server behind it,
// is of no more use. An answer of the server that says what is wrong with the
// question is not such an error.
func broken(err error) bool {
	var e *goldap.Error
	if err == nil || errors.Is(err, goldap.ErrSizeLimitExceeded) {
		return false
	}
	if !errors.As(err, &e) || e.ResultCode >= goldap.ErrorNetwork {
		return true
	}
	return slices.Contains([]uint16{goldap.LDAPResultBusy, goldap.LDAPResultUnavailable, goldap.LDAPResultInvalidCredentials}, e.ResultCode)
}

// order returns the hosts as configured, those that failed lately last.
func (p *pool) order() []*host {
	p.mu.Lock()
	defer p.mu.Unlock()
	var good, bad []*host
	for _, h := range p.hosts {
		if time.Since(h.failed) < avoidTime {
			bad = append(bad, h)
		} else {
			good = append(good, h)
		}
	}
	return append(good, bad...)
}

// take returns an open connection, or nil.
func (p *pool) take() *goldap.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if !c.IsClosing() {
			return c
		}
	}
	return nil
}

// use runs op and keeps the connection, or closes it when it is broken.
func (p *pool) use(ctx context.Context, c *goldap.Conn, op func(*goldap.Conn) error) error {
	err := guard(ctx, c, op)
	p.mu.Lock()
	keep := !broken(err) && !p.closed && ctx.Err() == nil && len(p.idle) < cap(p.slots)
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		_ = c.Close() // err says what there is to say
	}
	return err
}

// guard runs op, and closes the connection when ctx ends meanwhile.
func guard(ctx context.Context, c *goldap.Conn, op func(*goldap.Conn) error) error {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	err := op(c)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// connect opens a connection and says who we are.
func (p *pool) connect(ctx context.Context, h *host) (*goldap.Conn, error) {
	dialCtx, cancel := context.WithTimeout(ctx, p.connectTimeout)
	defer cancel()
	var d net.Dialer
	raw, err := d.DialContext(dialCtx, "tcp", h.addr)
	if err != nil {
		return nil, err
	}
	if h.tls != nil {
		secure := tls.Client(raw, h.tls)
		if err := secure.HandshakeContext(dialCtx); err != nil {
			_ = raw.Close()
			return nil, fmt.Errorf("TLS: %w", err)
		}
		raw = secure
	}
	c := goldap.NewConn(&timedConn{raw, p.readTimeout}, h.tls != nil)
	c.SetTimeout(p.readTimeout)
	c.Start()
	if p.principal == "" {
		return c, nil
	}
	err = guard(dialCtx, c, func(c *goldap.Conn) error { return c.Bind(p.principal, p.credentials) })
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("bind as %s: %w", p.principal, err)
	}
	return c, nil
}

func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
}

// timedConn limits how long a server may refuse to read.
type timedConn struct {
	net.Conn
	limit time.Duration
}

func (c *timedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
