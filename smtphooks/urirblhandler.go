package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// URIRBLHandler refuses messages that speak of a domain which is in a DNS
// blacklist of domains (RFC 5782 §2.2), such as multi.surbl.org.
//
//	<handler class="org.apache.james.smtpserver.fastfail.URIRBLHandler">
//	  <uriRblServers>
//	    <server>multi.surbl.org</server>
//	    <server>dbl.spamhaus.org</server>
//	  </uriRblServers>
//	  <getDetail>false</getDetail>
//	</handler>
//
// The text parts, plain and HTML, are searched for URIs (http, https, ftp), for
// names that begin with www. or ftp., and for mail addresses, those of mailto
// included. Of each host the registered domain is looked up, of an IPv4 address
// its octets in reverse order. The reply is "554 5.7.0 Rejected: message contains
// domain {domain} listed by {server}". A list that does not answer counts as one
// that does not have the domain. At most 50 domains of the first 256 KiB of text
// are looked up, for at most 10 seconds.
//
// Parameters:
//
//   - uriRblServers.server (repeatable, at least one): the zone of a list.
//   - getDetail (default false): whether the reply ends with the TXT record of the
//     list.
//
// Differs from James: registered domains are found with the Public Suffix List; an
// answer outside 127.0.0.0/8 is no listing, nor is one in 127.255.255.0/24; the
// search has limits; the reply shows the server as it is, without Optional around
// it.
type URIRBLHandler struct {
	s       Services
	servers []string
	detail  bool
}

// Limits of what is looked at.
const (
	maxURIText    = 256 << 10
	maxURIDomains = 50
)

func newURIRBL(p *conf.Params, s Services) any {
	h := &URIRBLHandler{s: s, servers: zones(p, "uriRblServers.server"), detail: p.Bool("getDetail", false)}
	if len(h.servers) == 0 {
		p.Fail("", errors.New("please provide at least one server"))
	}
	return h
}

// Message implements MessageHook.
func (h *URIRBLHandler) Message(ctx context.Context, _ *Session, m *container.Mail) Decision {
	found, err := uriDomains(&m.Message)
	if err != nil {
		h.s.Log.WarnContext(ctx, "message not searched to its end", "err", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	for _, domain := range found {
		for _, server := range h.servers {
			name := domain + "." + server
			ok, err := listed(ctx, h.s.DNS, name)
			if err != nil {
				h.s.Log.WarnContext(ctx, "list gives no answer; taken as not listed", "name", name, "err", err)
			}
			if !ok {
				continue
			}
			text := fmt.Sprintf("Rejected: message contains domain %s listed by %s", domain, server)
			if detail := listDetail(ctx, h.s.DNS, name, h.detail); detail != "" {
				text += " . Details: " + detail
			}
			return Refuse(554, "5.7.0", text)
		}
	}
	return Decision{}
}

// uriDomains returns the registered domains that the text of a message speaks of,
// also when it cannot be read to its end.
func uriDomains(m *container.Message) ([]string, error) {
	root, err := mime.Scan(m, mime.Limits{})
	if err != nil {
		return nil, err
	}
	var out []string
	seen, left := map[string]bool{}, maxURIText
	for part := range root.Leaves() {
		if part.MediaType != "text/plain" && part.MediaType != "text/html" {
			continue
		}
		text, partErr := part.Beginning(m.Body(), int64(left))
		if partErr != nil {
			err = partErr
			continue
		}
		left -= len(text)
		uriHosts(strings.ToLower(text), func(host string) {
			if d := registered(host); d != "" && !seen[d] && len(out) < maxURIDomains {
				seen[d] = true
				out = append(out, d)
			}
		})
		if left <= 0 || len(out) >= maxURIDomains {
			break
		}
	}
	return out, err
}

// uriHosts finds the hosts in a text in lower case.
func uriHosts(text string, found func(host string)) {
	for _, scheme := range []string{"http://", "https://", "ftp://"} {
		for rest := text; ; {
			i := strings.Index(rest, scheme)
			if i < 0 {
				break
			}
			rest = rest[i+len(scheme):]
			authority := rest[:len(rest)-len(strings.TrimLeftFunc(rest, inAuthority))]
			found(hostRun(authority[strings.LastIndexByte(authority, '@')+1:]))
		}
	}
	for _, prefix := range []string{"www.", "ftp.", "@"} {
		for at := 0; ; {
			i := strings.Index(text[at:], prefix)
			if i < 0 {
				break
			}
			at += i
			if prefix == "@" {
				found(hostRun(text[at+1:]))
			} else if at == 0 || !inHost(rune(text[at-1])) {
				found(hostRun(text[at:]))
			}
			at += len(prefix)
		}
	}
}

// inAuthority reports whether r can stand between the slashes of a URI.
func inAuthority(r rune) bool { return r > ' ' && r < 0x7f && !strings.ContainsRune(`/?#"'<>()[]\`, r) }

func inHost(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'
}

// maxHost bounds a host name.
const maxHost = 253

// hostRun returns the host name that text begins with.
func hostRun(text string) string {
	n := 0
	for n < len(text) && n <= maxHost && inHost(rune(text[n])) {
		n++
	}
	return strings.Trim(text[:n], ".-_")
}

// registered returns the registered domain of a host, the reversed octets of an
// IPv4 address, or "".
func registered(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		if !ip.Is4() {
			return ""
		}
		return strings.TrimSuffix(reversed(ip), ".")
	}
	if _, err := container.ParseDomain(host); err != nil {
		return ""
	}
	d, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return ""
	}
	return d
}
