package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

// writeCertificate makes a key and a certificate for mx.here.test, signed by
// itself, in dir.
func writeCertificate(t testing.TB, dir string, serial int64) (keyFile, certFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "mx.here.test"},
		DNSNames: []string{"mx.here.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyFile, certFile = filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
	writePEM(t, keyFile, "PRIVATE KEY", der)
	writePEM(t, certFile, "CERTIFICATE", cert)
	return keyFile, certFile
}

func writePEM(t testing.TB, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func tlsXML(t testing.TB, dir, attr string) string {
	key, cert := writeCertificate(t, dir, 1)
	return fmt.Sprintf(`<tls %s="true"><privateKey>file://%s</privateKey><certificates>file://%s</certificates></tls>`, attr, key, cert)
}

func trust(t *testing.T, certFile string) *tls.Config {
	t.Helper()
	data, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(data)
	return &tls.Config{RootCAs: pool, ServerName: "mx.here.test"}
}

func TestStartTLS(t *testing.T) {
	dir := t.TempDir()
	h := start(t, tlsXML(t, dir, "startTLS")+`<auth><announce>always</announce><requireSSL>true</requireSSL></auth>`)
	c := h.dial()
	c.send("EHLO client.test\r\n")
	c.expect("220 ...", "250-...", "250-SMTPUTF8", "250-PIPELINING", "250-...", "250-8BITMIME", "250-CHUNKING", "250-BINARYMIME", "250 STARTTLS")
	c.send("MAIL FROM:<old@far.test>\r\n")
	c.expect("250 ...")
	c.send("STARTTLS\r\n")
	c.expect("220 2.0.0 Ready to start TLS")
	c.startTLS(trust(t, filepath.Join(dir, "cert.pem")))
	c.send("MAIL FROM:<a@far.test>\r\n")
	c.expect("503 5.5.0 Need HELO or EHLO before MAIL")
	c.send("EHLO client.test\r\nSTARTTLS\r\n")
	c.expect("250-...", "250-SMTPUTF8", "250-AUTH LOGIN PLAIN", "250-AUTH=LOGIN PLAIN", "250-PIPELINING", "250-...", "250-8BITMIME", "250-CHUNKING", "250 BINARYMIME",
		"500 5.5.1 TLS already active RFC2487 5.2")
	c.send("AUTH PLAIN AGJvYkBoZXJlLnRlc3QAc2VjcmV0\r\nMAIL FROM:<bob@here.test>\r\nRCPT TO:<x@far.test>\r\nDATA\r\nTo: x\r\n\r\nbody\r\n.\r\n")
	c.expect("235 ...", "250 ...", "250 ...", "354 ...", "250 ...")
	m := h.one()
	received, _, _ := split(t, m)
	if !strings.Contains(received, "\r\n          (using TLSv1.3 with cipher TLS_") || !strings.Contains(received, " with ESMTPSA ID ") {
		t.Errorf("Received: %q", received)
	}
	if v, _ := m.Attributes.String(container.AttrTLSProtocol); v != "TLSv1.3" {
		t.Errorf("ssl.protocol %q", v)
	}
	if v, _ := m.Attributes.String(container.AttrTLSCipher); !strings.HasPrefix(v, "TLS_") {
		t.Errorf("ssl.cipher %q", v)
	}
}

func TestStartTLSRefused(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct{ name, script string }{
		{"argument", "S: 220 ...\nC: STARTTLS now\nS: 451 Unable to process request\nCLOSED"},
		{"appended", "S: 220 ...\nC: STARTTLSnow\nS: 451 Unable to process request\nCLOSED"},
		{"pipelined", "S: 220 ...\nC+ STARTTLS\nC: NOOP\nS: 451 Unable to process request\nCLOSED"},
		{"pipelined octets", "S: 220 ...\nC' \"STARTTLS\\r\\nR\"\nS: 451 Unable to process request\nCLOSED"},
		{"authenticated", "S: 220 ...\nC: AUTH PLAIN AGJvYkBoZXJlLnRlc3QAc2VjcmV0\nS: 235 ...\nC: STARTTLS\nS: 501 5.5.4 Syntax error (invalid command in this state) Already authenticated...\nC: NOOP\nS: 250 ..."},
		{"behind EHLO", "S: 220 ...\nC+ HELO x\nC: STARTTLS\nS: 250 ...\nS: 220 2.0.0 ..."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, tlsXML(t, dir, "startTLS")+`<auth><announce>always</announce></auth>`)
			h.dial().talk(tc.script)
		})
	}
}

