package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/mailetd/mailetd/conf"
)

// acmeAuthority is an ACME authority (RFC 8555) for one order at a time. It answers
// for whoever answers its challenge at the address that the test gives it, and
// looks at no signature of a request.
type acmeAuthority struct {
	*httptest.Server
	t         *testing.T
	challenge string // type that it offers
	port      string // where it asks
	key       *ecdsa.PrivateKey
	root      *x509.Certificate

	mu      sync.Mutex
	nonces  int
	valid   bool // the challenge was answered
	refused bool // or was not
	chain   []byte
	orders  int
	domain  string
}

func newAuthority(t *testing.T, challenge string) *acmeAuthority {
	t.Helper()
	a := &acmeAuthority{t: t, challenge: challenge, port: freePort(t)}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.root, _ = x509.ParseCertificate(der)
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// ServeHTTP implements http.Handler.
func (a *acmeAuthority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nonces++
	w.Header().Set("Replay-Nonce", fmt.Sprint("nonce", a.nonces))
	w.Header().Set("Content-Type", "application/json")
	payload := a.payload(r)
	status := func() string {
		switch {
		case a.valid:
			return "valid"
		case a.refused:
			return "invalid"
		}
		return "pending"
	}
	challenge := map[string]any{"type": a.challenge, "url": a.URL + "/challenge", "token": "token-of-the-test", "status": status()}
	switch r.URL.Path {
	case "/directory":
		a.write(w, 200, map[string]string{"newNonce": a.URL + "/nonce", "newAccount": a.URL + "/account", "newOrder": a.URL + "/new", "revokeCert": a.URL + "/revoke", "keyChange": a.URL + "/key"})
	case "/nonce":
	case "/account":
		w.Header().Set("Location", a.URL+"/account/1")
		a.write(w, 201, map[string]any{"status": "valid"})
	case "/new":
		var o struct{ Identifiers []struct{ Value string } }
		_ = json.Unmarshal(payload, &o)
		a.domain, a.valid, a.refused = o.Identifiers[0].Value, false, false
		a.orders++
		w.Header().Set("Location", a.URL+"/order")
		a.write(w, 201, a.order("pending"))
	case "/order":
		a.write(w, 200, a.order(map[bool]string{true: "valid", false: "ready"}[a.chain != nil]))
	case "/authz":
		a.write(w, 200, map[string]any{"status": status(), "identifier": map[string]string{"type": "dns", "value": a.domain}, "challenges": []any{challenge}})
	case "/challenge":
		a.valid = a.ask()
		a.refused = !a.valid
		challenge["status"] = status()
		a.write(w, 200, challenge)
	case "/finalize":
		a.sign(payload)
		w.Header().Set("Location", a.URL+"/order")
		a.write(w, 200, a.order("valid"))
	case "/cert":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = w.Write(a.chain)
	default:
		http.NotFound(w, r)
	}
}

func (a *acmeAuthority) write(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// payload returns what a request says (RFC 7515).
func (a *acmeAuthority) payload(r *http.Request) []byte {
	var jws struct{ Payload string }
	_ = json.NewDecoder(r.Body).Decode(&jws)
	b, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
	return b
}

func (a *acmeAuthority) order(status string) map[string]any {
	o := map[string]any{"status": status, "identifiers": []any{map[string]string{"type": "dns", "value": a.domain}},
		"authorizations": []string{a.URL + "/authz"}, "finalize": a.URL + "/finalize"}
	if status == "valid" {
		o["certificate"] = a.URL + "/cert"
	}
	return o
}

// ask puts the challenge to the server.
func (a *acmeAuthority) ask() bool {
	addr := "127.0.0.1:" + a.port
	if a.challenge == "tls-alpn-01" {
		nc, err := tls.Dial("tcp", addr, &tls.Config{ServerName: a.domain, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		defer nc.Close()
		for _, e := range nc.ConnectionState().PeerCertificates[0].Extensions {
			if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) {
				return true
			}
		}
		return false
	}
	req, _ := http.NewRequest(http.MethodGet, "http://"+addr+"/.well-known/acme-challenge/token-of-the-test", nil)
	req.Host = a.domain
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return strings.HasPrefix(string(body), "token-of-the-test.")
}

// sign makes the certificate that is asked for.
func (a *acmeAuthority) sign(payload []byte) {
	var f struct{ CSR string }
	_ = json.Unmarshal(payload, &f)
	der, _ := base64.RawURLEncoding.DecodeString(f.CSR)
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil || !a.valid {
		a.t.Errorf("finalize: %v; challenge answered: %t", err, a.valid)
		return
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(int64(100 + a.orders)), DNSNames: csr.DNSNames, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, a.root, csr.PublicKey, a.key)
	if err != nil {
		a.t.Error(err)
	}
	a.chain = append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})...)
}

func (a *acmeAuthority) xml(attr string) string {
	return fmt.Sprintf(`<tls %s="true"><acme><domains>mx.here.test</domains><email>hostmaster@here.test</email><directory>%s/directory</directory>
		<challenge>%s</challenge><address>127.0.0.1:%s</address></acme></tls>`, attr, a.URL, a.challenge, a.port)
}

func (a *acmeAuthority) trust() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	return &tls.Config{RootCAs: pool, ServerName: "mx.here.test"}
}

// offersTLS waits until the answer to EHLO has STARTTLS.
func (h *harness) offersTLS() *client {
	h.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		c := h.dial()
		c.expect("220 ...")
		c.send("EHLO client.test\r\n")
		for {
			line := c.line()
			if line == "250-STARTTLS" || line == "250 STARTTLS" {
				c.send("STARTTLS\r\n")
				for !strings.HasPrefix(line, "220 ") {
					line = c.line()
				}
				return c
			}
			if strings.HasPrefix(line, "250 ") {
				break
			}
		}
		c.nc.Close()
		if time.Now().After(deadline) {
			h.t.Fatalf("STARTTLS is not offered:\n%s", h.log)
		}
	}
}

