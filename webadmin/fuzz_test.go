package webadmin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/mailetd/mailetd/repository/sqlite"
)

// route is one that a fuzzer can ask for.
type route struct{ method, pattern string }

// allRoutes returns the routes of a server, sorted. Without await, which waits.
func (s *Server) allRoutes(t testing.TB) []route {
	var all []route
	err := chi.Walk(s.routes.mux, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if !strings.HasSuffix(pattern, "/await") {
			all = append(all, route{method, pattern})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b route) int { return strings.Compare(a.pattern+a.method, b.pattern+b.method) })
	return all
}

// files returns what is below a folder, without the store.
func files(t testing.TB, dir string) []string {
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && path == filepath.Join(dir, "data") {
			return filepath.SkipDir
		}
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// FuzzRoutes: whatever stands in the path, the query and the body of a request for
// any route, the answer is one that openapi.json describes and, but for
// messages that cannot be sent and mappings that cannot be stored, no 500; nothing
// panics, and no file is made or removed but those of the store, whose names do not
// come from outside.
func FuzzRoutes(f *testing.F) {
	root := f.TempDir()
	if err := os.WriteFile(filepath.Join(root, "secret"), nil, 0o600); err != nil {
		f.Fatal(err)
	}
	store, err := sqlite.Open(filepath.Join(root, "data"), sqlite.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close(context.Background()) })
	s := fullServer(f, store)
	all, before := s.allRoutes(f), files(f, root)
	for i := range all {
		f.Add(uint16(i), "bob@b.com", "x@y.org", "limit=1&action=reprocess", "{}")
		f.Add(uint16(i), "..%2F..%2Fsecret", "%2E%2E%2Fsecret", "protocol=file&type=alias&force", "")
	}
	f.Add(uint16(3), "%", "%00", "a=%zz;b", "\x00")
	f.Add(uint16(9), "file%3A%2F%2F..%2F..%2Fsecret", "a%0D%0Ab", "activate=true&queue=..%2F..&processor=%2Fetc", "keep;")
	f.Add(uint16(40), "*", "*@b.com", "delayed=true", `{"delayed":false}`)
	f.Fuzz(func(t *testing.T, i uint16, first, second, query, body string) {
		rt := all[int(i)%len(all)]
		target, n := "", 0
		for _, segment := range strings.Split(rt.pattern, "/")[1:] {
			if strings.HasPrefix(segment, "{") {
				segment = []string{first, second}[n%2]
				n++
			}
			target += "/" + segment
		}
		u, err := url.ParseRequestURI(target + "?" + query)
		if err != nil {
			return // no server program takes it
		}
		r := &http.Request{Method: rt.method, URL: u, Header: http.Header{}, Host: "127.0.0.1", RemoteAddr: "127.0.0.1:1",
			Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r.WithContext(t.Context()))
		r.URL = u
		if in := s.routes.lookup(t, r); in != nil {
			validateAnswer(t, in, w)
		}
		if w.Code >= 500 && rt.pattern != "/mail-transfer-service" && !(rt == route{"PUT", "/mappings"}) && w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s %s: %d %s", rt.method, u, w.Code, w.Body)
		}
		if after := files(t, root); !slices.Equal(after, before) {
			t.Errorf("%s %s: files %v, before %v", rt.method, u, after, before)
		}
	})
}

// fullServer returns a server that offers everything over a store.
func fullServer(t testing.TB, store *sqlite.Store) *Server {
	dir := newDirectory(store)
	for _, err := range []error{
		store.CreateQueue(t.Context(), "spool"), store.CreateRepository(t.Context(), repo(errorRepo)),
		dir.AddDomain(t.Context(), "b.com"), dir.AddUser(t.Context(), "bob@b.com", "secret"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := New(Config{Host: "127.0.0.1", CORSOrigin: "*", Metrics: true}, fullDeps(store, dir))
	if err != nil {
		t.Fatal(fmt.Errorf("server: %w", err))
	}
	return s
}
