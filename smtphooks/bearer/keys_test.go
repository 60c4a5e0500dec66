package bearer

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/mailetd/mailetd/smtphooks/bearer/bearertest"
)

// TestKeysOfAnother: what answers in place of the provider, a page that says that it
// is down for instance, does not replace its keys, and makes no token wrong.
func TestKeysOfAnother(t *testing.T) {
	for _, page := range []string{"<html>We'll be back soon</html>", "{}", `{"keys":null}`, `{"error":"busy"}`, "null", ""} {
		t.Run(page, func(t *testing.T) {
			p := bearertest.New(t)
			broken := true
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if broken {
					fmt.Fprint(w, page)
					return
				}
				p.Server.Config.Handler.ServeHTTP(w, r)
			}))
			defer front.Close()
			cfg := p.Config()
			cfg.JWKSURL = front.URL + "/certs"
			v := New(cfg)
			now := time.Now()
			v.now = func() time.Time { return now }
			if _, err := v.Verify(t.Context(), p.Token(bob)); err == nil || errors.Is(err, ErrRejected) {
				t.Errorf("at first: got %v, want trouble", err)
			}
			broken = false
			now = now.Add(fetchPause)
			afterFetch(t, v, p.Token(bob))
			wantUser(t, v, p.Token(bob))
			broken = true
			now = now.Add(keysLife + time.Second)
			claims := p.Claims(bob)
			claims["exp"] = now.Add(time.Hour).Unix()
			wantUser(t, v, p.Sign(claims))
		})
	}
}

// afterFetch waits until the key set has forgotten its last fetch: for a moment
// after that has failed, oidc.RemoteKeySet gives its error to those who ask next.
func afterFetch(t *testing.T, v *Verifier, token string) {
	t.Helper()
	for range 100_000 {
		if _, err := v.Verify(t.Context(), token); err == nil {
			return
		}
		runtime.Gosched()
	}
	t.Error("the keys are never fetched again")
}
