package conf

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// First four octets of the forms of a Java keystore.
const (
	magicJKS   = 0xFEEDFEED
	magicJCEKS = 0xCECECECE
)

var (
	errNoKey     = errors.New("it holds no private key with its certificate")
	errNoTrusted = errors.New("it holds no trusted certificate")
	errStorePEM  = errors.New("it is a PEM file, no Java keystore: name it in privateKey and certificates")
	errStoreForm = errors.New("it is neither JKS nor PKCS #12")
	errJCEKS     = errors.New("it is a JCEKS keystore; convert it with: keytool -importkeystore -deststoretype PKCS12")
	errMixed     = errors.New("it holds a private key and other certificates beside, and which of them are trusted cannot be told; " +
		"make a trust store of trusted certificates alone with: keytool -importcert")
	errSecret = errors.New("the secret is wrong or missing, or the file is damaged")
)

// checkKeystoreType tells whether James's name of a keystore type is one that
// can be read. Java reads JKS and PKCS #12 whichever of the two is named, and so
// do we: the content decides.
func checkKeystoreType(name string) error {
	switch strings.ToUpper(name) {
	case "", "JKS", "PKCS12":
		return nil
	}
	return fmt.Errorf("%q is not JKS or PKCS12; convert the file with: keytool -importkeystore -deststoretype PKCS12", name)
}

// ReadKeyFile returns the content of a file of keys or certificates. It has to
// be a regular file of at most MaxFileSize octets.
func ReadKeyFile(path string) ([]byte, error) {
	data, err := readRegular(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, reason(err))
	}
	return data, nil
}

// ParseKeystore returns the private keys of a Java keystore, JKS or PKCS #12,
// each with its certificate chain, in the order of their aliases. There is at
// least one, and Leaf is set. As in James the secret of the store is also that
// of the keys. Errors do not quote it.
func ParseKeystore(data []byte, secret string) ([]tls.Certificate, error) {
	form, err := keystoreForm(data)
	if err != nil {
		return nil, err
	}
	entries, err := form(data, secret)
	switch {
	case err != nil:
		return nil, err
	case entries.unusable != nil: // one is enough: James does not start then
		return nil, entries.unusable
	case len(entries.pairs) == 0:
		return nil, errNoKey
	}
	return entries.pairs, nil
}

// ParseTruststore returns the trust anchors of a Java keystore, JKS or PKCS #12,
// or all certificates of a PEM file; at least one. As in Java the certificate of
// a private key is a trust anchor, too. The secret is not used with PEM.
func ParseTruststore(data []byte, secret string) ([]*x509.Certificate, error) {
	if isPEM(data) {
		return pemCertificates(data)
	}
	form, err := keystoreForm(data)
	if err != nil {
		return nil, err
	}
	entries, err := form(data, secret)
	if err != nil {
		return nil, err
	}
	if entries.others > 0 {
		return nil, errMixed
	}
	if len(entries.trusted) == 0 {
		return nil, errNoTrusted
	}
	return entries.trusted, nil
}

// keystoreEntries is what a keystore holds.
type keystoreEntries struct {
	pairs    []tls.Certificate
	unusable error               // of private keys that are not among pairs
	trusted  []*x509.Certificate // those of private keys, too
	others   int                 // certificates that may be trusted ones: it cannot be told
}

// keystoreReader reads one form of keystore.
type keystoreReader func(data []byte, secret string) (keystoreEntries, error)

func keystoreForm(data []byte) (keystoreReader, error) {
	if len(data) < 4 {
		return nil, errStoreForm
	}
	switch magic := binary.BigEndian.Uint32(data); {
	case len(data) > MaxFileSize:
		return nil, fmt.Errorf("it has %d octets; no keystore may have more than %d", len(data), MaxFileSize)
	case magic == magicJKS:
		return readJKS, nil
	case magic == magicJCEKS:
		return nil, errJCEKS
	case data[0] == 0x30: // an ASN.1 sequence
		return readPKCS12, nil
	case isPEM(data):
		return nil, errStorePEM
	}
	return nil, errStoreForm
}

func isPEM(data []byte) bool { return bytes.Contains(data, []byte("-----BEGIN ")) }

// keyPair puts together a private key and its chain, of which the certificate
// of the key is the first.
func keyPair(key crypto.PrivateKey, chain []*x509.Certificate) (tls.Certificate, error) {
	if len(chain) == 0 {
		return tls.Certificate{}, errNoKey
	}
	if !belongs(chain[0], key) {
		return tls.Certificate{}, errors.New("its certificate is not that of its private key")
	}
	out := tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out, nil
}

// chainOf returns the certificate of key, found among certs, and those that
// signed it, one after the other, going by names and key identifiers as Java.
func chainOf(key crypto.PrivateKey, certs []*x509.Certificate) []*x509.Certificate {
	i := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return belongs(c, key) })
	if i < 0 {
		return nil
	}
	chain := []*x509.Certificate{certs[i]}
	for {
		last := chain[len(chain)-1]
		if bytes.Equal(last.RawSubject, last.RawIssuer) {
			return chain
		}
		i := slices.IndexFunc(certs, func(c *x509.Certificate) bool {
			return signed(c, last) && !slices.ContainsFunc(chain, c.Equal)
		})
		if i < 0 {
			return chain
		}
		chain = append(chain, certs[i])
	}
}

// belongs reports whether c is a certificate of key.
func belongs(c *x509.Certificate, key crypto.PrivateKey) bool {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return false
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}

// signed reports whether parent says that it signed child.
func signed(parent, child *x509.Certificate) bool {
	ids := len(parent.SubjectKeyId) > 0 && len(child.AuthorityKeyId) > 0
	return bytes.Equal(parent.RawSubject, child.RawIssuer) && (!ids || bytes.Equal(parent.SubjectKeyId, child.AuthorityKeyId))
}

// CertificateWarnings tells what clients will have against certificates of a
// server at the time now: those that are expired, or not valid yet.
func CertificateWarnings(certs []tls.Certificate, now time.Time) []string {
	var out []string
	for _, pair := range certs {
		for _, der := range pair.Certificate {
			c, err := x509.ParseCertificate(der)
			switch {
			case err != nil:
				out = append(out, fmt.Sprintf("a certificate cannot be read: %v", err))
			case now.After(c.NotAfter):
				out = append(out, fmt.Sprintf("the certificate of %s expired on %s", c.Subject, c.NotAfter.Format(time.RFC3339)))
			case now.Before(c.NotBefore):
				out = append(out, fmt.Sprintf("the certificate of %s is not valid before %s", c.Subject, c.NotBefore.Format(time.RFC3339)))
			}
		}
	}
	return out
}
