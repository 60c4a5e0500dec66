package matchers

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/classdoc"
)

// TestManuals loads every sample in the doc comment of every class.
func TestManuals(t *testing.T) {
	manuals, err := classdoc.Read(".")
	if err != nil {
		t.Fatal(err)
	}
	r := testRegistry()
	for _, full := range r.MatcherNames() {
		class := full[strings.LastIndexByte(full, '.')+1:]
		t.Run(full, func(t *testing.T) {
			man, ok := manuals[class]
			if !ok {
				t.Fatalf("no exported type %s with a manual", class)
			}
			if man.Differs == "" || !man.HasCondition || len(man.Samples) == 0 {
				t.Errorf("the manual has no sample, no Condition: or no Differs from James:\n%s", man.Text)
			}
			for _, s := range man.Samples {
				if !slices.Contains(loadSample(t, r, s), class) {
					t.Errorf("the sample does not use the class:\n%s", s)
				}
			}
		})
	}
}

// loadSample makes every matcher that a sample uses and returns their types.
func loadSample(t *testing.T, r *container.Registry, sample string) []string {
	t.Helper()
	var rep conf.Report
	f := conf.ParseXML("sample.xml", []byte("<sample>"+sample+"</sample>"), &rep)
	if len(rep.Problems()) > 0 {
		t.Fatalf("%v in\n%s", rep.Problems(), sample)
	}
	named := map[string]bool{}
	var types []string
	var visit func(*etree.Element)
	visit = func(e *etree.Element) {
		for _, key := range []string{"match", "notmatch"} {
			v := e.SelectAttrValue(key, "")
			if v == "" || named[v] {
				continue
			}
			class, condition, _ := strings.Cut(v, "=")
			ma, err := r.NewMatcher(class, condition)
			if err != nil {
				t.Errorf("%v in\n%s", err, sample)
				continue
			}
			types = append(types, reflect.TypeOf(ma).Elem().Name())
		}
		named[e.SelectAttrValue("name", "")] = true
		for _, c := range e.ChildElements() {
			visit(c)
		}
	}
	visit(f.Root)
	return types
}
