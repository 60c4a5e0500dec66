package matchers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

func TestSMIMETypes(t *testing.T) {
	for _, tc := range []struct{ contentType, signed, encrypted string }{
		{"multipart/signed; boundary=b", all, ""},
		{"Multipart/Signed; protocol=\"application/pgp-signature\"; boundary=b", all, ""},
		{"application/pkcs7-signature", all, ""},
		{"application/x-pkcs7-signature", all, ""},
		{"application/pkcs7-mime; smime-type=signed-data", all, ""},
		{"application/x-pkcs7-mime; name=x; SMIME-TYPE=\"Signed-Data\"", all, ""},
		{"application/pkcs7-mime", "", ""},
		{"application/pkcs7-mime; smime-type=enveloped-data", "", all},
		{"application/x-pkcs7-mime;\r\n smime-type=\"enveloped-data\"", "", all},
		{"application/pkcs7-mime; smime-type=authEnveloped-data", "", all},
		{"application/pkcs7-mime; name=enveloped-data", "", ""},
		{"application/pkcs7-mime; smime-type=compressed-data", "", ""},
		{"text/plain; smime-type=enveloped-data", "", ""},
		{"text/plain; x=signed-data", "", ""},
	} {
		header := "Content-Type: " + tc.contentType + "\r\n"
		runAll(t, testRegistry(), []matchCase{
			{class: "org.apache.james.transport.matcher.IsSMIMESigned", header: header, want: tc.signed},
			{class: "org.apache.james.transport.matcher.IsSMIMEEncrypted", header: header, want: tc.encrypted},
			{class: "IsSMIMESigned", header: header, want: tc.signed},
			{class: "IsSMIMEEncrypted", header: header, want: tc.encrypted},
		})
	}
	runAll(t, testRegistry(), []matchCase{{class: "IsSMIMESigned", want: ""}, {class: "IsSMIMEEncrypted", want: ""}})
}

func TestIsX509CertificateSubject(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := func(name pkix.Name) []byte {
		c := x509.Certificate{SerialNumber: big.NewInt(1), Subject: name, NotAfter: time.Now()}
		der, err := x509.CreateCertificate(rand.Reader, &c, &c, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	bob := made(pkix.Name{CommonName: "Bob", Organization: []string{"Acme, Inc"}, Country: []string{"US"},
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: oidEmail, Value: "bob@example.com,CN=Eve"}}})
	alice := made(pkix.Name{CommonName: "Alice"})
	with := func(v container.Value) attrs { return attrs{"a": v} }
	class := "org.apache.james.transport.matcher.IsX509CertificateSubject"
	both := with([]container.Value{alice, bob})
	runAll(t, testRegistry(), []matchCase{
		{class: class, condition: "a;Bob", attributes: both, want: all},
		{class: class, condition: " a ;CN=Alice", attributes: both, want: all},
		{class: "IsX509CertificateSubject", condition: "a;EMAILADDRESS=bob@example.com", attributes: both, want: all},
		{class: class, condition: "a;CN=Bob,O=Acme\\, Inc,C=US", attributes: both, want: all},
		{class: class, condition: "a;CN=Bob, O=Acme\\, Inc, C=US", attributes: both, want: all},
		{class: class, condition: "a;,CN=Eve", attributes: both, want: all},
		{class: class, condition: "a;com,CN=Eve", attributes: both, want: ""},
		{class: class, condition: "a;bob,", attributes: both, want: ""},
		{class: class, condition: "a; Bob", attributes: both, want: ""},
		{class: class, condition: "a;Bob", attributes: with([]container.Value{alice}), want: ""},
		{class: class, condition: "a;Bob", attributes: with(bob), want: all},
		{class: class, condition: "a;Bob", attributes: with("Bob"), want: ""},
		{class: class, condition: "a;Bob", attributes: with([]container.Value{"Bob", []byte("Bob")}), want: ""},
		{class: class, condition: "b;Bob", attributes: both, want: ""},
		{class: class, condition: "a;Bob", want: ""},
	})
	for _, condition := range []string{"", "a", ";x", "a;", "a; "} {
		if _, err := newIsX509CertificateSubject(condition); err == nil {
			t.Errorf("%q is taken", condition)
		}
	}
}
