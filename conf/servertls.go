package conf

import "crypto/tls"

// ServerTLS is <tls>, with at least one of its two switches on. Files are named
// as written; see package smtphooks/server for how they are found.
type ServerTLS struct {
	Pos                      Pos
	Implicit, StartTLS       bool
	PrivateKey, Certificates string // PEM files
	Secret                   string // decrypts the private key
	MinVersion, MaxVersion   uint16 // 0: the library's default
	CipherSuites             []uint16
	ClientAuth               bool   // a certificate signed by Truststore is required
	Truststore               string // PEM file
}

var tlsElements = []string{"keystore", "keystoreType", "secret", "privateKey", "certificates", "supportedProtocols",
	"supportedCipherSuites", "clientAuth", "enableOCSPCRLChecks", "sessionCache", "provider", "algorithm"}

// tls reads <tls>; with both switches off nothing below is looked at.
func (in smtpElem) tls() *ServerTLS {
	e := in.e.SelectElement("tls")
	if e == nil {
		return nil
	}
	t := smtpElem{in.f, e, in.r}
	c := &ServerTLS{Pos: in.f.Pos(e), Implicit: t.attrBool("socketTLS", false), StartTLS: t.attrBool("startTLS", false)}
	if c.Implicit && c.StartTLS {
		in.r.Errorf(c.Pos, "startTLS is only supported when using plain sockets")
	}
	if !c.Implicit && !c.StartTLS {
		return nil
	}
	t.warnUnknown(tlsElements)
	c.PrivateKey, c.Certificates, c.Secret = t.str("privateKey", ""), t.str("certificates", ""), t.str("secret", "")
	if c.PrivateKey == "" || c.Certificates == "" {
		if t.str("keystore", "") == "" {
			in.r.Errorf(c.Pos, "keystore or (privateKey and certificates) needs to get configured")
		} else {
			in.r.Errorf(t.pos("keystore"), "JKS/PKCS12 keystores cannot be read by this version: convert to PEM and name it in <privateKey> and <certificates>")
		}
	}
	if t.boolean("enableOCSPCRLChecks", false) {
		in.r.Errorf(t.pos("enableOCSPCRLChecks"), "<enableOCSPCRLChecks>: revocation of client certificates cannot be checked here; remove it")
	}
	if ca := e.SelectElement("clientAuth"); ca != nil {
		c.ClientAuth = true
		c.Truststore = smtpElem{in.f, ca, in.r}.str("truststore", "")
		if c.Truststore == "" {
			in.r.Errorf(in.f.Pos(ca), "<clientAuth> needs a <truststore>: a PEM file of the certificates that sign those of clients")
		}
	}
	t.protocols(c)
	t.ciphers(c)
	return c
}

var tlsVersions = map[string]uint16{"TLSv1": tls.VersionTLS10, "TLSv1.0": tls.VersionTLS10,
	"TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}

func (in smtpElem) protocols(c *ServerTLS) {
	for _, e := range in.e.FindElements("supportedProtocols/protocol") {
		v, ok := tlsVersions[Text(e)]
		if !ok {
			in.r.Warnf(in.f.Pos(e), "<protocol> %q is not offered; known are TLSv1, TLSv1.1, TLSv1.2 and TLSv1.3", Text(e))
			continue
		}
		if c.MinVersion == 0 || v < c.MinVersion {
			c.MinVersion = v
		}
		c.MaxVersion = max(c.MaxVersion, v)
	}
	if c.MinVersion == 0 && in.e.FindElement("supportedProtocols/protocol") != nil {
		in.r.Errorf(in.pos("supportedProtocols"), "<supportedProtocols> leaves no protocol version")
	}
}

func (in smtpElem) ciphers(c *ServerTLS) {
	known := map[string]uint16{}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		known[s.Name] = s.ID
	}
	for _, e := range in.e.FindElements("supportedCipherSuites/cipherSuite") {
		id, ok := known[Text(e)]
		if !ok {
			in.r.Warnf(in.f.Pos(e), "<cipherSuite> %q is not offered: unknown here", Text(e))
			continue
		}
		c.CipherSuites = append(c.CipherSuites, id)
	}
	if len(c.CipherSuites) == 0 && in.e.FindElement("supportedCipherSuites/cipherSuite") != nil {
		in.r.Errorf(in.pos("supportedCipherSuites"), "<supportedCipherSuites> leaves no cipher suite")
	}
}
