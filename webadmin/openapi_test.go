package webadmin

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/go-chi/chi/v5"
)

// described is openapi.json, made strict: an answer may not have a key that is
// not described.
var described = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		return nil, err
	}
	for _, s := range doc.Components.Schemas {
		closeSchema(s)
	}
	for _, mediaType := range []string{"message/rfc822", "application/sieve"} {
		openapi3filter.RegisterBodyDecoder(mediaType, openapi3filter.FileBodyDecoder)
	}
	return doc, nil
})

// closeSchema forbids keys that an object does not describe.
func closeSchema(s *openapi3.SchemaRef) {
	if s == nil || s.Ref != "" {
		return
	}
	if len(s.Value.Properties) > 0 {
		no := false
		s.Value.AdditionalProperties = openapi3.BoolSchema{Has: &no}
	}
	closeSchema(s.Value.Items)
	for _, p := range s.Value.Properties {
		closeSchema(p)
	}
}

// lookup returns the described operation that a request of rt is, nil when there
// is no such route, or none of its own for HEAD.
func (rt *router) lookup(t *testing.T, r *http.Request) *openapi3filter.RequestValidationInput {
	t.Helper()
	doc, err := described()
	if err != nil {
		t.Fatal(err)
	}
	ctx := chi.NewRouteContext()
	if !rt.mux.Match(ctx, r.Method, cleanPath(rawPath(r.URL))) {
		return nil
	}
	route := operation(r.Method, ctx.RoutePattern())
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if operation(method, path) != route {
				continue
			}
			in := &openapi3filter.RequestValidationInput{
				Request: r, PathParams: map[string]string{},
				Route:   &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op},
				Options: &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
			}
			for i, name := range variableSegment.FindAllString(path, -1) {
				v, err := url.PathUnescape(ctx.URLParams.Values[i])
				if err != nil || v == "" {
					return nil
				}
				in.PathParams[strings.Trim(name, "{}")] = v
			}
			return in
		}
	}
	if r.Method != http.MethodHead && len(ctx.RoutePattern()) > 1 && ctx.RoutePattern() != "/boom" {
		t.Errorf("%s is not described", route)
	}
	return nil
}

// validate holds a request and its answer against the description. What is
// answered with success has to be asked for as it is described.
func (rt *router) validate(t *testing.T, r *http.Request, body string, w *httptest.ResponseRecorder) {
	t.Helper()
	in := rt.lookup(t, r)
	if in == nil {
		return
	}
	if w.Code < 300 {
		validateRequest(t, in, body)
	}
	validateAnswer(t, in, w)
}

func validateAnswer(t *testing.T, in *openapi3filter.RequestValidationInput, w *httptest.ResponseRecorder) {
	t.Helper()
	r := in.Request
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: w.Code, Header: w.Header(),
		Body: io.NopCloser(bytes.NewReader(w.Body.Bytes())), Options: in.Options,
	}
	if r.Method == http.MethodHead {
		answer.Body = http.NoBody
	}
	if err := openapi3filter.ValidateResponse(r.Context(), answer); err != nil {
		t.Errorf("%s %s: the answer %d %s is not as described: %v", r.Method, r.URL, w.Code, w.Body, err)
	}
}

func validateRequest(t *testing.T, in *openapi3filter.RequestValidationInput, body string) {
	t.Helper()
	r := in.Request.Clone(in.Request.Context())
	r.Body = io.NopCloser(strings.NewReader(body))
	if b := in.Route.Operation.RequestBody; b != nil {
		for mediaType := range b.Value.Content {
			r.Header.Set("Content-Type", mediaType) // the server does not look at it, as in James
		}
		if strings.Contains(body, `"delayed":"false"`) {
			return // taken from James's clients, not described
		}
	} else if body != "" && in.Route.Operation.OperationID != "putForward" {
		t.Errorf("%s %s: a body is not described", r.Method, r.URL)
	}
	for key := range r.URL.Query() {
		if in.Route.Operation.Parameters.GetByInAndName("query", key) == nil {
			t.Errorf("%s %s: the parameter %s is not described", r.Method, r.URL, key)
		}
	}
	asked := *in
	asked.Request = r
	if err := openapi3filter.ValidateRequest(r.Context(), &asked); err != nil {
		t.Errorf("%s %s with %q was taken, but is not as described: %v", r.Method, r.URL, body, err)
	}
}

// The description is valid OpenAPI and has every route, and no other.
func TestOpenAPI(t *testing.T) {
	doc, err := described()
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	var have, want []string
	ids := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			have = append(have, operation(method, path))
			if op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s %s: operationId %q", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
		}
	}
	b := newBench(t, Config{Metrics: true}, withEverything)
	err = chi.Walk(b.routes.mux, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if method != http.MethodHead || route == "/users/{user}" || strings.HasSuffix(route, "/{denied}") {
			want = append(want, operation(method, route))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(have)
	slices.Sort(want)
	for _, op := range have {
		if !slices.Contains(want, op) {
			t.Errorf("%s is described, but is no route", op)
		}
	}
	for _, op := range slices.Compact(want) {
		if !slices.Contains(have, op) {
			t.Errorf("%s is a route, but not described", op)
		}
	}
}

// What is served has the routes of the server, and the credentials it asks for.
func TestServedOpenAPI(t *testing.T) {
	var doc struct {
		Security []map[string][]string
		Paths    map[string]map[string]any
	}
	read := func(b *bench, header ...string) {
		t.Helper()
		doc.Security, doc.Paths = nil, nil
		w := b.do("GET", "/openapi.json", "", header...)
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Code != 200 {
			t.Fatalf("got %d %s, %v", w.Code, w.Body, err)
		}
		if _, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes()); err != nil {
			t.Error(err)
		}
	}
	read(newBench(t, Config{}, nil))
	if len(doc.Security) != 0 || doc.Paths["/mailQueues/{queue}"]["patch"] == nil || doc.Paths["/metrics"] != nil || doc.Paths["/vacation/{user}"] != nil {
		t.Errorf("bare server: %v", doc)
	}
	b := newBench(t, Config{Passwords: []string{"x"}, Metrics: true}, withEverything)
	if w := b.do("GET", "/openapi.json", ""); w.Code != 401 {
		t.Errorf("without password: got %d", w.Code)
	}
	read(b, "Password", "x")
	if len(doc.Security) != 2 || doc.Paths["/metrics"] == nil || doc.Paths["/vacation/{user}"] == nil {
		t.Errorf("all of it: %v", doc.Paths)
	}
}
