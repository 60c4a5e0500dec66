package webadmin

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
)

// The table in the manual has every route, and no other.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("../docs/webadmin.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, have []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /[^`]*)`").FindAllSubmatch(text, -1) {
		documented = append(documented, string(m[1]))
	}
	variable := regexp.MustCompile(`\{(\w+)\}`)
	b := newBench(t, Config{Metrics: true}, withEverything)
	err = chi.Walk(b.routes.mux, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if method != http.MethodHead || route == "/users/{user}" || strings.HasSuffix(route, "/{denied}") {
			have = append(have, method+" "+variable.ReplaceAllString(route, ":$1"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documented {
		if !slices.Contains(have, d) {
			t.Errorf("%s is in the manual, but is no route", d)
		}
	}
	for _, h := range have {
		if !slices.Contains(documented, h) {
			t.Errorf("%s is a route, but not in the manual", h)
		}
	}
}
