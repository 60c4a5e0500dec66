package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// greet does what comes before the first command: PROXY header, TLS, connect
// hooks, banner. It reports whether the conversation begins.
//
// As in James the banner is sent before the PROXY header has been read, unless
// it is needed earlier: by a connect hook, or because TLS begins behind it.
func (c *conn) greet(ctx context.Context) bool {
	implicit := c.e.cfg.TLS != nil && c.e.cfg.TLS.Implicit
	if c.proxyNeeded && implicit && c.e.cfg.ProxyFirst && !c.proxyHeader(ctx) {
		return false
	}
	if implicit && !c.handshake(ctx) {
		return false
	}
	if c.proxyNeeded && c.e.chain.HasConnect() && !c.proxyHeader(ctx) {
		return false
	}
	if d := c.e.chain.Connect(ctx, c.s); d.Refuses() {
		c.decide(d)
		c.closing = true
		return false
	}
	c.reply(220, "", c.e.banner())
	return !c.proxyNeeded || c.proxyHeader(ctx)
}

// proxyHeader reads the PROXY header, in whose name the client speaks from then
// on.
func (c *conn) proxyHeader(ctx context.Context) bool {
	c.proxyNeeded = false
	c.deadline = time.Now().Add(proxyTimeout)
	defer func() { c.deadline = time.Time{} }()
	br := bufio.NewReaderSize(reader{c}, 1<<10)
	ip, err := readProxy(br)
	if err != nil {
		if errors.Is(err, errStopping) {
			c.sayGoodbye()
			return false
		}
		c.e.log().WarnContext(ctx, "PROXY header refused", "client", c.peer.String(), "err", err)
		c.trouble()
		c.linger = true
		return false
	}
	rest, _ := br.Peek(br.Buffered())
	c.in.unread(rest)
	c.s.RemoteAddr = ip
	c.refresh()
	if !c.e.metered(ip) || !c.counted(ip) {
		c.reply(421, "4.7.0", "Too many connections from your address, try again later")
		c.linger = true
		return false
	}
	return true
}

// counted counts the connection for the client behind the proxy; false when it has
// too many.
func (c *conn) counted(client netip.Addr) bool {
	if !c.e.tally.move(c.peer, client, c.e.cfg.MaxConnectionsPerIP) {
		c.e.server.count("connections_refused")
		c.e.log().Warn("connection limit reached", "server", c.e.cfg.Name, "client", client.String())
		return false
	}
	c.peer = client
	return true
}

// reader reads the connection through its input.
type reader struct{ c *conn }

func (r reader) Read(p []byte) (int, error) {
	in := r.c.in
	if len(in.window()) == 0 {
		if err := in.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, in.window())
	in.consume(n)
	return n, nil
}

// handshake switches to TLS. What is in the input, which only a PROXY header can
// have left there, is taken for the beginning of the handshake.
func (c *conn) handshake(ctx context.Context) bool {
	raw := c.nc
	if rest := c.in.window(); len(rest) > 0 {
		raw = &prefixed{Conn: c.nc, head: append([]byte(nil), rest...)}
		c.in.consume(len(rest))
	}
	tc := tls.Server(raw, c.e.tlsConfig.Load())
	c.mu.Lock()
	c.nc = tc
	c.mu.Unlock()
	_ = raw.SetDeadline(time.Now().Add(handshakeTimeout))
	if err := tc.HandshakeContext(ctx); err != nil {
		c.e.server.count("tls_failures")
		c.e.log().InfoContext(ctx, "TLS handshake failed", "client", c.s.RemoteAddr.String(), "err", err)
		c.out = c.out[:0]
		return false
	}
	st := tc.ConnectionState()
	c.s.TLSProtocol, c.s.TLSCipher = tlsName(st.Version), tls.CipherSuiteName(st.CipherSuite)
	c.refresh()
	return true
}

// prefixed is a connection of which some octets were read already.
type prefixed struct {
	net.Conn
	head []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.head) > 0 {
		n := copy(b, p.head)
		p.head = p.head[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// tlsName returns the JSSE name of a protocol version.
func tlsName(v uint16) string {
	switch v {
	case tls.VersionTLS10:
		return "TLSv1"
	case tls.VersionTLS11:
		return "TLSv1.1"
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS13:
		return "TLSv1.3"
	}
	return fmt.Sprintf("0x%04X", v)
}
