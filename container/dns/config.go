package dns

import (
	"bufio"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Config is what dnsservice.xml says. The zero value asks the servers of the
// system, with the default limits.
type Config struct {
	// Servers are IP addresses, with an optional port. None: SystemServers.
	Servers []string
	// Timeout bounds one query to one server; 0 means 3 s.
	Timeout time.Duration
	// Total bounds a whole lookup, all servers and aliases included; 0 means 20 s.
	Total time.Duration
	// CacheSize is the number of answers kept; 0 means 50000, negative none.
	CacheSize int
	// NegativeTTL is how long it is remembered that a record is missing; 0 means
	// as long as the zone says (RFC 2308).
	NegativeTTL time.Duration
	// Now is the clock of the cache; nil means time.Now.
	Now func() time.Time
}

// Limits of what is believed about the life of an answer.
const (
	maxTTL         = 24 * time.Hour
	maxNegativeTTL = time.Hour
	defaultTimeout = 3 * time.Second
	defaultTotal   = 20 * time.Second
	defaultCache   = 50000
)

func (c Config) withDefaults() Config {
	if len(c.Servers) == 0 {
		c.Servers = SystemServers()
	}
	servers := make([]string, len(c.Servers))
	for i, s := range c.Servers {
		servers[i] = serverAddress(s)
	}
	c.Servers = servers
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Total <= 0 {
		c.Total = defaultTotal
	}
	if c.CacheSize == 0 {
		c.CacheSize = defaultCache
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// serverAddress adds port 53 to an address without port.
func serverAddress(s string) string {
	s = strings.TrimSpace(s)
	if _, _, err := net.SplitHostPort(s); err == nil {
		return s
	}
	return net.JoinHostPort(strings.Trim(s, "[]"), "53")
}

// SystemServers returns the name servers of /etc/resolv.conf, and 127.0.0.1
// when it names none or cannot be read. Search domains are ignored: names in
// mail are absolute.
func SystemServers() []string { return serversIn("/etc/resolv.conf") }

func serversIn(path string) []string {
	local := []string{"127.0.0.1"}
	f, err := os.Open(path)
	if err != nil {
		return local
	}
	defer f.Close()
	var out []string
	for sc := bufio.NewScanner(f); sc.Scan(); {
		words := strings.Fields(sc.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if ip, err := netip.ParseAddr(words[1]); err == nil {
			out = append(out, ip.String())
		}
	}
	if len(out) == 0 {
		return local
	}
	return out
}
