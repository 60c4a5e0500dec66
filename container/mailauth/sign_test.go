package mailauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
)

func TestParseTemplate(t *testing.T) {
	for _, tc := range []struct{ in, warning, err string }{
		{in: "v=1; s=sel; d=example.com; h=from:to:subject; a=rsa-sha256; bh=; b=;"},
		{in: " s = sel ;\n d=example.com;\n h=from : to;\n c=relaxed/simple; q=dns/txt; i=@mail.example.com; x=2000000000; t="},
		{in: "s=s; d=%MAIL_FROM; i=@%MAIL_FROM; h=From; c=relaxed"},
		{in: "s=s; d=x.test; h=from; l=; z=1", warning: "l= is left out"},
		{in: "s=s; d=x.test; h=from; a=rsa-sha1", warning: "SHA-1|rsa-sha1"},
		{in: "s=s; d=x.test; h=from; i=@y.test", warning: "i=@y.test"},
		{in: "d=x.test; h=from", err: "s= is missing"},
		{in: "s=s; h=from", err: "d= is missing"},
		{in: "s=s; d=x.test", err: "h= is missing"},
		{in: "s=s; d=x.test; h=to:subject", err: "from"},
		{in: "s=s; d=x.test; h=from; c=strict", err: "c=strict"},
		{in: "s=s; d=x.test; h=from; c=simple/", err: ""},
		{in: "s=s; d=x.test; h=from; v=2", err: "v=2"},
		{in: "s=s; d=x.test; h=from; x=soon", err: "x=soon"},
		{in: "s=s; s=t; d=x.test; h=from", err: "twice"},
		{in: "s=s; d=x.test; h=from; nonsense", err: "nonsense"},
		{in: "s=s; d=bücher.test; h=from", err: "ASCII"},
		{in: "s=s; d=x.test; h=from:" + strings.Repeat("subject:", 200), err: "longer"},
		{in: "", err: "missing"},
	} {
		_, warnings, err := ParseTemplate(tc.in)
		if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q: error is %v, want %q", tc.in, err, tc.err)
		}
		got := strings.Join(warnings, "|")
		if want, _, _ := strings.Cut(tc.warning, "|"); (got != "") != (want != "") || want != "" && !strings.Contains(got, "l=") && !strings.Contains(got, "i=") && !strings.Contains(got, "sha1") {
			t.Errorf("%q: warnings %q, want %q", tc.in, got, tc.warning)
		}
	}
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestParseKey(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	ecKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	pkcs8 := func(k any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	//lint:ignore SA1019 the form in question
	locked, err := x509.EncryptPEMBlock(rand.Reader, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), []byte("secret"), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	lockedText := string(pem.EncodeToMemory(locked))
	pkcs1 := pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))
	for _, tc := range []struct{ name, text, password, want string }{
		{"PKCS#1", pkcs1, "", ""},
		{"indented, CRLF", "\r\n    " + strings.ReplaceAll(pkcs1, "\n", "\r\n    "), "", ""},
		{"PKCS#8", pemText("PRIVATE KEY", pkcs8(rsaKey)), "", ""},
		{"Ed25519", pemText("PRIVATE KEY", pkcs8(edKey)), "", ""},
		{"after a certificate", pemText("CERTIFICATE", []byte("x")) + pkcs1, "", ""},
		{"encrypted", lockedText, "secret", ""},
		{"wrong password", lockedText, "guess", "the private key"},
		{"encrypted PKCS#8", pemText("ENCRYPTED PRIVATE KEY", []byte("x")), "secret", "openssl"},
		{"EC", pemText("PRIVATE KEY", pkcs8(ecKey)), "", "cannot sign"},
		{"EC form", pemText("EC PRIVATE KEY", []byte("x")), "", "cannot sign"},
		{"garbage inside", pemText("PRIVATE KEY", []byte("x")), "", "read the private key"},
		{"no PEM", "hello", "", "no private key"},
		{"empty", "", "", "no private key"},
	} {
		key, err := ParseKey([]byte(tc.text), tc.password)
		if (err != nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), tc.want) || err == nil && key == nil {
			t.Errorf("%s: key %T, error %v, want %q", tc.name, key, err, tc.want)
		}
	}
}

// Domains that mail is sent from, although IDNA has no place for them.
func TestSignForAnyDomain(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl, _, err := ParseTemplate("s=s; d=%MAIL_FROM; h=from")
	if err != nil {
		t.Fatal(err)
	}
	m := container.ParseMessage([]byte("From: a@example.com\r\n\r\nHi.\r\n"))
	for domain, want := range map[string]string{
		"example.com": "d=example.com;", "my_mail.example.com": "d=my_mail.example.com;", "r3---x.example.com": "d=r3---x.example.com;",
		"bücher.test": "d=xn--bcher-kva.test;", "": "", "x;i=a.test": "", "\u200d.test": "",
	} {
		field, err := tpl.Sign(t.Context(), key, domain, &m)
		if (err == nil) != (want != "") || !strings.Contains(string(field), want) {
			t.Errorf("%q: got %q, %v", domain, field, err)
		}
	}
}
