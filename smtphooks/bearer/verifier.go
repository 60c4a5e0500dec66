package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/mailetd/mailetd/conf"
)

// Time limits of one question to the provider, and of all that a token needs.
const (
	requestTimeout = 5 * time.Second
	verifyTimeout  = 10 * time.Second
)

// ErrRejected: the token is not right. Any other error of Verify means that this
// could not be found out.
var ErrRejected = errors.New("token rejected")

func reject(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrRejected, fmt.Errorf(format, args...))
}

// algorithms are the signatures that a key in public can check. Without the
// symmetric ones a public key cannot serve as a shared secret (RFC 8725 §2.1),
// and there is no "none".
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// Verifier verifies tokens. It is safe for concurrent use.
type Verifier struct {
	cfg    conf.OIDC
	client *http.Client // for introspection and userinfo
	source *keySource
	now    func() time.Time

	mu    sync.Mutex
	keys  *oidc.RemoteKeySet
	since time.Time
}

// New returns a verifier of tokens of the provider that cfg describes. It
// connects to nothing.
func New(cfg conf.OIDC) *Verifier {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		MaxIdleConns: 4, MaxConnsPerHost: 16, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: requestTimeout,
	}
	v := &Verifier{cfg: cfg, now: time.Now, client: newClient(t)}
	v.source = &keySource{base: t, now: func() time.Time { return v.now() }}
	return v
}

// newClient follows no redirect: it would carry a token, and our own secret, to
// where nobody has configured it.
func newClient(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: t, Timeout: requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Verify returns the user that token stands for: the value of the configured
// claim, when signature, issuer, audience and time are right and introspection
// or userinfo, if configured, agree. Errors: ErrRejected, or what prevented the
// verification. It takes ten seconds at most.
//
// Source: org.apache.james.jwt.OidcJwtTokenVerifier.
func (v *Verifier) Verify(ctx context.Context, token string) (user string, err error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	keys := &keySet{remote: v.keySet(), source: v.source}
	verifier := oidc.NewVerifier(v.cfg.Issuer, keys, &oidc.Config{
		ClientID: v.cfg.Audience, SkipClientIDCheck: v.cfg.Audience == "",
		SkipIssuerCheck:      true, // done below: some issuers end with a slash
		SupportedSigningAlgs: algorithms, Now: v.now,
	})
	t, err := verifier.Verify(ctx, token)
	switch {
	case keys.trouble != nil:
		return "", keys.trouble
	case err != nil:
		return "", reject("%w", err)
	case strings.TrimRight(t.Issuer, "/") != v.cfg.Issuer:
		return "", reject("issuer is %q, not %q", t.Issuer, v.cfg.Issuer)
	}
	claims := map[string]any{}
	if err := t.Claims(&claims); err != nil {
		return "", reject("claims: %w", err)
	}
	user, _ = claims[v.cfg.Claim].(string)
	if user == "" {
		return "", reject("there is no claim %q", v.cfg.Claim)
	}
	if v.cfg.Claim == "email" && !mayBeVerified(claims["email_verified"]) {
		return "", reject("the provider has not verified the address %q", user)
	}
	switch {
	case v.cfg.IntrospectionURL != "":
		err = v.introspect(ctx, token, user)
	case v.cfg.UserinfoURL != "":
		err = v.userinfo(ctx, token, user)
	}
	return user, err
}

// mayBeVerified reads the claim email_verified, which some providers write as a
// text. Without it nothing speaks against the address.
func mayBeVerified(claim any) bool {
	switch said := claim.(type) {
	case nil:
		return true
	case bool:
		return said
	case string:
		return strings.EqualFold(said, "true")
	}
	return false
}

// keySet returns the keys, from time to time without memory.
func (v *Verifier) keySet() *oidc.RemoteKeySet {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now := v.now(); v.keys == nil || now.Sub(v.since) > keysLife {
		v.since = now
		v.keys = oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), newClient(v.source)), v.cfg.JWKSURL)
	}
	return v.keys
}

// keySet tells whether a signature is wrong or only could not be checked.
type keySet struct {
	remote  oidc.KeySet
	source  *keySource
	trouble error
}

// VerifySignature implements oidc.KeySet.
func (k *keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.remote.VerifySignature(ctx, jwt)
	if err == nil {
		return payload, nil
	}
	if k.trouble = ctx.Err(); k.trouble == nil {
		k.trouble = k.source.trouble()
	}
	return nil, err
}

// introspect asks whether the provider takes the token still (RFC 7662).
func (v *Verifier) introspect(ctx context.Context, token, user string) error {
	form := strings.NewReader(url.Values{"token": {token}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.cfg.IntrospectionURL, form)
	if err != nil {
		return fmt.Errorf("introspection: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if v.cfg.IntrospectionAuth != "" {
		req.Header.Set("Authorization", v.cfg.IntrospectionAuth)
	}
	claims, _, err := v.ask(req)
	if err != nil {
		return fmt.Errorf("introspection: %w", err)
	}
	if active, _ := claims["active"].(bool); !active {
		return reject("introspection: the token is not active")
	}
	return v.agree("introspection", claims, user)
}

// userinfo asks whose token it is (OpenID Connect Core §5.3).
func (v *Verifier) userinfo(ctx context.Context, token, user string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.cfg.UserinfoURL, nil)
	if err != nil {
		return fmt.Errorf("userinfo: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	claims, status, err := v.ask(req)
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return reject("userinfo: %w", err)
	case err != nil:
		return fmt.Errorf("userinfo: %w", err)
	}
	return v.agree("userinfo", claims, user)
}

func (v *Verifier) agree(who string, claims map[string]any, user string) error {
	if said, _ := claims[v.cfg.Claim].(string); said != user {
		return reject("%s: claim %q is %q, in the token %q", who, v.cfg.Claim, said, user)
	}
	return nil
}

// ask sends a request and reads the JSON object that answers it.
func (v *Verifier) ask(req *http.Request) (answer map[string]any, status int, err error) {
	req.Header.Set("Accept", "application/json")
	res, err := v.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	body, err := readAnswer(res)
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	return answer, res.StatusCode, err
}
