package conf

import (
	"net"
	"net/mail"
	"net/url"
	"strings"
)

// ACME is <tls><acme>, which James does not have: certificates are obtained, and
// renewed in time, from an authority that speaks RFC 8555.
type ACME struct {
	Pos       Pos
	Domains   []string // of the certificates; the first serves clients that name none
	Email     string   // for the account; may be ""
	Directory string   // URL of the authority
	Challenge string   // ACMEHTTP or ACMETLS
	Host      string   // on which the challenge is answered; "" means all addresses
	Port      int
}

// Values of <challenge>.
const (
	ACMEHTTP = "http-01"
	ACMETLS  = "tls-alpn-01" // RFC 8737
)

const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// acme reads <acme>.
func (in smtpElem) acme() *ACME {
	e := in.e.SelectElement("acme")
	if e == nil {
		return nil
	}
	c := smtpElem{in.f, e, in.r}
	c.warnUnknown([]string{"domains", "email", "directory", "challenge", "address"})
	a := &ACME{Pos: in.f.Pos(e), Email: c.str("email", ""), Directory: c.str("directory", letsEncrypt), Challenge: c.str("challenge", ACMEHTTP)}
	for _, d := range strings.FieldsFunc(c.str("domains", ""), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\r' || r == '\n' }) {
		if !strings.Contains(d, ".") || strings.ContainsAny(d, "*/:@") || net.ParseIP(d) != nil {
			in.r.Errorf(c.pos("domains"), "<domains>: %q is not the name of a host; want such as mx.example.org", d)
			continue
		}
		a.Domains = append(a.Domains, strings.ToLower(strings.TrimSuffix(d, ".")))
	}
	if c.str("domains", "") == "" {
		in.r.Errorf(a.Pos, "<acme> needs <domains>: the names of this server that the certificate is for")
	}
	if m, err := mail.ParseAddress(a.Email); a.Email != "" && (err != nil || m.Address != a.Email) {
		in.r.Errorf(c.pos("email"), "<email> is %q; want an address such as hostmaster@example.org", a.Email)
	}
	u, err := url.Parse(a.Directory)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopbackHost(u.Hostname())) {
		in.r.Errorf(c.pos("directory"), "<directory> is %q; want the https URL of an ACME directory", a.Directory)
	}
	def := ":80"
	switch a.Challenge {
	case ACMEHTTP:
	case ACMETLS:
		def = ":443"
	default:
		in.r.Errorf(c.pos("challenge"), "<challenge> is %q; want %s or %s", a.Challenge, ACMEHTTP, ACMETLS)
	}
	a.Host, a.Port = c.listenAddress("address", def)
	return a
}

// listenAddress reads one address and port.
func (in smtpElem) listenAddress(name, def string) (host string, port int) {
	v := in.str(name, def)
	if addr, ok := bindAddress(v); ok {
		host, text, _ := net.SplitHostPort(addr)
		if n, err := net.LookupPort("tcp", text); err == nil && n > 0 {
			return host, n
		}
	}
	in.r.Errorf(in.pos(name), "<%s> is %q; want address:port, such as 0.0.0.0%s", name, v, def)
	return "", 0
}

func isLoopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
