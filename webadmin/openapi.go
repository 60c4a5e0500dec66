package webadmin

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/go-chi/chi/v5"
)

// openAPI describes every route that a server can have. It is written by hand;
// the tests hold every request and every answer of theirs against it.
//
//go:embed openapi.json
var openAPI []byte

// describe returns the description of the routes that this server has, and of
// the credentials that it asks for.
func (s *Server) describe() ([]byte, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		return nil, fmt.Errorf("read the description of the API: %w", err)
	}
	var paths map[string]map[string]json.RawMessage
	if err := json.Unmarshal(doc["paths"], &paths); err != nil {
		return nil, fmt.Errorf("read the description of the API: %w", err)
	}
	have, err := s.operations()
	if err != nil {
		return nil, err
	}
	for path, item := range paths {
		left := 0
		for key := range item {
			switch {
			case key == "parameters":
			case have[operation(key, path)]:
				left++
			default:
				delete(item, key)
			}
		}
		if left == 0 {
			delete(paths, path)
		}
	}
	if doc["paths"], err = json.Marshal(paths); err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	switch s.guard.(type) {
	case openGuard:
		doc["security"] = json.RawMessage(`[]`)
	case *jwtGuard:
		doc["security"] = json.RawMessage(`[{"bearer":[]}]`)
	}
	return json.Marshal(doc)
}

// operations returns the routes of the server, as operation names them.
func (s *Server) operations() (map[string]bool, error) {
	have := map[string]bool{}
	err := chi.Walk(s.routes.mux, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		have[operation(method, route)] = true
		return nil
	})
	return have, err
}

var variableSegment = regexp.MustCompile(`\{[^}]*\}`)

// operation names a method and a path. The names of variable segments do not
// count: in OpenAPI two paths that differ in nothing else are one.
func operation(method, path string) string {
	return strings.ToUpper(method) + " " + variableSegment.ReplaceAllString(path, "{}")
}

func (s *Server) getOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	doc, err := s.describe()
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(doc) // the client has gone: nobody to tell
	return nil
}
