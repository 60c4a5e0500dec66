package webadmin

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mailetd/mailetd/container/throttle"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestPasswords(t *testing.T) {
	b := newBench(t, Config{Passwords: []string{"full", "other"}, ReadOnly: []string{"read"}, NoDelete: []string{"keep", "read"}}, nil)
	for _, tc := range []struct {
		name, method, target string
		header               []string
		status               int
		body                 string
	}{
		{"none", "GET", "/domains", nil, 401, "No Password in header."},
		{"wrong", "GET", "/domains", []string{"Password", "guess"}, 401, "Wrong password."},
		{"empty", "GET", "/domains", []string{"Password", ""}, 401, "Wrong password."},
		{"prefix", "GET", "/domains", []string{"Password", "ful"}, 401, "Wrong password."},
		{"basic", "GET", "/domains", []string{"Authorization", "Basic ZnVsbA=="}, 401, "No Password in header."},
		{"bearer", "GET", "/mailQueues", []string{"Authorization", "Bearer other"}, 200, `["spool"]`},
		{"full deletes", "DELETE", "/domains/x.tld", []string{"Password", "full"}, 204, ""},
		{"read only reads", "GET", "/mailQueues", []string{"Password", "read"}, 200, `["spool"]`},
		{"read only heads", "HEAD", "/users/bob@b.com", []string{"Password", "read"}, 200, ""},
		{"read only does not delete", "DELETE", "/domains/x.tld", []string{"Password", "read"}, 403, "Insufficient permissions for this operation."},
		{"no delete adds", "PUT", "/domains/x.tld", []string{"Password", "keep"}, 204, ""},
		{"no delete does not delete", "DELETE", "/domains/x.tld", []string{"Password", "keep"}, 403, "Insufficient permissions for this operation."},
		{"unknown path asks nothing", "GET", "/unknown", nil, 404, `{"statusCode":404,"type":"notFound","message":"GET /unknown can not be found","details":null}`},
		{"unknown method of a known path", "PATCH", "/domains", nil, 401, "No Password in header."},
		{"below a known path", "GET", "/domains/a/b/c/d", nil, 401, "No Password in header."},
		{"duplicate slashes", "GET", "///domains", nil, 401, "No Password in header."},
		{"health is public", "GET", "/healthcheck", nil, 200, `{"status":"healthy","checks":[]}`},
		{"options", "OPTIONS", "/domains", nil, 200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := b.do(tc.method, tc.target, "", tc.header...)
			if w.Code != tc.status || w.Body.String() != tc.body {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tc.status, tc.body)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type: got %q", got)
			}
		})
	}
}

func TestGeneratedPassword(t *testing.T) {
	b := newBench(t, Config{Host: "0.0.0.0", GeneratePassword: true}, nil)
	_, rest, ok := strings.Cut(b.log.String(), `level=WARN msg="Generated WebAdmin password: `)
	password, _, _ := strings.Cut(rest, `"`)
	raw, err := base64.URLEncoding.DecodeString(password)
	if !ok || err != nil || len(raw) != 32 {
		t.Fatalf("log: %s", b.log)
	}
	if w := b.do("GET", "/domains", ""); w.Code != 401 {
		t.Errorf("without: got %d", w.Code)
	}
	if w := b.do("GET", "/domains", "", "Password", password); w.Code != 200 {
		t.Errorf("with: got %d", w.Code)
	}
}

func TestOpenToOthersWarns(t *testing.T) {
	b := newBench(t, Config{Host: "0.0.0.0"}, nil)
	if !strings.Contains(b.log.String(), "level=WARN") {
		t.Error("no warning")
	}
	if b := newBench(t, Config{}, nil); strings.Contains(b.log.String(), "level=WARN") {
		t.Errorf("loopback: %s", b.log)
	}
}

