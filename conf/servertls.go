package conf

import "crypto/tls"

// ServerTLS is <tls>, with at least one of its two switches on. Files are named
// as written; see package smtphooks/server for how they are found.
type ServerTLS struct {
	Pos                      Pos
	Implicit, StartTLS       bool
	Keystore                 string // JKS or PKCS #12; with it PrivateKey and Certificates are ""
	PrivateKey, Certificates string // PEM files
	Secret                   string // decrypts the keystore or the private key
	MinVersion, MaxVersion   uint16 // 0: the library's default
	CipherSuites             []uint16
	ClientAuth               bool   // a certificate signed by Truststore is required
	Truststore               string // JKS, PKCS #12 or PEM
	TruststoreSecret         string
	ACME                     *ACME // obtains the certificates; then there is neither keystore nor key

	// Where the files are named.
	KeystorePos, PrivateKeyPos, CertificatesPos, TruststorePos Pos
}

var tlsElements = []string{"keystore", "keystoreType", "secret", "privateKey", "certificates", "supportedProtocols",
	"supportedCipherSuites", "clientAuth", "enableOCSPCRLChecks", "sessionCache", "provider", "algorithm", "acme"}

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
	t.warnUnknown(tlsElements, "socketTLS", "startTLS")
	t.keys(c)
	if t.boolean("enableOCSPCRLChecks", false) {
		in.r.Errorf(t.pos("enableOCSPCRLChecks"), "<enableOCSPCRLChecks>: revocation of client certificates cannot be checked here; remove it")
	}
	t.clientAuth(c)
	t.protocols(c)
	t.ciphers(c)
	return c
}

// keys reads what names the private key and its certificates. As in James a
// keystore goes before PEM files.
func (in smtpElem) keys(c *ServerTLS) {
	c.Keystore, c.Secret = in.str("keystore", ""), in.str("secret", "")
	c.PrivateKey, c.Certificates = in.str("privateKey", ""), in.str("certificates", "")
	c.KeystorePos, c.PrivateKeyPos, c.CertificatesPos = in.pos("keystore"), in.pos("privateKey"), in.pos("certificates")
	if c.ACME = in.acme(); c.ACME != nil {
		if c.Keystore != "" || c.PrivateKey != "" || c.Certificates != "" {
			in.r.Errorf(c.ACME.Pos, "<acme> obtains key and certificate; remove it, or <keystore>, <privateKey> and <certificates>")
		}
		return
	}
	if c.Keystore == "" {
		if c.PrivateKey == "" || c.Certificates == "" {
			in.r.Errorf(c.Pos, "keystore or (privateKey and certificates) needs to get configured")
		}
		return
	}
	if err := checkKeystoreType(in.str("keystoreType", "")); err != nil {
		in.r.Errorf(in.pos("keystoreType"), "<keystoreType>: %v", err)
	}
	if c.PrivateKey != "" || c.Certificates != "" {
		in.r.Warnf(c.KeystorePos, "<keystore> is used, and <privateKey> and <certificates> are ignored, as in James; remove one or the other")
		c.PrivateKey, c.Certificates = "", ""
	}
}

// clientAuth reads <clientAuth>, whose mere presence asks for certificates.
func (in smtpElem) clientAuth(c *ServerTLS) {
	e := in.e.SelectElement("clientAuth")
	if e == nil {
		return
	}
	ca := smtpElem{in.f, e, in.r}
	c.ClientAuth, c.TruststorePos = true, ca.pos("truststore")
	c.Truststore, c.TruststoreSecret = ca.str("truststore", ""), ca.str("truststoreSecret", "")
	if c.Truststore == "" {
		in.r.Errorf(in.f.Pos(e), "<clientAuth> needs a <truststore>: a file (JKS, PKCS12 or PEM) of the certificates that sign those of clients")
	}
	if err := checkKeystoreType(ca.str("truststoreType", "")); err != nil {
		in.r.Errorf(ca.pos("truststoreType"), "<truststoreType>: %v", err)
	}
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
