package webadmin

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container/throttle"
)

// TestGuessing: after too many different secrets from one address it gets 429,
// others do not.
func TestGuessing(t *testing.T) {
	b := newBench(t, Config{Passwords: []string{"full"}, ReadOnly: []string{"read"}}, nil)
	at := now
	b.limiter = throttle.New(func() time.Time { return at })
	from := func(ip, password string, status int) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest("GET", "/mailQueues", nil)
		r.RemoteAddr = ip + ":1000"
		r.Header.Set("Password", password)
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		if w.Code != status {
			t.Fatalf("%s: got %d %s, want %d", password, w.Code, w.Body, status)
		}
		return w
	}
	for range 50 {
		from("192.0.2.1", "the old one", 401)
	}
	for i := range 9 {
		from("192.0.2.1", fmt.Sprint("guess ", i), 401)
		from("192.0.2.1", "read", map[bool]int{true: 429, false: 200}[i == 8])
	}
	w := from("192.0.2.1", "full", 429)
	if got := w.Header().Get("Retry-After"); got != "61" || w.Body.String() != "Too many wrong passwords." {
		t.Errorf("Retry-After %q, body %q", got, w.Body)
	}
	from("192.0.2.2", "full", 200)
	from("[2001:db8::1]", "full", 200)
	at = at.Add(time.Minute)
	from("192.0.2.1", "full", 200)
}