// An API without credentials is not for the pages of a browser.
func TestForeignOrigins(t *testing.T) {
	open := newBench(t, Config{}, nil)
	for _, tc := range []struct {
		name   string
		b      *bench
		header []string
		status int
	}{
		{"curl", open, nil, 200},
		{"own origin", open, []string{"Origin", "http://127.0.0.1:8000"}, 200},
		{"foreign origin", open, []string{"Origin", "https://evil.test"}, 403},
		{"opaque origin", open, []string{"Origin", "null"}, 403},
		{"foreign site", open, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"typed address", open, []string{"Sec-Fetch-Site", "none"}, 200},
		{"cors.enable", newBench(t, Config{CORSTrusted: true, CORSOrigin: "*"}, nil), []string{"Origin", "https://ui.test"}, 200},
		{"cors.origin", newBench(t, Config{CORSTrusted: true, CORSOrigin: "https://ui.test"}, nil), []string{"Origin", "https://ui.test", "Sec-Fetch-Site", "cross-site"}, 200},
		{"another origin than cors.origin", newBench(t, Config{CORSTrusted: true, CORSOrigin: "https://ui.test"}, nil), []string{"Origin", "https://evil.test"}, 403},
	} {
		if w := tc.b.do("GET", "/mailQueues", "", tc.header...); w.Code != tc.status {
			t.Errorf("%s: got %d %s, want %d", tc.name, w.Code, w.Body, tc.status)
		}
	}
	for name, want := range map[string]bool{
		"localhost:8000": true, "[::1]:8000": true, "10.0.0.1": true, "mx1": true, "a.localhost": true, "MX1.example.org:8000": true, "evil.test:8000": false,
	} {
		if got := localName(name, "mx1.example.org"); got != want {
			t.Errorf("localName(%q): got %v", name, got)
		}
	}
	locked := newBench(t, Config{Passwords: []string{"p"}}, nil)
	if w := locked.do("GET", "/mailQueues", "", "Origin", "https://ui.test", "Password", "p"); w.Code != 200 {
		t.Errorf("with a password: got %d", w.Code)
	}
}

