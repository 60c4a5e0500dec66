package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/mailetd/mailetd/conf"
)

// readPair returns the key and the certificate that writeCertificate made.
func readPair(t *testing.T, dir string) (key any, cert *x509.Certificate) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return pair.PrivateKey, pair.Leaf
}

// writeJKS writes a JKS keystore, or without key a trust store.
func writeJKS(t *testing.T, name, secret string, key any, cert *x509.Certificate) {
	t.Helper()
	store := keystore.New()
	c := keystore.Certificate{Type: "X.509", Content: cert.Raw}
	var err error
	if key == nil {
		err = store.SetTrustedCertificateEntry("ca", keystore.TrustedCertificateEntry{CreationTime: time.Now(), Certificate: c})
	} else {
		der, _ := x509.MarshalPKCS8PrivateKey(key)
		err = store.SetPrivateKeyEntry("james", keystore.PrivateKeyEntry{CreationTime: time.Now(), PrivateKey: der,
			CertificateChain: []keystore.Certificate{c}}, []byte(secret))
	}
	var b bytes.Buffer
	if err == nil {
		err = store.Store(&b, []byte(secret))
	}
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, name, b.Bytes())
}

func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serial connects and returns the serial number of the server's certificate.
func serial(t *testing.T, h *harness, cfg *tls.Config) int64 {
	t.Helper()
	c := h.dial()
	c.startTLS(cfg)
	c.expect("220 ...")
	return c.nc.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// The configuration as James's samples have it, the file named in each of the
// ways, and certificates that are renewed in place.
func TestKeystore(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keystore")
	for _, tc := range []struct{ name, kind, ref string }{
		{"JKS", "JKS", "file://conf/keystore"},
		{"PKCS12", "PKCS12", "file://" + file},
		{"PKCS12 named JKS", "JKS", file},
		{"PKCS12 by default", "", "classpath:keystore"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			write := func(n int64) {
				writeCertificate(t, dir, n)
				key, cert := readPair(t, dir)
				if tc.name == "JKS" {
					writeJKS(t, file, "james72laBalle", key, cert)
					return
				}
				data, err := pkcs12.Modern.Encode(key, cert, nil, "james72laBalle")
				if err != nil {
					t.Fatal(err)
				}
				writeFile(t, file, data)
			}
			write(1)
			h := startWith(t, fmt.Sprintf(`<tls socketTLS="true" startTLS="false"><keystore>%s</keystore><keystoreType>%s</keystoreType>
				<secret>james72laBalle</secret><provider>org.bouncycastle.jce.provider.BouncyCastleProvider</provider></tls>`, tc.ref, tc.kind),
				nil, Options{ConfDir: dir})
			if n := serial(t, h, trust(t, filepath.Join(dir, "cert.pem"))); n != 1 {
				t.Errorf("certificate %d", n)
			}
			write(2)
			if err := h.ReloadCertificates(); err != nil {
				t.Fatal(err)
			}
			if n := serial(t, h, trust(t, filepath.Join(dir, "cert.pem"))); n != 2 {
				t.Errorf("certificate %d after reloading", n)
			}
			writeFile(t, file, []byte("rubbish"))
			err := h.ReloadCertificates()
			if err == nil || !strings.HasPrefix(err.Error(), "reload certificates of smtpserver: <keystore>: "+file+": it is neither JKS nor") {
				t.Errorf("got %v", err)
			}
			if n := serial(t, h, trust(t, filepath.Join(dir, "cert.pem"))); n != 2 {
				t.Errorf("certificate %d after a reload that failed", n)
			}
		})
	}
}

