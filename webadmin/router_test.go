package webadmin

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/mailetd/mailetd/webadmin/task"
)

// segment sends a path through a server with one route and returns what the
// variable segment was decoded to.
func segment(target *url.URL) (string, int) {
	rt := newRouter()
	got := ""
	rt.handle(http.MethodGet, "/x/{v}", func(w http.ResponseWriter, r *http.Request) error {
		got = param(r, "v")
		return nil
	})
	s := &Server{routes: rt, guard: openGuard{}, now: clock, log: quiet(), figures: newFigures(task.NewManager("", clock, quiet()))}
	w := httptest.NewRecorder()
	s.serve(w, &http.Request{Method: http.MethodGet, URL: target, Header: http.Header{}, Host: "127.0.0.1"})
	return got, w.Code
}

func TestPathDecoding(t *testing.T) {
	for _, tc := range []struct {
		path, want string
		status     int
	}{
		{"/x/plain", "plain", 200},
		{"/x/var%2Fmail%2Ferror", "var/mail/error", 200},
		{"/x/var%2fmail", "var/mail", 200},
		{"/x/cassandra%3A%2F%2Fvar%2Fmail%2Ferror%2F", "cassandra://var/mail/error/", 200},
		{"/x/a%40b", "a@b", 200},
		{"/x/a@b", "a@b", 200},
		{"/x/a+b", "a+b", 200},
		{"/x/%252F", "%2F", 200},
		{"//x/plain", "plain", 200},
		{"/x///plain", "plain", 200},
		{`/x/var%2Fmail"quoted`, `var/mail"quoted`, 200},
		{"/x/a;b=c", "a;b=c", 200},
		{"/x/..", "..", 200},
		{"/x/%2E%2E%2Fetc", "../etc", 200},
		{"/x/var/mail", "", 404},
		{"/x/plain/", "", 404},
		{"/x/", "", 404},
		{"/x//", "", 404},
		{"/x", "", 404},
		{"/%78/plain", "", 404},
		{"/", "", 404},
	} {
		u, err := url.ParseRequestURI(tc.path)
		if err != nil {
			t.Fatal(err)
		}
		if got, status := segment(u); got != tc.want || status != tc.status {
			t.Errorf("%s: got %q, %d, want %q, %d", tc.path, got, status, tc.want, tc.status)
		}
	}
}

// FuzzPath: no path makes the server panic, and a variable segment is what was
// sent, decoded once.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a", "var%2Fmail", "%252F", "a+b", "", "%", "%zz", "a/b", "a;b", "é", `"`, "a%00", "*", "%2F%2F", "{v}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.ParseRequestURI("/x/" + raw)
		if err != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
			return
		}
		sent := u.EscapedPath()
		if u.RawPath != "" {
			sent = u.RawPath
		}
		sent = strings.TrimPrefix(cleanPath(sent), "/x/")
		got, status := segment(u)
		want, err := url.PathUnescape(sent)
		if err != nil || sent == "" || sent == "/x" || strings.Contains(sent, "/") {
			if status != http.StatusNotFound {
				t.Errorf("%q: got %q, %d, want 404", raw, got, status)
			}
			return
		}
		if status != http.StatusOK || got != want {
			t.Errorf("%q: got %q, %d, want %q", raw, got, status, want)
		}
	})
}

func TestRouting(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.want("GET", "/unknown", "", 404, `{"statusCode":404,"type":"notFound","message":"GET /unknown can not be found","details":null}`)
	for _, target := range []string{
		"/", "/domains/", "/mailRepositories/var/mail/error", "/health", "/reload-certificate", "/ports", "/openapi", "/mails",
		"/quota", "/users/bob@b.com/mailboxes", "/metrics", "/servers/channels", "/unknown%2Fpath",
	} {
		b.wantError("GET", target, "", 404, "notFound", "GET "+target+" can not be found", "")
	}
	b.wantError("PUT", "/domains", "", 404, "notFound", "PUT /domains can not be found", "")
	b.wantError("PUT", "/domains/", "", 404, "notFound", "PUT /domains/ can not be found", "")
	b.wantError("POST", "/servers?reload-certificate", "", 404, "notFound", "POST /servers can not be found", "")
	b.want("GET", "//mailQueues", "", 200, `["spool"]`)

	for _, target := range []string{"/", "/domains", "/nowhere"} {
		w := b.do("OPTIONS", target, "", "Access-Control-Request-Headers", "X-Y", "Access-Control-Request-Method", "PATCH")
		h := w.Header()
		if w.Code != 200 || w.Body.Len() != 0 || h.Get("Access-Control-Allow-Headers") != "X-Y" || h.Get("Access-Control-Allow-Methods") != "PATCH" {
			t.Errorf("OPTIONS %s: got %d %v", target, w.Code, h)
		}
	}
	h := b.do("GET", "/unknown", "").Header()
	for k, want := range map[string]string{
		"Content-Type": "application/json", "Access-Control-Allow-Origin": "*",
		"Access-Control-Request-Method": "DELETE, GET, POST, PUT", "Access-Control-Allow-Headers": "Content-Type, Authorization, Accept",
	} {
		if got := h.Get(k); got != want {
			t.Errorf("%s: got %q, want %q", k, got, want)
		}
	}
}

// Every route answers HEAD as it answers GET, and no route is left without a
// decision about credentials.
func TestRouteTable(t *testing.T) {
	b := newBench(t, Config{Metrics: true}, withEverything)
	err := chi.Walk(b.routes.mux, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		base := firstSegment(route)
		protected, known := b.routes.protected[base]
		if !known || protected == public[base] {
			t.Errorf("%s %s: protected %v, known %v", method, route, protected, known)
		}
		if method == http.MethodGet && !b.routes.mux.Match(chi.NewRouteContext(), http.MethodHead, route) {
			t.Errorf("HEAD %s is missing", route)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPanicAnswers(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.routes.handle(http.MethodGet, "/boom", func(http.ResponseWriter, *http.Request) error { panic("boom") })
	b.wantError("GET", "/boom", "", 500, "ServerError", "WebAdmin encountered an unexpected internal error", "boom")
}
