package conf

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// DNSService is dnsservice.xml, checked.
type DNSService struct {
	Pos              Pos
	Servers          []string      // host:port, in the order of the file
	Autodiscover     bool          // the name servers and search domains of this machine, too
	Authoritative    bool          // take authoritative answers only
	MaxCacheSize     int           // answers remembered
	NegativeCacheTTL time.Duration // of "no such name"; negative: as the answer says
	SingleIPPerMX    bool          // use one address per MX host
	SearchPaths      []string
	Verbose          bool // log queries
}

// DNSService reads dnsservice.xml. Unlike in James a server may have a port.
//
// Source: DNSJavaService.configure.
func (d *Dir) DNSService() DNSService {
	f := d.XML("dnsservice.xml")
	in := section{f, f.Root, d.report}.root("dnsservice")
	in.known("servers", "autodiscover", "authoritative", "maxcachesize", "negativeCacheTTL", "singleIPperMX", "searchpaths",
		"verbose", "setAsDNSJavaDefault")
	s := DNSService{
		Pos:              in.pos(""),
		Autodiscover:     in.boolean("autodiscover", true),
		Authoritative:    in.boolean("authoritative", false),
		MaxCacheSize:     in.integer("maxcachesize", 50_000, 0),
		NegativeCacheTTL: time.Duration(in.integer("negativeCacheTTL", -1, -1)) * time.Second,
		SingleIPPerMX:    in.boolean("singleIPperMX", false),
		Verbose:          in.boolean("verbose", false),
	}
	for _, w := range in.list("servers", "server") {
		server, ok := serverAddress(w.text)
		if !ok {
			d.report.Errorf(w.pos, "<server> is %q; want an IP address, such as 192.0.2.53 or [2001:db8::53]:53", w.text)
			continue
		}
		s.Servers = append(s.Servers, server)
	}
	for _, w := range in.list("searchpaths", "searchpath") {
		if !isDomain(strings.TrimSuffix(w.text, ".")) {
			d.report.Errorf(w.pos, "<searchpath> is %q, which is not a domain name", w.text)
			continue
		}
		s.SearchPaths = append(s.SearchPaths, w.text)
	}
	s.warnUnheeded(in)
	return s
}

// warnUnheeded tells of settings that the resolver does not follow.
func (s DNSService) warnUnheeded(in section) {
	for _, u := range []struct {
		set       bool
		name, why string
	}{
		{s.Authoritative, "authoritative", "answers of caching resolvers are taken, too"},
		{s.SingleIPPerMX, "singleIPperMX", "all addresses of a host are tried"},
		{len(s.SearchPaths) > 0, "searchpaths", "names of mail domains are complete"},
		{s.Verbose, "verbose", "queries are not logged"},
	} {
		if u.set {
			in.r.Warnf(in.pos(u.name), "<%s> has no effect here: %s", u.name, u.why)
		}
	}
}

// serverAddress adds port 53 to an address that has none.
func serverAddress(s string) (string, bool) {
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return net.JoinHostPort(ip.String(), "53"), true
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", false
	}
	ip, err := netip.ParseAddr(host)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || n == 0 {
		return "", false
	}
	return net.JoinHostPort(ip.String(), strconv.FormatUint(n, 10)), true
}
