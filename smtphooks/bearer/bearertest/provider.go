// Package bearertest is an OpenID Connect provider for tests.
package bearertest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mailetd/mailetd/conf"
)

// Provider answers for its keys, introspection and userinfo on a port of this
// machine. Tokens are signed with the key that is in use.
type Provider struct {
	*httptest.Server
	t testing.TB

	mu      sync.Mutex
	keys    map[string]*rsa.PrivateKey
	kid     string
	fetches int
	down    bool
	hold    chan struct{}
	answer  func(path string) (status int, body any) // of introspection and userinfo
	asked   []*http.Request
}

// Audience is what tokens are for.
const Audience = "mail"

// New starts a provider with one key.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{t: t, keys: map[string]*rsa.PrivateKey{}}
	p.Rotate("one")
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

// Config is a configuration for this provider: the claim is email.
func (p *Provider) Config() conf.OIDC {
	return conf.OIDC{ConfigurationURL: p.URL + "/.well-known/openid-configuration", Issuer: p.URL, JWKSURL: p.URL + "/certs",
		Claim: "email", Scope: "openid profile", Audience: Audience}
}

// Rotate makes a new key and withdraws the others.
func (p *Provider) Rotate(kid string) {
	p.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys, p.kid = map[string]*rsa.PrivateKey{kid: key}, kid
}

// Key returns the key in use.
func (p *Provider) Key() *rsa.PrivateKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[p.kid]
}

// Down makes the provider answer 503 to everything, or no longer.
func (p *Provider) Down(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// Hold makes requests wait until the channel is closed.
func (p *Provider) Hold(c chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = c
}

// Answer sets what introspection ("/introspect") and userinfo ("/userinfo")
// answer.
func (p *Provider) Answer(f func(path string) (status int, body any)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

// Fetches returns how often the keys were asked for.
func (p *Provider) Fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

// Asked returns the requests for introspection and userinfo, their forms read.
func (p *Provider) Asked() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// Claims are those of a good token of user.
func (p *Provider) Claims(user string) jwt.MapClaims {
	return jwt.MapClaims{"iss": p.URL, "aud": []string{"other", Audience}, "exp": time.Now().Add(time.Hour).Unix(), "email": user, "sub": "1"}
}

// Token returns a good token of user.
func (p *Provider) Token(user string) string { return p.Sign(p.Claims(user)) }

// Sign returns a token with these claims, signed with the key in use.
func (p *Provider) Sign(claims jwt.MapClaims) string {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	return Sign(p.t, jwt.SigningMethodRS256, p.keys[p.kid], p.kid, claims)
}

// Sign returns a token that is signed as told.
func Sign(t testing.TB, method jwt.SigningMethod, key any, kid string, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	hold := p.hold
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	status, body := http.StatusNotFound, any(nil)
	switch {
	case p.down:
		status = http.StatusServiceUnavailable
	case r.URL.Path == "/certs":
		p.fetches++
		status, body = http.StatusOK, p.jwks()
	case p.answer != nil:
		_ = r.ParseForm() // what cannot be read is missing, and the test fails
		p.asked = append(p.asked, r)
		status, body = p.answer(r.URL.Path)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		fmt.Fprintln(w, err)
	}
}

func (p *Provider) jwks() any {
	enc := base64.RawURLEncoding.EncodeToString
	var keys []map[string]string
	for kid, k := range p.keys {
		keys = append(keys, map[string]string{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
			"n": enc(k.N.Bytes()), "e": enc(big.NewInt(int64(k.E)).Bytes())})
	}
	return map[string]any{"keys": keys}
}