func TestTruststore(t *testing.T) {
	dir := t.TempDir()
	key, cert := writeCertificate(t, dir, 1)
	_, leaf := readPair(t, dir)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	with := trust(t, cert)
	with.Certificates = []tls.Certificate{pair}
	p12, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{leaf}, "ts")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "trust.p12"), p12)
	writeJKS(t, filepath.Join(dir, "trust.jks"), "ts", nil, leaf)
	for _, name := range []string{"trust.p12", "trust.jks"} {
		h := startWith(t, fmt.Sprintf(`<tls socketTLS="true"><privateKey>%s</privateKey><certificates>%s</certificates>
			<clientAuth><truststore>file://conf/%s</truststore><truststoreType>JKS</truststoreType><truststoreSecret>ts</truststoreSecret></clientAuth></tls>`,
			key, cert, name), nil, Options{ConfDir: dir})
		if n := serial(t, h, with); n != 1 {
			t.Errorf("%s: certificate %d", name, n)
		}
		// In TLS 1.2 the handshake itself fails.
		without := trust(t, cert)
		without.MaxVersion = tls.VersionTLS12
		nc, err := net.Dial("tcp", h.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		if err := tls.Client(nc, without).Handshake(); err == nil {
			t.Errorf("%s: a client without certificate is let in", name)
		}
		nc.Close()
	}
}

// Each problem stands where the file is named, and none shows a secret.
func TestTLSProblems(t *testing.T) {
	dir := t.TempDir()
	keyFile, certFile := writeCertificate(t, dir, 1)
	key, cert := readPair(t, dir)
	file := func(name string) string { return filepath.Join(dir, name) }
	writeJKS(t, file("jks"), "geheim", key, cert)
	writeJKS(t, file("trust"), "geheim", nil, cert)
	writeFile(t, file("expired"), expired(t))
	writeFile(t, file("rubbish"), []byte("rubbish"))
	pem := fmt.Sprintf("<privateKey>%s</privateKey>\n<certificates>%s</certificates>", keyFile, certFile)
	for _, tc := range []struct{ name, xml, want string }{
		{"no file", "\n<keystore>file://conf/none</keystore>", ":2:1: error: <keystore>: " + file("none") + ": no such file or directory"},
		{"folder", "\n<keystore>file://conf/</keystore>", ":2:1: error: <keystore>: " + dir + ": it is not a regular file"},
		{"secret", "\n<keystore>jks</keystore><secret>geh</secret>", ":2:1: error: <keystore>: " + file("jks") + ": the secret is wrong or missing, or the file is damaged"},
		{"no secret", "\n<keystore>jks</keystore>", ":2:1: error: <keystore>: " + file("jks") + ": the secret is wrong or missing"},
		{"no key", "\n<keystore>trust</keystore><secret>geheim</secret>", ":2:1: error: <keystore>: " + file("trust") + ": it holds no private key"},
		{"PEM", "\n<keystore>cert.pem</keystore>", ":2:1: error: <keystore>: " + file("cert.pem") + ": it is a PEM file"},
		{"expired", "\n<keystore>expired</keystore><secret>s</secret>", ":2:1: warning: the certificate of CN=old.here.test expired on 20"},
		{"no key file", "<certificates>cert.pem</certificates>\n<privateKey>none</privateKey>", ":2:1: error: <privateKey>: " + file("none") + ": no such file"},
		{"no certificate file", "<privateKey>key.pem</privateKey>\n<certificates>none</certificates>", ":2:1: error: <certificates>: " + file("none") + ": no such file"},
		{"foreign key", "\n<privateKey>rubbish</privateKey><certificates>cert.pem</certificates>", ":2:1: error: <privateKey>: use " + file("rubbish") + " with <certificates>"},
		{"no trust store", pem + "<clientAuth>\n<truststore>none</truststore></clientAuth>", ":3:1: error: <truststore>: " + file("none") + ": no such file"},
		{"secret of trust store", pem + "<clientAuth>\n<truststore>trust</truststore><truststoreSecret>geh</truststoreSecret></clientAuth>",
			":3:1: error: <truststore>: " + file("trust") + ": the secret is wrong or missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, r := build(t, smtpserverXML(`<tls startTLS="true">`+tc.xml+`</tls>`), nil, Options{ConfDir: dir})
			var got []conf.Problem
			for _, p := range r.Problems() {
				if strings.Contains(p.Text, "geh") {
					t.Errorf("the secret is in %s", p)
				}
				got = append(got, p)
			}
			if len(got) != 1 || !strings.Contains(got[0].String(), tc.want) {
				t.Errorf("got %v, want %s", got, tc.want)
			}
		})
	}
}

// expired returns a PKCS #12 keystore whose certificate is expired.
func expired(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "old.here.test"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	data, err := pkcs12.Modern.Encode(key, cert, nil, "s")
	if err != nil {
		t.Fatal(err)
	}
	return data
}