func TestImplicitTLS(t *testing.T) {
	dir := t.TempDir()
	h := start(t, tlsXML(t, dir, "socketTLS"))
	c := h.dial()
	c.startTLS(trust(t, filepath.Join(dir, "cert.pem")))
	c.talk("S: 220 ...\nC: STARTTLS\nS: 500 5.5.1 Command STARTTLS unrecognized.\nC: QUIT\nS: 221 ...\nCLOSED")
}

func TestReloadCertificates(t *testing.T) {
	dir := t.TempDir()
	h := start(t, tlsXML(t, dir, "socketTLS"))
	old := trust(t, filepath.Join(dir, "cert.pem"))
	c := h.dial()
	c.startTLS(old)
	c.expect("220 ...")

	key, _ := writeCertificate(t, dir, 2)
	if err := h.ReloadCertificates(); err != nil {
		t.Fatal(err)
	}
	fresh := h.dial()
	fresh.startTLS(trust(t, filepath.Join(dir, "cert.pem")))
	if n := fresh.nc.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64(); n != 2 {
		t.Errorf("new connection has certificate %d", n)
	}
	c.talk("C: NOOP\nS: 250 ...") // the open connection goes on

	if err := os.WriteFile(key, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.ReloadCertificates(); err == nil {
		t.Error("a broken key is accepted")
	}
	again := h.dial()
	again.startTLS(trust(t, filepath.Join(dir, "cert.pem")))
	again.expect("220 ...")
}

func TestClientCertificate(t *testing.T) {
	dir := t.TempDir()
	key, cert := writeCertificate(t, dir, 1)
	h := start(t, fmt.Sprintf(`<tls socketTLS="true"><privateKey>%s</privateKey><certificates>%s</certificates>
		<clientAuth><truststore>%s</truststore></clientAuth>
		<supportedProtocols><protocol>TLSv1.2</protocol></supportedProtocols>
		<supportedCipherSuites><cipherSuite>TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256</cipherSuite></supportedCipherSuites></tls>`, key, cert, cert))
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := trust(t, cert)
	cfg.Certificates = []tls.Certificate{pair}
	c := h.dial()
	c.startTLS(cfg)
	c.expect("220 ...")
	st := c.nc.(*tls.Conn).ConnectionState()
	if tlsName(st.Version) != "TLSv1.2" || tls.CipherSuiteName(st.CipherSuite) != "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" {
		t.Errorf("negotiated %s %s", tlsName(st.Version), tls.CipherSuiteName(st.CipherSuite))
	}
	nc, err := net.Dial("tcp", h.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := tls.Client(nc, trust(t, cert)).Handshake(); err == nil {
		t.Error("a client without certificate is let in")
	}
}

// The key was encrypted with: openssl pkcs8 -topk8 -v2 aes256 -passout pass:secret
func TestDecryptKey(t *testing.T) {
	data, err := os.ReadFile("testdata/encrypted-key.pem")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := decryptKey(data, "secret")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(plain)
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		t.Error(err)
	}
	if out, err := decryptKey(data, "wrong"); err == nil {
		block, _ := pem.Decode(out)
		if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			t.Error("any password will do")
		}
	}
	if _, err := decryptKey([]byte("no PEM"), ""); err != nil {
		t.Errorf("other data: %v", err)
	}
}

func TestResolvePath(t *testing.T) {
	for in, want := range map[string]string{
		"file:///abs/key": "/abs/key",
		"/abs/key":        "/abs/key",
		"file://conf/key": "/etc/mailetd/key",
		"classpath:key":   "/etc/mailetd/key",
		"classpath://key": "/etc/mailetd/key",
		"no-such-key":     "/etc/mailetd/no-such-key",
		"file://no/such":  "/etc/mailetd/no/such",
		"testdata":        "testdata",
	} {
		if got := resolvePath(in, "/etc/mailetd"); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// Ending a connection does not wait for a client that reads nothing: at shutdown
// there may be thousands of them.
func TestKillDoesNotWaitForTLS(t *testing.T) {
	dir := t.TempDir()
	h, r := build(t, smtpserverXML(tlsXML(t, dir, "socketTLS")), nil, Options{})
	if r.HasErrors() {
		t.Fatal(r.Problems())
	}
	ours, theirs := net.Pipe() // a write waits for its reader
	defer theirs.Close()
	c := newConn(h.endpoints[0], ours, remoteIP(ours))
	shaken := make(chan error, 1)
	go func() {
		cfg := trust(t, filepath.Join(dir, "cert.pem"))
		cfg.MaxVersion = tls.VersionTLS12 // nothing follows the handshake
		shaken <- tls.Client(theirs, cfg).Handshake()
	}()
	if !c.handshake(t.Context()) {
		t.Fatal("no handshake")
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	c.kill()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}
