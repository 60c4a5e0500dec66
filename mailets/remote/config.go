package remote

import (
	"context"
	"crypto/x509"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/metrics"
	"github.com/mailetd/mailetd/repository"
)

// Services is what deliveries need of the server.
type Services struct {
	Hostname   string // our name; an MX of this name is ourselves
	Postmaster container.Address
	DNS        dns.Resolver
	Queues     repository.Queues
	Metrics    *metrics.Set // nil counts nothing
	Log        *slog.Logger // nil logs nothing
	// Self reports whether this server itself listens for mail at an address;
	// nil knows of none. It must not block.
	Self func(netip.AddrPort) bool
	// Report puts a report (RFC 3464) about all recipients of m into out: with
	// action "delayed" or "relayed", for mails with DELIVERBY. It may note in m that
	// it did. Nil makes none.
	Report func(m *container.Mail, action string, out *container.Outbox) error
	// Roots are the authorities that remote certificates are checked against;
	// nil: those of the system.
	Roots *x509.CertPool
	// Dial opens connections; nil dials as Config says. For tests.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Config is one RemoteDelivery, see the mailet for the meaning of each field.
type Config struct {
	Queue         string
	Plan          Plan
	MaxDNSRetries int
	Threads       int // deliveries at the same time

	Timeout        time.Duration // for one command
	FinalTimeout   time.Duration // for the reply to the final dot
	ConnectTimeout time.Duration
	AttemptTimeout time.Duration // for all of an attempt, see attemptLimit

	SendPartial     bool
	BounceProcessor string
	OnSuccess       string
	UsePriority     bool

	Gateways    []Gateway
	LoadBalance bool
	Auth        *Credentials

	HeloName string
	HeloOnly bool       // never EHLO
	Bind     netip.Addr // zero: whatever the system chooses
	Port     int        // 0: 25, or 465 with ImplicitTLS

	StartTLS         bool
	StartTLSRequired bool
	ImplicitTLS      bool
	VerifyIdentity   bool
	TrustAll         bool     // any certificate
	TrustHosts       []string // any certificate of these hosts
	Debug            bool     // log the conversation at level info
}

// Credentials is what a gateway asks for.
type Credentials struct{ User, Password string }

// Defaults of James, and ours where James has no limit.
const (
	DefaultTimeout        = 180 * time.Second
	DefaultConnectTimeout = 60 * time.Second
	DefaultThreads        = 50
	// A host that accepts a message late must not get it twice: RFC 5321
	// §4.5.3.2.6 asks to wait ten minutes for the last reply.
	DefaultFinalTimeout = 10 * time.Minute
	// Long enough for hosts that make strangers wait.
	DefaultAttemptTimeout = 20 * time.Minute
)

// Gateway is a host that takes all mail. Port 0 is the default port.
type Gateway struct {
	Host string
	Port int
}

// ParseGateway reads host, host:port, an IPv6 address, [address] or
// [address]:port. port is used when the text has none.
func ParseGateway(s, port string) (Gateway, error) {
	host := strings.TrimSpace(s)
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "[" + host + "]"
	}
	if h, p, err := net.SplitHostPort(host); err == nil {
		host, port = h, p
	}
	host = strings.TrimSuffix(strings.TrimPrefix(strings.Trim(host, "[]"), "IPv6:"), ".")
	if host == "" || strings.ContainsAny(host, " \t\r\n@/[]") {
		return Gateway{}, fmt.Errorf("%q is not a gateway: want host, host:port or [address]:port", s)
	}
	if port = strings.TrimSpace(port); port == "" {
		return Gateway{Host: host}, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return Gateway{}, fmt.Errorf("gateway %q: %q is not a port", s, port)
	}
	return Gateway{Host: host, Port: int(n)}, nil
}

// String returns host or host:port.
func (g Gateway) String() string {
	if g.Port == 0 {
		return g.Host
	}
	return net.JoinHostPort(g.Host, strconv.Itoa(g.Port))
}

// withDefaults fills in what is zero and must not be.
func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.FinalTimeout <= 0 {
		c.FinalTimeout = DefaultFinalTimeout
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = DefaultConnectTimeout
	}
	if c.AttemptTimeout <= 0 {
		c.AttemptTimeout = max(DefaultAttemptTimeout, 4*c.Timeout)
	}
	if c.Threads <= 0 {
		c.Threads = DefaultThreads
	}
	if c.HeloName == "" {
		c.HeloName = "localhost"
	}
	return c
}

// port returns where hosts are contacted unless they say otherwise.
func (c *Config) port() int {
	switch {
	case c.Port != 0:
		return c.Port
	case c.ImplicitTLS:
		return 465
	default:
		return 25
	}
}

// gatewayList returns the gateways as text, "" without any.
func (c *Config) gatewayList() string {
	names := make([]string, len(c.Gateways))
	for i, g := range c.Gateways {
		names[i] = g.String()
	}
	return strings.Join(names, ",")
}

// key tells this configuration from others of the same queue. It depends on
// all that shows in a delivery, not on passwords, and stays the same over
// restarts.
func (c Config) key() string {
	if c.Auth != nil {
		c.Auth = nil
		c.HeloName += " auth"
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%+v", c)
	return fmt.Sprintf("%08x", h.Sum32())
}

// The text before the gateway list in a destination.
const gatewayPrefix = "gateway:"

// Destination returns what the queue groups an item by: the domain, or the set
// of gateways; and behind # which of the instances of the queue it belongs to.
func (in *Instance) Destination(domain string) string {
	if len(in.cfg.Gateways) > 0 {
		return gatewayPrefix + in.cfg.gatewayList() + "#" + in.id
	}
	return strings.ToLower(domain) + "#" + in.id
}

// splitDestination is the reverse of Destination. A text without # is a domain,
// or nothing.
func splitDestination(dest string) (place, id string) {
	if i := strings.LastIndexByte(dest, '#'); i >= 0 {
		return dest[:i], dest[i+1:]
	}
	return dest, ""
}
