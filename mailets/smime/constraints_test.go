package smime

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"
)

// issuer is a certificate with its key.
type issuer struct {
	c   *x509.Certificate
	key *ecdsa.PrivateKey
}

// issue makes a certificate; by is nil for one that vouches for itself.
func issue(t *testing.T, by *issuer, c x509.Certificate) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	out := &issuer{key: key}
	if by == nil {
		by = &issuer{&c, key}
	}
	c.SerialNumber, c.BasicConstraintsValid = big.NewInt(time.Now().UnixNano()), true
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, &c, by.c, &key.PublicKey, by.key)
	if err == nil {
		out.c, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestNameConstraints: an authority that may certify addresses of some domains
// alone cannot do so for others, wherever in the certificate the address is.
func TestNameConstraints(t *testing.T) {
	authority := func(name string, permitted, excluded []string) x509.Certificate {
		return x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
			PermittedEmailAddresses: permitted, ExcludedEmailAddresses: excluded, PermittedDNSDomainsCritical: len(permitted)+len(excluded) > 0}
	}
	root := issue(t, nil, authority("root", nil, nil))
	roots := x509.NewCertPool()
	roots.AddCert(root.c)
	list := func(s ...string) []string { return s }
	for _, tc := range []struct {
		name                string
		permitted, excluded []string
		subject, alternate  []string
		good                bool
	}{
		{name: "no constraints", subject: list("bob@bank.test"), good: true},
		{name: "no address", permitted: list("good.test"), good: true},
		{name: "host", permitted: list("good.test"), subject: list("bob@GOOD.test"), good: true},
		{name: "other host", permitted: list("good.test"), subject: list("bob@bank.test")},
		{name: "host below", permitted: list("good.test"), subject: list("bob@mx.good.test")},
		{name: "domain", permitted: list("x.test", ".good.test"), subject: list("bob@mx.good.test"), good: true},
		{name: "domain itself", permitted: list(".good.test"), subject: list("bob@good.test")},
		{name: "mailbox", permitted: list("bob@good.test"), subject: list("bob@good.test"), good: true},
		{name: "other mailbox", permitted: list("bob@good.test"), subject: list("eve@good.test")},
		{name: "excluded", excluded: list("bank.test"), subject: list("bob@bank.test")},
		{name: "not excluded", excluded: list("bank.test"), subject: list("bob@good.test"), good: true},
		{name: "one of two", permitted: list("good.test"), subject: list("bob@good.test", "bob@bank.test")},
		{name: "beside a good one", permitted: list("good.test"), subject: list("bob@bank.test"), alternate: list("bob@good.test")},
		{name: "no address at all", permitted: list("good.test"), subject: list("bank.test")},
		{name: "alternate", permitted: list("good.test"), alternate: list("bob@bank.test")},
	} {
		sub := issue(t, root, authority("sub", tc.permitted, tc.excluded))
		leaf := x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}, EmailAddresses: tc.alternate, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}}
		for _, a := range tc.subject {
			leaf.Subject.ExtraNames = append(leaf.Subject.ExtraNames, pkix.AttributeTypeAndValue{Type: oidEmailAddress, Value: a})
		}
		err := (&Trust{Roots: roots}).check(issue(t, sub, leaf).c, []*x509.Certificate{sub.c})
		if (err == nil) != tc.good || err != nil && !strings.Contains(err.Error(), "not trusted") {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
