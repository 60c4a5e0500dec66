package webadmin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/go-chi/chi/v5"
)

// handler answers one route. An error it returns becomes the answer, unless it
// has written one.
type handler func(w http.ResponseWriter, r *http.Request) error

// router matches the undecoded path and knows which first segments ask for
// credentials.
type router struct {
	mux       *chi.Mux
	protected map[string]bool // first segment of a known route -> credentials are asked for
}

// public first segments are open to everybody.
var public = map[string]bool{"healthcheck": true, "metrics": true}

func newRouter() *router {
	rt := &router{mux: chi.NewRouter(), protected: map[string]bool{}}
	rt.mux.NotFound(func(w http.ResponseWriter, r *http.Request) { writeError(w, routeMiss(r)) })
	rt.mux.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) { writeError(w, routeMiss(r)) })
	return rt
}

// handle adds a route. A GET also answers HEAD; net/http leaves the body out.
func (rt *router) handle(method, pattern string, h handler) {
	base := firstSegment(pattern)
	rt.protected[base] = !public[base]
	f := func(w http.ResponseWriter, r *http.Request) {
		if !completeParams(r) {
			writeError(w, routeMiss(r))
			return
		}
		err := readableQuery(r)
		if err == nil {
			err = h(w, r)
		}
		if err != nil {
			fail(w, r, err)
		}
	}
	rt.mux.MethodFunc(method, pattern, f)
	if method == http.MethodGet {
		rt.mux.MethodFunc(http.MethodHead, pattern, f)
	}
}

// readableQuery returns an error for a query that cannot be read to its end. Go
// leaves out what it cannot read, and a request to remove what a filter selects
// would remove everything. A semicolon is text, as in Java.
func readableQuery(r *http.Request) error {
	r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, ";", "%3B")
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return illegalArgument("query: %w", err)
	}
	return nil
}

// completeParams reports whether no variable segment is empty or badly encoded.
// Chi takes "" for a segment; James knows no such route.
func completeParams(r *http.Request) bool {
	for _, raw := range chi.RouteContext(r.Context()).URLParams.Values {
		if _, err := url.PathUnescape(raw); err != nil || raw == "" {
			return false
		}
	}
	return true
}

// param returns a variable segment of the path, decoded once.
func param(r *http.Request, name string) string {
	v, _ := url.PathUnescape(chi.URLParam(r, name)) // completeParams has tried it
	return v
}

// rawPath returns the path as it was sent. Where Go did not keep it, the default
// encoding is what was sent.
func rawPath(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

// cleanPath drops empty segments, but not the last: a trailing slash counts.
func cleanPath(raw string) string {
	if !strings.HasPrefix(raw, "/") {
		raw = "/" + raw
	}
	if !strings.Contains(raw, "//") {
		return raw
	}
	var b strings.Builder
	for i := range len(raw) {
		if raw[i] != '/' || i == 0 || raw[i-1] != '/' {
			b.WriteByte(raw[i])
		}
	}
	return b.String()
}

// firstSegment returns the text between the first and the second slash.
func firstSegment(path string) string {
	s, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return s
}

// request is what the outer layers know of a request.
type request struct {
	id    uint64
	path  string // as sent
	login string
	task  string // created by the request
	log   *slog.Logger
}

type requestKey struct{}

func requestOf(r *http.Request) *request {
	if q, ok := r.Context().Value(requestKey{}).(*request); ok {
		return q
	}
	return &request{path: rawPath(r.URL), log: slog.Default()}
}

// ServeHTTP answers one request through all layers. It makes a Server usable
// without a port, in tests and behind another server.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// serve is the outermost layer.
func (s *Server) serve(rw http.ResponseWriter, r *http.Request) {
	q := &request{id: s.requests.Add(1), path: rawPath(r.URL), log: s.log}
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
	raw := cleanPath(q.path)
	r.URL.RawPath = raw
	w := newResponse(rw)
	start := s.now()
	defer func() {
		p := recover()
		if p == http.ErrAbortHandler {
			s.logRequest(r, w, s.now().Sub(start))
			panic(p)
		}
		if p != nil {
			s.log.ErrorContext(r.Context(), "webadmin panic", "path", q.path, "err", p, "stack", string(debug.Stack()))
			writeError(w, internal(fmt.Errorf("%v", p)))
		}
		s.logRequest(r, w, s.now().Sub(start))
	}()
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	s.setCORS(h)
	if r.Method == http.MethodOptions {
		preflight(w, r)
		return
	}
	if f := s.admit(r, firstSegment(raw)); f != nil {
		f.setRetry(h)
		w.WriteHeader(f.status)
		_, _ = w.Write([]byte(f.text))
		return
	}
	s.routes.mux.ServeHTTP(w, r)
}

// admit decides whether a request may pass, and notes who makes it. It returns
// nil if so.
func (s *Server) admit(r *http.Request, base string) *refusal {
	if f := s.foreign(r); f != nil {
		return f
	}
	if !s.routes.protected[base] {
		return nil // public, or no route at all
	}
	login, f := s.checkThrottled(r)
	requestOf(r).login = login
	return f
}
