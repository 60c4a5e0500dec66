package webadmin

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/mailetd/mailetd/conf"
)

// stores returns the same key as JKS and as PKCS #12, and trust stores of its
// certificate. Their secrets are "changeit".
func stores(t *testing.T, cert, key []byte) map[string][]byte {
	t.Helper()
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte(pkcs12.DefaultPassword)
	der, _ := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	c := keystore.Certificate{Type: "X.509", Content: pair.Leaf.Raw}
	ks, ts := keystore.New(), keystore.New()
	err = ks.SetPrivateKeyEntry("james", keystore.PrivateKeyEntry{CreationTime: time.Now(), PrivateKey: der, CertificateChain: []keystore.Certificate{c}}, secret)
	if err == nil {
		err = ts.SetTrustedCertificateEntry("ca", keystore.TrustedCertificateEntry{CreationTime: time.Now(), Certificate: c})
	}
	var jks, trust bytes.Buffer
	if err == nil {
		err = ks.Store(&jks, secret)
	}
	if err == nil {
		err = ts.Store(&trust, secret)
	}
	p12, err2 := pkcs12.Modern.Encode(pair.PrivateKey, pair.Leaf, nil, pkcs12.DefaultPassword)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return map[string][]byte{"jks": jks.Bytes(), "p12": p12, "trust": trust.Bytes()}
}

func TestKeystore(t *testing.T) {
	cert, key := selfSigned(t)
	files := stores(t, cert, key)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	for _, name := range []string{"jks", "p12"} {
		// The trust store is read, and as in James nobody is asked for a certificate.
		cfg := Config{HTTPS: true, Keystore: name, KeystorePassword: "changeit", Truststore: "trust", TruststorePassword: "changeit"}
		b := newBench(t, cfg, func(d *Deps) {
			d.ReadFile = func(name string) ([]byte, error) { return files[name], nil }
			d.Now = func() time.Time { return time.Now().Add(24 * time.Hour) }
		})
		if !strings.Contains(b.log.String(), "webadmin: the certificate of ") || !strings.Contains(b.log.String(), " expired on ") {
			t.Errorf("%s: log %s", name, b.log)
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
		base, _ := b.run(client, "https")
		if status, body, _ := fetch(t, client, "GET", base+"/mailQueues", ""); status != 200 || body != `["spool"]` {
			t.Errorf("%s: got %d %s", name, status, body)
		}
	}
}

func TestKeystoreErrors(t *testing.T) {
	cert, key := selfSigned(t)
	files := stores(t, cert, key)
	read := func(name string) ([]byte, error) {
		if data, ok := files[name]; ok {
			return data, nil
		}
		return nil, os.ErrNotExist
	}
	b := newBench(t, Config{}, nil)
	pos := conf.Pos{File: "webadmin.properties", Line: 3, Col: 1}
	for _, tc := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no file", Config{Keystore: "none"}, "webadmin: https.keystore at webadmin.properties:3:1: file does not exist"},
		{"wrong password", Config{Keystore: "jks", KeystorePassword: "geheim"}, "https.keystore at webadmin.properties:3:1: jks: the secret is wrong or missing"},
		{"no password", Config{Keystore: "p12"}, "https.keystore at webadmin.properties:3:1: p12: the secret is wrong or missing"},
		{"no key", Config{Keystore: "trust", KeystorePassword: "changeit"}, "trust: it holds no private key"},
		{"no trust store", Config{Keystore: "jks", KeystorePassword: "changeit", Truststore: "none"}, "https.trust.keystore at webadmin.properties:3:1: file does not exist"},
		{"wrong password of trust store", Config{Keystore: "jks", KeystorePassword: "changeit", Truststore: "trust", TruststorePassword: "geheim"}, "trust: the secret is wrong"},
	} {
		tc.cfg.HTTPS, tc.cfg.KeystorePos, tc.cfg.TruststorePos = true, pos, pos
		_, err := New(tc.cfg, Deps{Queues: b.store, Store: b.store, Repositories: b.store, ReadFile: read, Log: quiet()})
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}