func publicPEM(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func sign(t *testing.T, m jwt.SigningMethod, key any, c jwt.MapClaims) string {
	t.Helper()
	s, err := jwt.NewWithClaims(m, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJWT(t *testing.T) {
	first, _ := rsa.GenerateKey(rand.Reader, 2048)
	second, _ := rsa.GenerateKey(rand.Reader, 2048)
	stranger, _ := rsa.GenerateKey(rand.Reader, 2048)
	third, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, fourth, _ := ed25519.GenerateKey(rand.Reader)
	keys := slices.Concat(publicPEM(t, &first.PublicKey), publicPEM(t, &second.PublicKey), publicPEM(t, &third.PublicKey), publicPEM(t, fourth.Public()))
	b := newBench(t, Config{JWT: true, JWTKeys: "file://conf/jwt", Passwords: []string{"p"}}, func(d *Deps) {
		d.ReadFile = func(url string) ([]byte, error) {
			if url != "file://conf/jwt" {
				return nil, os.ErrNotExist
			}
			return keys, nil
		}
	})
	admin := jwt.MapClaims{"sub": "root@b.com", "admin": true}
	hour := time.Now().Add(time.Hour).Unix()
	good := sign(t, jwt.SigningMethodRS256, first, admin)
	for _, tc := range []struct {
		name, token, body string
	}{
		{"first key", good, ""},
		{"second key", sign(t, jwt.SigningMethodRS256, second, admin), ""},
		{"not expired", sign(t, jwt.SigningMethodRS256, first, jwt.MapClaims{"admin": true, "exp": hour}), ""},
		{"expired", sign(t, jwt.SigningMethodRS256, first, jwt.MapClaims{"admin": true, "exp": 1}), "Invalid token."},
		{"stranger's key", sign(t, jwt.SigningMethodRS256, stranger, admin), "Invalid token."},
		{"none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, admin), "Invalid token."},
		{"HS256 with the public key", sign(t, jwt.SigningMethodHS256, keys, admin), "Invalid token."},
		{"RS512", sign(t, jwt.SigningMethodRS512, first, admin), ""},
		{"PS384", sign(t, jwt.SigningMethodPS384, second, admin), ""},
		{"ES256", sign(t, jwt.SigningMethodES256, third, admin), ""},
		{"EdDSA", sign(t, jwt.SigningMethodEdDSA, fourth, admin), ""},
		{"HS512 with a public key", sign(t, jwt.SigningMethodHS512, publicPEM(t, &third.PublicKey), admin), "Invalid token."},
		{"not so soon", sign(t, jwt.SigningMethodES256, third, jwt.MapClaims{"admin": true, "nbf": hour}), "Invalid token."},
		{"malformed", "a.b.c", "Invalid token."},
		{"empty", "", "Invalid token."},
		{"password", "p", "Invalid token."},
		{"changed", good[:len(good)-8] + "AAAAAAAA", "Invalid token."},
		{"no admin", sign(t, jwt.SigningMethodRS256, first, jwt.MapClaims{"sub": "bob@b.com"}), "Non authorized user."},
		{"admin false", sign(t, jwt.SigningMethodRS256, first, jwt.MapClaims{"admin": false}), "Non authorized user."},
		{"admin as text", sign(t, jwt.SigningMethodRS256, first, jwt.MapClaims{"admin": "true"}), "Non authorized user."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b.limiter = throttle.New(clock)
			w := b.do("GET", "/mailQueues", "", "Authorization", "Bearer "+tc.token)
			status, body := 200, `["spool"]`
			if tc.body != "" {
				status, body = 401, tc.body
			}
			if w.Code != status || w.Body.String() != body {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, status, body)
			}
		})
	}
	if w := b.do("GET", "/mailQueues", "", "Password", "p"); w.Code != 401 || w.Body.String() != "No Bearer header." {
		t.Errorf("no bearer: got %d %s", w.Code, w.Body)
	}
	b.log.Reset()
	b.do("PUT", "/domains/new.tld", "", "Authorization", "Bearer "+good)
	if !strings.Contains(b.log.String(), `msg="webadmin change"`) || !strings.Contains(b.log.String(), "login=root@b.com") {
		t.Errorf("the change is not in the log: %s", b.log)
	}
	if strings.Contains(b.log.String(), good) {
		t.Error("the token is in the log")
	}
}

func TestBadKeys(t *testing.T) {
	agreement, _ := ecdh.X25519().GenerateKey(rand.Reader)
	short := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}
	for _, tc := range []struct{ name, pem, want string }{
		{"nothing", "", "there is no public key in PEM"},
		{"private", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "PRIVATE KEY is no public key"},
		{"broken", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "read PUBLIC KEY"},
		{"cannot sign", string(publicPEM(t, agreement.Public())), "none of RSA, ECDSA and Ed25519"},
		{"too short", string(publicPEM(t, short)), "1024 bits"},
	} {
		if _, err := newJWTGuard([]byte(tc.pem)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestBodiesAreNotLogged(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.want("PUT", "/users/carol@b.com", `{"password":"very-secret"}`, 204, "")
	b.want("POST", "/users/carol@b.com/verify", `{"password":"very-secret"}`, 204, "")
	if log := b.log.String(); strings.Contains(log, "very-secret") || !strings.Contains(log, "/users/carol@b.com") {
		t.Errorf("log: %s", log)
	}
}

// selfSigned returns a certificate for 127.0.0.1 and its key, in PEM.
func selfSigned(t *testing.T) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: kder})
}

// The line about a change says who made it, what it was and from where.
func TestAudit(t *testing.T) {
	b := newBench(t, Config{Passwords: []string{"all"}, NoDelete: []string{"first", "second"}, ReadOnly: []string{"look"}}, nil)
	for _, tc := range []struct {
		method, password string
		header           []string
		want             []string // of the line about the change; none: there is no line
	}{
		{"PUT", "all", nil, []string{"login=password", "method=PUT", "path=/domains/new.tld", `query=""`, "status=204", "remote=192.0.2.1:1234"}},
		{"PUT", "second", nil, []string{"login=password.nodelete#2"}},
		{"PUT", "first", []string{"X-Forwarded-For", "10.0.0.1", "X-Real-IP", "10.0.0.2"}, []string{"login=password.nodelete", "remote=192.0.2.1:1234"}},
		{"DELETE", "first", nil, nil},
		{"PUT", "look", nil, nil},
		{"PUT", "wrong", nil, nil},
		{"GET", "all", nil, nil},
	} {
		b.log.Reset()
		b.do(tc.method, "/domains/new.tld", "", append(tc.header, "Password", tc.password)...)
		line := ""
		for l := range strings.Lines(b.log.String()) {
			if strings.Contains(l, `msg="webadmin change"`) {
				line = l
			}
		}
		if (line == "") != (tc.want == nil) {
			t.Errorf("%s with %s: got %q", tc.method, tc.password, line)
		}
		for _, want := range tc.want {
			if !strings.Contains(strings.TrimSpace(line)+" ", " "+want+" ") {
				t.Errorf("%s with %s: %s is missing in %s", tc.method, tc.password, want, line)
			}
		}
	}
	r := httptest.NewRequest("PUT", "/domains/new.tld", nil)
	r.RemoteAddr = "127.0.0.1:5000"
	r.Header.Set("X-Real-IP", "10.0.0.2")
	r.Header.Set("Password", "all")
	b.log.Reset()
	b.ServeHTTP(httptest.NewRecorder(), r)
	if got := b.log.String(); strings.Count(got, "remote=10.0.0.2") != 2 || strings.Count(got, "proxy=127.0.0.1:5000") != 2 {
		t.Errorf("behind a proxy: %s", got)
	}
}
