package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// WebadminServer is webadmin.properties, checked.
//
// Source: org.apache.james.modules.server.WebAdminServerModule.
type WebadminServer struct {
	Enabled bool
	Host    string // address to listen on; "0.0.0.0" for all
	Port    int    // 0: chosen by the kernel

	// Secrets. Those in Passwords may do everything, those in ReadOnly only GET
	// and HEAD, those in NoDelete everything but DELETE.
	Passwords, ReadOnly, NoDelete []string
	// GeneratePassword asks for a random password when there is neither a
	// password nor JWT.
	GeneratePassword bool

	JWT     bool
	JWTKeys string // URL of the public keys in PEM

	HTTPS            bool
	Keystore         string // URL of a JKS or PKCS #12 file; with it Certificates and PrivateKey are ""
	KeystorePassword string
	Certificates     string // URL of the certificate chain in PEM
	PrivateKey       string // URL of the private key in PEM
	// Truststore is the URL of a JKS or PKCS #12 file. It has to be readable; as
	// in James no client is asked for a certificate.
	Truststore, TruststorePassword string
	// KeystorePos and TruststorePos tell where Keystore and Truststore are named.
	KeystorePos, TruststorePos Pos

	CORSOrigin string // value of Access-Control-Allow-Origin
	// CORSTrusted tells that the operator asked for CORS: pages of CORSOrigin, "*"
	// for all, may use an API that asks for no password.
	CORSTrusted bool

	Metrics bool // GET /metrics
}

// Webadmin reads webadmin.properties. The manual's spellings jwt.enable and
// https.enable are taken for jwt.enabled and https.enabled. Keys that nothing
// reads are warnings.
func Webadmin(p *Properties, r *Report) WebadminServer {
	w := WebadminServer{
		Enabled:   p.Bool("enabled", false),
		Host:      p.String("host", "localhost"),
		Port:      webadminPort(p),
		Passwords: webadminSecrets(p, "password"),
		ReadOnly:  webadminSecrets(p, "password.readonly"),
		NoDelete:  webadminSecrets(p, "password.nodelete"),
		// James: true. Without a password on loopback the published curl calls work.
		GeneratePassword: p.Bool("password.generate", false),
		JWT:              p.Bool("jwt.enabled", p.Bool("jwt.enable", false)),
		JWTKeys:          p.String("jwt.publickeypem.url", ""),
		HTTPS:            p.Bool("https.enabled", p.Bool("https.enable", false)),
		Certificates:     p.String("https.certificates", ""),
		PrivateKey:       p.String("https.privateKey", ""),
		CORSOrigin:       p.String("cors.origin", "*"),
		CORSTrusted:      p.Bool("cors.enable", p.Has("cors.origin")),
		Metrics:          webadminMetrics(p),
	}
	if !p.Has("password.generate") {
		w.GeneratePassword = !isLoopback(w.Host)
	}
	for _, k := range []string{"minThreadCount", "maxThreadCount", "https.keystore", "https.password", "https.trust.keystore", "https.trust.password"} {
		p.Raw(k)
	}
	if w.HTTPS {
		w.readKeystores(p)
	}
	if w.Enabled {
		w.check(p, r)
	}
	p.Close()
	return w
}

// isLoopback reports whether a server listening on host is reached from this
// machine alone.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}

// webadminPort returns the port. Every document of James says 8000; its code
// says 8080.
func webadminPort(p *Properties) int {
	n := p.Int("port", 8000)
	if n < 0 || n > 65535 {
		p.Fail("port", fmt.Errorf("%d is not a number from 0 to 65535", n))
		return 8000
	}
	return n
}

// webadminSecrets returns a list of passwords.
func webadminSecrets(p *Properties, key string) []string {
	list := p.List(key)
	if p.Has(key) && len(list) == 0 {
		p.Warn(key, "%s is empty and protects nothing: give a secret or remove the line", key)
	}
	return list
}

// webadminMetrics reports whether extensions.routes names the one class we have.
func webadminMetrics(p *Properties) bool {
	const metrics = "MetricsRoutes"
	list := p.List("extensions.routes")
	for _, class := range list {
		if class != metrics && class != "org.apache.james.webadmin.dropwizard."+metrics {
			p.Warn("extensions.routes", "extensions.routes: %s is no class of mailetd; ignored", class)
		}
	}
	return slices.ContainsFunc(list, func(c string) bool { return strings.HasSuffix("."+c, "."+metrics) })
}

// check notes what cannot work.
func (w WebadminServer) check(p *Properties, r *Report) {
	if w.JWT && w.JWTKeys == "" {
		r.Errorf(p.Pos("jwt.enabled"), "jwt.publickeypem.url is required with jwt.enabled: there is no JMAP whose key could be used instead")
	}
	if !w.HTTPS {
		return
	}
	if w.Keystore == "" && (w.Certificates == "" || w.PrivateKey == "") {
		r.Errorf(p.Pos("https.enabled"), "https.keystore, or https.certificates and https.privateKey (both PEM files), are required with https.enabled")
	}
	switch {
	case p.Has("https.trust.keystore") != p.Has("https.trust.password"):
		r.Errorf(w.TruststorePos, "give both https.trust.keystore and https.trust.password or neither")
	case w.Truststore != "":
		r.Warnf(w.TruststorePos, "https.trust.keystore protects nothing: as in James, webadmin asks for no client certificates; use password or jwt.enabled")
	}
}

// readKeystores reads the keys that James has for https. They go before those
// for PEM files, which James does not have.
func (w *WebadminServer) readKeystores(p *Properties) {
	if w.Keystore = p.String("https.keystore", ""); w.Keystore != "" {
		w.KeystorePos, w.KeystorePassword = p.Pos("https.keystore"), p.String("https.password", "")
		if w.Certificates != "" || w.PrivateKey != "" {
			p.Warn("https.keystore", "https.keystore is used, and https.certificates and https.privateKey are ignored; remove one or the other")
			w.Certificates, w.PrivateKey = "", ""
		}
	}
	w.Truststore, w.TruststorePassword = p.String("https.trust.keystore", ""), p.String("https.trust.password", "")
	if p.Has("https.trust.keystore") {
		w.TruststorePos = p.Pos("https.trust.keystore")
	} else if p.Has("https.trust.password") {
		w.TruststorePos = p.Pos("https.trust.password")
	}
}
