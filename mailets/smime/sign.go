package smime

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/smallstep/pkcs7"
)

// Identity is a private key with its certificate.
type Identity struct {
	Key         crypto.Signer
	Certificate *x509.Certificate
	Chain       []*x509.Certificate // of those that vouch for Certificate, without the last, which has to be known
}

// NewIdentity makes an identity of a key that is RSA or an elliptic curve key.
func NewIdentity(pair tls.Certificate) (*Identity, error) {
	id := &Identity{Certificate: pair.Leaf}
	switch key := pair.PrivateKey.(type) {
	case *rsa.PrivateKey:
		id.Key = key
	case *ecdsa.PrivateKey:
		id.Key = key
	default:
		return nil, fmt.Errorf("its key is a %T; S/MIME works with RSA and elliptic curve (ECDSA) keys", pair.PrivateKey)
	}
	for _, der := range pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("parse certificate: %w", err)
		}
		if string(c.RawIssuer) != string(c.RawSubject) {
			id.Chain = append(id.Chain, c)
		}
	}
	return id, nil
}

var oidEmailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

// Addresses returns the e-mail addresses of a certificate, the one in its
// subject first (RFC 8550 §3).
func Addresses(c *x509.Certificate) []string {
	return append(subjectAddresses(c), c.EmailAddresses...)
}

func subjectAddresses(c *x509.Certificate) (out []string) {
	for _, n := range c.Subject.Names {
		if s, ok := n.Value.(string); ok && n.Type.Equal(oidEmailAddress) {
			out = append(out, s)
		}
	}
	return out
}

// sign returns a detached signature (SHA-256) of data, in DER.
func (id *Identity) sign(data []byte) ([]byte, error) {
	s, err := pkcs7.NewSignedData(data)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	s.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := s.AddSigner(id.Certificate, id.Key, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	for _, c := range id.Chain {
		s.AddCertificate(c)
	}
	s.Detach()
	out, err := s.Finish()
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return out, nil
}

// CanDecrypt tells why mail cannot be encrypted for the certificate, nil when it
// can.
func (id *Identity) CanDecrypt() error {
	if u := id.Certificate.KeyUsage; u != 0 && u&(x509.KeyUsageKeyEncipherment|x509.KeyUsageKeyAgreement|x509.KeyUsageDataEncipherment) == 0 {
		return errors.New("its certificate is not for encryption")
	}
	return nil
}

// CanSign tells why signatures of the certificate would not be trusted, nil when
// they can be.
func (id *Identity) CanSign() error {
	if u := id.Certificate.KeyUsage; u != 0 && u&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return errors.New("its certificate is not for signatures")
	}
	return nil
}
