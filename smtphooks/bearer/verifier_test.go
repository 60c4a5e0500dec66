package bearer

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/smtphooks/bearer/bearertest"
)

const bob = "bob@here.test"

// with returns the claims of a good token, changed.
func with(p *bearertest.Provider, changes jwt.MapClaims) jwt.MapClaims {
	claims := p.Claims(bob)
	for k, v := range changes {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	return claims
}

// wantRejected checks that token is refused for a reason with that text.
func wantRejected(t *testing.T, v *Verifier, token, reason string) {
	t.Helper()
	user, err := v.Verify(t.Context(), token)
	if user != "" && err == nil || !errors.Is(err, ErrRejected) || !strings.Contains(err.Error(), reason) {
		t.Errorf("got %q, %v, want it rejected: %s", user, err, reason)
	}
}

func wantUser(t *testing.T, v *Verifier, token string) {
	t.Helper()
	if user, err := v.Verify(t.Context(), token); user != bob || err != nil {
		t.Errorf("got %q, %v, want %s", user, err, bob)
	}
}

func TestClaims(t *testing.T) {
	p := bearertest.New(t)
	v := New(p.Config())
	for name, changes := range map[string]jwt.MapClaims{
		"all right":                nil,
		"one audience":             {"aud": bearertest.Audience},
		"issuer with slash":        {"iss": p.URL + "/"},
		"valid since a moment ago": {"nbf": time.Now().Add(-time.Second).Unix()},
		"verified address":         {"email_verified": true},
		"verified in a text":       {"email_verified": "True"},
		"verification not known":   {"email_verified": nil},
	} {
		t.Run(name, func(t *testing.T) { wantUser(t, v, p.Sign(with(p, changes))) })
	}
	for reason, changes := range map[string]jwt.MapClaims{
		"expired":                  {"exp": time.Now().Add(-time.Minute).Unix()},
		"token is expired":         {"exp": nil},
		"expected audience":        {"aud": []string{"other"}},
		`expected audience "mail"`: {"aud": nil},
		"issuer is":                {"iss": "https://evil.test"},
		`issuer is ""`:             {"iss": nil},
		"nbf":                      {"nbf": time.Now().Add(time.Hour).Unix()},
		"no claim":                 {"email": nil},
		`no claim "email"`:         {"email": 7},
		"not verified":             {"email_verified": false},
		"has not verified":         {"email_verified": "false"},
		`the address "bob`:         {"email_verified": 0},
		"failed to unmarshal":      {"exp": "soon"},
	} {
		t.Run(reason, func(t *testing.T) { wantRejected(t, v, p.Sign(with(p, changes)), reason) })
	}
	cfg := p.Config()
	cfg.Audience = ""
	wantUser(t, New(cfg), p.Sign(with(p, jwt.MapClaims{"aud": "whoever"})))
}

// TestForged: what the provider has not signed, in the ways that have worked
// elsewhere (RFC 8725 §2.1).
func TestForged(t *testing.T) {
	p, other := bearertest.New(t), bearertest.New(t)
	v := New(p.Config())
	good := p.Token(bob)
	wantUser(t, v, good)
	spki, err := x509.MarshalPKIXPublicKey(&p.Key().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	for name, token := range map[string]string{
		"empty": "", "no token": "hello", "dots": "..", "without signature": parts[0] + "." + parts[1] + ".",
		"signature of another": parts[0] + "." + parts[1] + "." + strings.Split(other.Token(bob), ".")[2],
		"key of another":       bearertest.Sign(t, jwt.SigningMethodRS256, other.Key(), "one", p.Claims(bob)),
		"unknown key":          bearertest.Sign(t, jwt.SigningMethodRS256, other.Key(), "two", p.Claims(bob)),
		"alg none":             none,
		"signed with none":     bearertest.Sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "one", p.Claims(bob)),
		"public key as secret": bearertest.Sign(t, jwt.SigningMethodHS256, publicPEM, "one", p.Claims(bob)),
		"modulus as secret":    bearertest.Sign(t, jwt.SigningMethodHS256, p.Key().N.Bytes(), "one", p.Claims(bob)),
	} {
		t.Run(name, func(t *testing.T) { wantRejected(t, v, token, "") })
	}
	if n := p.Fetches(); n != 1 {
		t.Errorf("keys fetched %d times, want once: forged tokens must not make us flood the provider", n)
	}
	// Without key id all keys are tried.
	wantUser(t, v, bearertest.Sign(t, jwt.SigningMethodRS256, p.Key(), "", p.Claims(bob)))
}

func TestRotation(t *testing.T) {
	p := bearertest.New(t)
	v := New(p.Config())
	now := time.Now()
	v.now = func() time.Time { return now }
	old := p.Token(bob)
	wantUser(t, v, old)
	p.Rotate("two")
	now = now.Add(fetchPause)
	afterFetch(t, v, p.Token(bob))
	wantUser(t, v, p.Token(bob))
	if n := p.Fetches(); n != 2 {
		t.Errorf("keys fetched %d times, want 2", n)
	}
	wantRejected(t, v, old, "signature")

	// A key that is withdrawn, while no token asks for a new one.
	last := p.Token(bob)
	p.Rotate("three")
	now = now.Add(keysLife + time.Second)
	wantRejected(t, v, last, "signature")
}

func TestProviderDown(t *testing.T) {
	p := bearertest.New(t)
	v := New(p.Config())
	now := time.Now()
	v.now = func() time.Time { return now }
	p.Down(true)
	trouble := func(when string, token string) {
		t.Helper()
		if _, err := v.Verify(t.Context(), token); err == nil || errors.Is(err, ErrRejected) {
			t.Errorf("%s: got %v, want trouble", when, err)
		}
	}
	trouble("down at first", p.Token(bob))
	p.Down(false)
	trouble("soon after", p.Token(bob)) // not asked again so soon
	now = now.Add(fetchPause)
	afterFetch(t, v, p.Token(bob))

	p.Down(true)
	now = now.Add(keysLife + time.Second) // the keys are looked for again, in vain
	claims := with(p, jwt.MapClaims{"exp": now.Add(48 * time.Hour).Unix()})
	wantUser(t, v, p.Sign(claims))
	stale := p.Sign(claims)
	p.Rotate("two")
	trouble("with a key that may be new", p.Sign(claims))
	now = now.Add(staleLife + time.Second)
	trouble("for more than a day", stale)
	p.Close()
	trouble("gone", stale)
}

// TestProviderHangs: the wait ends when the caller's does.
func TestProviderHangs(t *testing.T) {
	p := bearertest.New(t)
	hold := make(chan struct{})
	p.Hold(hold)
	defer close(hold)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := New(p.Config()).Verify(ctx, p.Token(bob)); err == nil || errors.Is(err, ErrRejected) || time.Since(start) > verifyTimeout {
		t.Errorf("got %v after %v, want trouble", err, time.Since(start))
	}
}

func TestQuestions(t *testing.T) {
	type object = map[string]any
	introspect := func(c *conf.OIDC, url string) {
		c.IntrospectionURL, c.IntrospectionAuth, c.UserinfoURL = url+"/introspect", "Basic eDp5", url+"/userinfo"
	}
	userinfo := func(c *conf.OIDC, url string) { c.UserinfoURL = url + "/userinfo" }
	const taken, refused, trouble = "taken", "refused", "trouble"
	for _, tc := range []struct {
		name   string
		set    func(*conf.OIDC, string)
		status int
		body   any
		want   string
	}{
		{"active", introspect, 200, object{"active": true, "email": bob}, taken},
		{"not active", introspect, 200, object{"active": false, "email": bob}, refused},
		{"active is a text", introspect, 200, object{"active": "true", "email": bob}, refused},
		{"active for another", introspect, 200, object{"active": true, "email": "eve@here.test"}, refused},
		{"active without claim", introspect, 200, object{"active": true}, refused},
		{"we may not ask", introspect, 401, object{}, trouble},
		{"introspection fails", introspect, 500, object{}, trouble},
		{"introspection moves", introspect, 307, object{}, trouble},
		{"no object", introspect, 200, "yes", trouble},
		{"too long", introspect, 200, object{"active": true, "email": bob, "x": strings.Repeat("x", maxAnswer)}, trouble},
		{"userinfo", userinfo, 200, object{"email": bob}, taken},
		{"userinfo of another", userinfo, 200, object{"email": "eve@here.test"}, refused},
		{"userinfo refuses", userinfo, 401, object{}, refused},
		{"userinfo fails", userinfo, 502, object{}, trouble},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := bearertest.New(t)
			p.Answer(func(string) (int, any) { return tc.status, tc.body })
			cfg := p.Config()
			tc.set(&cfg, p.URL)
			token := p.Token(bob)
			v := New(cfg)
			_, err := v.Verify(t.Context(), token)
			got := trouble
			if err == nil {
				got = taken
			} else if errors.Is(err, ErrRejected) {
				got = refused
			}
			if got != tc.want {
				t.Errorf("%s, %v; want %s", got, err, tc.want)
			}
			wantAsked(t, p, cfg, token)
			wantRejected(t, v, "x", "")
			if len(p.Asked()) != 1 {
				t.Error("a token with a wrong signature is shown to the provider")
			}
		})
	}
}

// wantAsked checks the one question to the provider.
func wantAsked(t *testing.T, p *bearertest.Provider, cfg conf.OIDC, token string) {
	t.Helper()
	asked := p.Asked()
	if len(asked) != 1 {
		t.Fatalf("asked %d times", len(asked))
	}
	r := asked[0]
	if cfg.IntrospectionURL != "" {
		if r.Method != http.MethodPost || r.URL.Path != "/introspect" || r.Header.Get("Authorization") != "Basic eDp5" || r.PostForm.Get("token") != token {
			t.Errorf("asked %s %s %v %v", r.Method, r.URL, r.Header, r.PostForm)
		}
		return
	}
	if r.Method != http.MethodGet || r.URL.Path != "/userinfo" || r.Header.Get("Authorization") != "Bearer "+token {
		t.Errorf("asked %s %s %v", r.Method, r.URL, r.Header)
	}
}