// A certificate is obtained, used for STARTTLS as soon as it is there and not
// before, survives reloads, and is found on disk by the next process.
func TestACME(t *testing.T) {
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			a, data := newAuthority(t, challenge), t.TempDir()
			h := startWith(t, a.xml("startTLS"), nil, Options{DataDir: data})
			c := h.offersTLS()
			c.startTLS(a.trust())
			c.talk("C: EHLO client.test\nS: 250-...")
			h.mustReload(smtpserverXML(a.xml("startTLS") + "<smtpGreeting>new</smtpGreeting>"))
			c = h.dial()
			c.talk("S: 220 new\nC: STARTTLS\nS: 220 ...")
			c.startTLS(a.trust())
			h.stop()
			h.wait()

			h = startWith(t, a.xml("startTLS"), nil, Options{DataDir: data})
			h.offersTLS().startTLS(&tls.Config{RootCAs: a.trust().RootCAs, ServerName: "mx.here.test"})
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.orders != 1 {
				t.Errorf("%d orders, want 1", a.orders)
			}
		})
	}
}

// Without a certificate mail comes in without TLS, the log says why, and the end is
// not put off.
func TestACMERefused(t *testing.T) {
	a := newAuthority(t, "http-01")
	elements := a.xml("startTLS")
	a.port = freePort(t) // where nobody answers
	h := startWith(t, elements, nil, Options{DataDir: t.TempDir()})
	for deadline := time.Now().Add(patience); !strings.Contains(h.log.String(), `level=ERROR msg="acme: `); {
		if time.Now().After(deadline) {
			t.Fatalf("nothing is logged:\n%s", h.log)
		}
		c := h.begin()
		c.send(".\r\nEHLO client.test\r\n")
		c.expect("250 2.6.0 ...")
		for line := ""; !strings.HasPrefix(line, "250 "); {
			if line = c.line(); strings.HasSuffix(line, "STARTTLS") {
				t.Fatal("STARTTLS is offered without a certificate")
			}
		}
		c.nc.Close()
	}
	h.stop()
	h.wait()
}

// TestACMEMended: after a reload that mends the configuration the certificate comes
// at once; what was tried before is not tried any more, and was tried once, however
// many servers want it and however often all is reloaded.
func TestACMEMended(t *testing.T) {
	a := newAuthority(t, "http-01")
	wrong, port := a.xml("startTLS"), a.port
	a.port = freePort(t) // where the authority asks
	right := a.xml("startTLS")
	h := startWith(t, wrong, nil, Options{DataDir: t.TempDir()})
	h.logged("acme: ")
	two := strings.ReplaceAll(smtpserverXML(wrong), "<smtpservers>", "<smtpservers>"+strings.TrimSuffix(strings.TrimPrefix(smtpserverXML(wrong), "<smtpservers>"), "</smtpservers>"))
	for range 3 {
		h.mustReload(two)
	}
	if a.mu.Lock(); a.orders != 1 {
		t.Errorf("%d orders before, want 1", a.orders)
	}
	a.mu.Unlock()
	first := h.acme.client(h.endpoints[0].acme())
	if h.acme.client(h.endpoints[1].acme()) != first {
		t.Error("two servers with the same <acme> have two clients")
	}
	h.mustReload(smtpserverXML(right))
	h.offersTLS().startTLS(a.trust())
	if first.work.Err() == nil {
		t.Error("the challenge is still to be answered at port " + port)
	}
	h.mustReload(smtpserverXML(wrong))
	h.mustReload(smtpserverXML(right)) // back, with a new client
	h.offersTLS().startTLS(a.trust())
}

// logged waits until an error that has text is in the log.
func (h *harness) logged(text string) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(h.log.String(), `level=ERROR msg="`+text); {
		if time.Now().After(deadline) {
			h.t.Fatalf("%q is not logged:\n%s", text, h.log)
		}
		h.begin().nc.Close()
	}
}

// TestACMEStorage: keys are nobody else's to read.
func TestACMEStorage(t *testing.T) {
	a, data := newAuthority(t, "http-01"), t.TempDir()
	h := startWith(t, a.xml("startTLS"), nil, Options{DataDir: data})
	h.offersTLS()
	keys := 0
	err := filepath.WalkDir(filepath.Join(data, "acme"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a lock
		}
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", path, info.Mode())
		}
		if strings.HasSuffix(path, ".key") {
			keys++
		}
		return err
	})
	if err != nil || keys != 2 {
		t.Errorf("%d keys, want that of the account and that of the certificate; %v", keys, err)
	}
}

// TestACMERetries: what has failed is tried where failures do not count, if there is
// such a place.
func TestACMERetries(t *testing.T) {
	s := &authorities{storage: t.TempDir(), log: slog.New(slog.DiscardHandler), clients: map[authority]*acmeClient{}}
	for directory, want := range map[string]string{certmagic.LetsEncryptProductionCA: certmagic.LetsEncryptStagingCA, "https://ca.here.test/directory": ""} {
		c := s.newClient(context.Background(), &conf.ACME{Directory: directory, Domains: []string{"mx.here.test"}, Challenge: conf.ACMEHTTP, Port: 80})
		defer c.stop()
		if got := c.magic.Issuers[0].(*certmagic.ACMEIssuer).TestCA; got != want {
			t.Errorf("%s: retries at %q, want %q", directory, got, want)
		}
	}
}
