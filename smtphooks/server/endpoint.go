package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
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
	binary    bool // BODY=BINARYMIME is taken
	auth      authentication
	lifespan  time.Duration // of a connection; 0 means for ever
	networks  smtphooks.Networks
	hosts     []smtphooks.NetworkHost
	found     map[string]smtphooks.Networks // of the hosts, by name
	tlsConfig atomic.Pointer[tls.Config]
	tally     *tally
}

// tally counts the connections of a server. After a reload its successor goes on
// counting: the old connections are there still.
type tally struct {
	meter meter

	mu    sync.Mutex
	total int
	perIP map[netip.Addr]int
}

// newEndpoint builds what cfg describes. Predecessor is what it replaces in a
// running server, or nil.
func newEndpoint(s *Server, cfg conf.SMTPServer, predecessor *endpoint, reg *smtphooks.Registry, r *conf.Report) *endpoint {
	e := &endpoint{server: s, cfg: cfg, verbs: verbs, tally: &tally{perIP: map[netip.Addr]int{}},
		hello:    cmp.Or(cfg.Hello, s.services.Hostname),
		smtputf8: !slices.Contains(cfg.DisabledFeatures, "SMTPUTF8")}
	// RFC 3030 §4.2: without CHUNKING there is no way to send it.
	e.binary = !slices.Contains(cfg.DisabledFeatures, bodyBinary) && !slices.Contains(cfg.DisabledFeatures, "CHUNKING")
	if cfg.LMTP {
		e.verbs = lmtpVerbs
	}
	if e.hello == "" {
		e.hello = localName()
	}
	e.chain = smtphooks.Build(cfg, reg, s.services, r)
	if predecessor != nil {
		e.tally, e.found = predecessor.tally, predecessor.found
		e.chain.Inherit(predecessor.chain)
	}
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

// addHosts looks up the hosts of <authorizedAddresses>.
func (e *endpoint) addHosts(ctx context.Context) {
	found := map[string]smtphooks.Networks{}
	for _, h := range e.hosts {
		if n, ok := e.findHost(ctx, h); ok {
			found[h.Name] = n
			e.networks = append(e.networks, n...)
		}
	}
	e.found = found
}

// findHost returns the addresses of h. As in James a name that does not resolve is
// passed over; one that did before a reload keeps what it had.
func (e *endpoint) findHost(ctx context.Context, h smtphooks.NetworkHost) (smtphooks.Networks, bool) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	n, err := h.Resolve(ctx, e.server.services.DNS)
	if err == nil {
		return n, true
	}
	n, ok := e.found[h.Name]
	e.log().WarnContext(ctx, "authorized host not found", "server", e.cfg.Name, "host", h.Name, "kept", ok, "err", err)
	return n, ok
}

// admit starts a connection, or closes it when a limit is reached.
func (e *endpoint) admit(nc net.Conn, start func(*conn)) {
	peer, perIP := remoteIP(nc), e.cfg.MaxConnectionsPerIP
	switch {
	case e.cfg.ProxyRequired, onThisMachine(nc):
		perIP = 0 // the address is not that of one client
	case !e.metered(peer):
		e.turnAway(nc)
		return
	}
	if !e.tally.enter(peer, e.cfg.MaxConnections, perIP) {
		// As in James: without a word.
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

// metered counts a connection of a client; false when they come too fast.
func (e *endpoint) metered(client netip.Addr) bool {
	n := e.cfg.Limits.ConnectionRate
	if n == 0 || e.authorized(client) || e.tally.meter.admit(client, n, time.Now()) {
		return true
	}
	e.server.count("connections_refused")
	e.log().Info("client connects too often", "server", e.cfg.Name, "client", client.String())
	return false
}

const tooOften = "421 4.7.0 Too many connections from your address, try again later\r\n"

// turnAway tells a client that it connects too often. The socket is new: a line
// fits into its buffer, and nobody is waited for.
func (e *endpoint) turnAway(nc net.Conn) {
	if e.cfg.TLS == nil || !e.cfg.TLS.Implicit {
		_ = nc.SetWriteDeadline(time.Now().Add(time.Millisecond))
		_, _ = io.WriteString(nc, tooOften)
	}
	_ = nc.Close()
}

// onThisMachine reports whether the other side has opened a socket in the file system.
func onThisMachine(nc net.Conn) bool {
	_, ok := nc.(*net.UnixConn)
	return ok
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

// enter counts a connection, unless that would exceed a limit; 0 is none.
func (t *tally) enter(ip netip.Addr, max, maxPerIP int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if max > 0 && t.total >= max || maxPerIP > 0 && t.perIP[ip] >= maxPerIP {
		return false
	}
	t.total++
	t.perIP[ip]++
	return true
}

// move counts a connection of a proxy for its client, unless that would exceed a
// limit; 0 is none.
func (t *tally) move(proxy, client netip.Addr, maxPerIP int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if maxPerIP > 0 && t.perIP[client] >= maxPerIP {
		return false
	}
	t.forget(proxy)
	t.perIP[client]++
	return true
}

// leave counts a connection out.
func (t *tally) leave(ip netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total--
	t.forget(ip)
}

// forget counts one connection of an address less. The caller holds mu.
func (t *tally) forget(ip netip.Addr) {
	if t.perIP[ip]--; t.perIP[ip] <= 0 {
		delete(t.perIP, ip)
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
