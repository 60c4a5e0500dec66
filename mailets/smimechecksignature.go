package mailets

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/mailets/smime"
)

// SMIMECheckSignature checks the S/MIME signature of a message (RFC 8551), be it
// beside the content (multipart/signed) or around it (application/pkcs7-mime). The
// field X-SMIME-Status says what was found: "Not signed", "Good signature" or "Bad
// signature"; one that the message came with is replaced. The certificates of
// good signatures go into an attribute that IsX509CertificateSubject reads, and
// their e-mail addresses into the attribute of that name with .addresses behind
// it. The mail goes on in any case.
//
//	<mailet match="org.apache.james.transport.matcher.IsSMIMESigned" class="SMIMECheckSignature">
//	  <fileType>pem</fileType>
//	  <pemFileName>file://conf/smime-ca.pem</pemFileName>
//	  <strip>false</strip>
//	  <onlyTrusted>true</onlyTrusted>
//	</mailet>
//
// A good signature is about the content, not about From, Subject or other fields,
// and says that its maker owns the certificate: compare its addresses with From
// before you trust the latter. One good signature of several is enough. A signature
// counts as good if the content is what was signed (SHA-1 or better; RSA, ECDSA or
// Ed25519), the certificate was valid when the signer says he signed, and, with
// onlyTrusted, it is for e-mail, is valid now, and is one of the trusted ones or
// comes from one. Nobody is asked whether it was revoked. A message that is no
// signed one by the letter, of which readers might show different parts, or that is
// beyond the limits (64 MiB when the content is within the signature), is "Not
// signed". A few large messages at a time are checked, so that there is memory for
// them; others wait.
//
// Parameters:
//
//   - fileType (default keystore): where the trusted certificates are: keystore or
//     pem.
//   - keyStoreFileName (default: those that the system trusts): a JKS or PKCS12 file
//     with trusted certificates: file://conf/NAME or a path.
//   - keyStorePassword (default empty): its password.
//   - keyStoreType: JKS or PKCS12; the content of the file decides.
//   - pemFileName: a file with one or more certificates; required with fileType pem.
//   - strip (default false): whether the message becomes what was signed, without
//     signature, be it good or bad.
//   - onlyTrusted (default true): whether a signature with a certificate that is
//     not trusted is bad. If false, everybody's is good.
//   - mailAttribute (default org.apache.james.SMIMECheckSignature): name of the
//     attribute.
//
// Differs from James: the certificates that the system trusts take the place of
// those of Java; a certificate that is for something else than e-mail is not
// trusted, nor is one with an address that its authority may not certify (RFC 5280
// §4.2.1.10); MD5 and DSA are not good enough; a message with several Content-Type
// fields, a boundary that is written in an unusual way, or more than two parts
// around the signature is not signed; the attribute is removed when
// no signature is good; .addresses is ours; text that is stripped keeps its type
// and encoding.
type SMIMECheckSignature struct {
	trust     smime.Trust
	strip     bool
	attribute string
	log       *slog.Logger
	gate      *smime.Gate
}

func newSMIMECheckSignature(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		c := &SMIMECheckSignature{log: s.Log, gate: s.smime, strip: p.Bool("strip", false), attribute: p.String("mailAttribute", "org.apache.james.SMIMECheckSignature")}
		c.trust.Any = !p.Bool("onlyTrusted", true)
		c.trust.Roots = trustedRoots(s, p, c.trust.Any)
		return c
	}
}

// trustedRoots reads the parameters that name trusted certificates.
func trustedRoots(s Services, p *conf.Params, unused bool) *x509.CertPool {
	kind := strings.ToLower(p.String("fileType", "keystore"))
	store, secret, pem := p.String("keyStoreFileName", ""), p.String("keyStorePassword", ""), p.String("pemFileName", "")
	name, file := "keyStoreFileName", store
	ok := storeType(p)
	switch kind {
	case "keystore":
		if file == "" {
			return systemRoots(p, unused)
		}
	case "pem":
		if name, file = "pemFileName", pem; file == "" {
			p.Fail("pemFileName", errors.New("it is required with <fileType> pem"))
			return nil
		}
	default:
		p.Fail("fileType", fmt.Errorf("%q is neither keystore nor pem", kind))
		return nil
	}
	data, err := s.ReadFile(confURL(file))
	if err != nil {
		p.Fail(name, err)
		return nil
	}
	list, err := conf.ParseTruststore(data, secret)
	if err != nil {
		p.Fail(name, fmt.Errorf("%s: %w", file, err))
	}
	pool := x509.NewCertPool()
	for _, c := range list {
		pool.AddCert(c)
	}
	if !ok {
		return nil
	}
	return pool
}

func systemRoots(p *conf.Params, unused bool) *x509.CertPool {
	if unused {
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil || pool.Equal(x509.NewCertPool()) {
		p.Warn("", "this system has no trusted certificates, so no signature will be good; name some in <keyStoreFileName> or <pemFileName>")
		return x509.NewCertPool()
	}
	return pool
}

const smimeStatus = "X-SMIME-Status"

// Service checks the signature. An error is one of reading the message.
func (c *SMIMECheckSignature) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	kind, _ := mime.Get(m.Message.Header(), "Content-Type")
	leave, err := c.gate.Enter(ctx, smime.Held(mime.ParseParameterized(kind).Main, m.Message.Size()))
	if err != nil {
		return fmt.Errorf("S/MIME: %w", err)
	}
	defer leave()
	s, err := smime.Verify(&m.Message, &c.trust)
	delete(m.Attributes, c.attribute)
	delete(m.Attributes, c.attribute+".addresses")
	if errors.Is(err, smime.ErrNotSigned) {
		c.log.DebugContext(ctx, "S/MIME: no signature", "mail", m.Name, "reason", err)
		m.Message.SetHeader(mime.Set(m.Message.Header(), smimeStatus, "Not signed"))
		return nil
	}
	if err != nil {
		return fmt.Errorf("S/MIME: %w", err)
	}
	status := "Bad signature"
	if ders, addresses := c.good(ctx, m, s.Signers); len(ders) > 0 {
		status = "Good signature"
		m.Set(c.attribute, certificates(ders...))
		m.Set(c.attribute+".addresses", addresses)
	}
	if c.strip {
		smime.Inner(&m.Message, s.Content)
	}
	m.Message.SetHeader(mime.Set(m.Message.Header(), smimeStatus, status))
	return nil
}

// good returns the certificates of good signatures, and their addresses.
func (c *SMIMECheckSignature) good(ctx context.Context, m *container.Mail, signers []smime.Signer) (ders [][]byte, addresses []container.Value) {
	for _, s := range signers {
		if s.Err != nil {
			c.log.InfoContext(ctx, "S/MIME: a signature is not good", "mail", m.Name, "reason", s.Err)
			continue
		}
		ders = append(ders, s.Certificate.Raw)
		for _, a := range smime.Addresses(s.Certificate) {
			addresses = append(addresses, a)
		}
	}
	return ders, addresses
}
