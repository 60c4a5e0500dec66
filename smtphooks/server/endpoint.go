package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/smtphooks"
)

// endpoint is one <smtpserver> or <lmtpserver>: its ports, its chain, its limits.
type endpoint struct {
	server    *Server
	cfg       conf.SMTPServer
	verbs     map[string]func(*conn, context.Context, string)
	chain     *smtphooks.Chain
	hello     string
	smtputf8  bool
	auth      authentication
	lifespan  time.Duration // of a connection; 0 means for ever
	networks  smtphooks.Networks
	hosts     []smtphooks.NetworkHost
	tlsConfig atomic.Pointer[tls.Config]
	listeners []net.Listener

	mu    sync.Mutex
	total int
	perIP map[netip.Addr]int
}

func newEndpoint(s *Server, cfg conf.SMTPServer, reg *smtphooks.Registry, r *conf.Report) *endpoint {
	e := &endpoint{server: s, cfg: cfg, verbs: verbs, perIP: map[netip.Addr]int{},
		hello:    cmp.Or(cfg.Hello, s.services.Hostname),
		smtputf8: !slices.Contains(cfg.DisabledFeatures, "SMTPUTF8")}
	if cfg.LMTP {
		e.verbs = lmtpVerbs
	}
	if e.hello == "" {
		e.hello = localName()
	}
	e.chain = smtphooks.Build(cfg, reg, s.services, r)
	e.lifespan = e.chain.Lifespan()
	e.auth = newAuthentication(cfg.Auth, e.chain)
	for _, word := range cfg.AuthorizedAddresses.Words {
		n, h, err := smtphooks.ParseNetwork(word)
		if err != nil {
			r.Errorf(cfg.AuthorizedAddresses.Pos, "<authorizedAddresses>: %v", err)
			continue
		}
		e.networks = append(e.networks, n...)
		if h != nil {
			e.hosts = append(e.hosts, *h)
		}
	}
	e.setUpTLS(r)
	return e
}

func (e *endpoint) log() *slog.Logger { return e.server.services.Log }

func (e *endpoint) banner() string {
	if e.cfg.Greeting != "" {
		return e.cfg.Greeting
	}
	if e.cfg.LMTP {
		return e.hello + " LMTP Server (" + lmtpSoftware + ") ready"
	}
	return e.hello + " JAMES SMTP Server Server (JAMES SMTP Server ) ready" // sic
}

// authorized reports whether ip is in <authorizedAddresses>.
func (e *endpoint) authorized(ip netip.Addr) bool { return e.networks.Contains(ip) }

// announces reports whether AUTH is offered.
func (e *endpoint) announces(authorized, encrypted bool) bool {
	a := e.cfg.Auth
	if !e.chain.HasAuth() || len(e.auth.mechanisms) == 0 || a.RequireSSL && !encrypted {
		return false
	}
	return a.Announce == conf.AnnounceAlways || a.Announce == conf.AnnounceForUnauthorized && !authorized
}

// lookupTimeout bounds each lookup of an authorized host at start.
const lookupTimeout = 5 * time.Second

// listen looks up the hosts of <authorizedAddresses> and opens the ports.
func (e *endpoint) listen(ctx context.Context) error {
	for _, h := range e.hosts {
		e.addHost(ctx, h)
	}
	for _, addr := range e.cfg.Bind {
		l, err := open(ctx, addr)
		if err != nil {
			return fmt.Errorf("listen for %s: %w", e.cfg.Name, err)
		}
		e.listeners = append(e.listeners, l)
	}
	return nil
}

// addHost authorizes the addresses of h. As in James a name that does not
// resolve is passed over.
func (e *endpoint) addHost(ctx context.Context, h smtphooks.NetworkHost) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	n, err := h.Resolve(ctx, e.server.services.DNS)
	if err != nil {
		e.log().WarnContext(ctx, "authorized host passed over", "server", e.cfg.Name, "host", h.Name, "err", err)
		return
	}
	e.networks = append(e.networks, n...)
}

func (e *endpoint) closeListeners() {
	for _, l := range e.listeners {
		_ = l.Close() // a listener that is closed already is as good
	}
}

// accept admits connections until ctx is done.
func (e *endpoint) accept(ctx context.Context, l net.Listener, start func(*conn)) error {
	pause := time.Duration(0)
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			e.admit(nc, start)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept for %s: %w", e.cfg.Name, err)
		default:
			// Out of file descriptors, most likely: wait for some to come back.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			e.log().ErrorContext(ctx, "connection not accepted", "server", e.cfg.Name, "err", err)
			e.sleep(ctx, pause)
		}
	}
}

func (e *endpoint) sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// admit starts a connection, or closes it without a word when a limit is
// reached.
func (e *endpoint) admit(nc net.Conn, start func(*conn)) {
	peer := remoteIP(nc)
	if !e.enter(peer) {
		e.server.count("connections_refused")
		e.log().Warn("connection limit reached", "server", e.cfg.Name, "client", peer.String())
		_ = nc.Close()
		return
	}
	e.server.count("connections")
	c := newConn(e, nc, peer)
	e.server.mu.Lock()
	e.server.conns[c] = struct{}{}
	e.server.mu.Unlock()
	start(c)
}

func remoteIP(nc net.Conn) netip.Addr {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	if _, ok := nc.(*net.UnixConn); ok {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}) // who can open the socket is on this machine
	}
	return netip.IPv4Unspecified()
}

// enter counts a connection, unless that would exceed a limit.
func (e *endpoint) enter(ip netip.Addr) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := e.cfg.MaxConnections; n > 0 && e.total >= n {
		return false
	}
	if n := e.cfg.MaxConnectionsPerIP; n > 0 && e.perIP[ip] >= n {
		return false
	}
	e.total++
	e.perIP[ip]++
	return true
}

// leave counts a connection out.
func (e *endpoint) leave(ip netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total--
	if e.perIP[ip]--; e.perIP[ip] <= 0 {
		delete(e.perIP, ip)
	}
}

// refused logs and counts what a hook refused.
func (e *endpoint) refused(ctx context.Context, c *conn, verb, addr string, d smtphooks.Decision) {
	code, _, text := d.Reply()
	msg, key := "sender refused", "from"
	if verb == "RCPT" {
		msg, key = "recipient refused", "to"
		e.server.count("recipients_refused")
	} else {
		e.server.count("mails_refused")
	}
	e.log().InfoContext(ctx, msg, slog.String("client", c.s.RemoteAddr.String()), slog.String("hello", c.s.Helo),
		slog.String("user", c.s.User), slog.String(key, addr), slog.Int("code", code), slog.String("reply", text))
}
