package mailets

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

// TestManuals loads every sample in the doc comment of every class and compares
// the parameters documented with those read.
func TestManuals(t *testing.T) {
	manuals, err := classdoc.Read(".")
	if err != nil {
		t.Fatal(err)
	}
	r := testRegistry(t)
	for _, full := range r.MailetNames() {
		class := full[strings.LastIndexByte(full, '.')+1:]
		t.Run(full, func(t *testing.T) {
			man, ok := manuals[class]
			if !ok {
				t.Fatalf("no exported type %s with a manual", class)
			}
			if man.Differs == "" || !man.HasParameters || len(man.Samples) == 0 {
				t.Errorf("the manual has no sample, no Parameters: or no Differs from James:\n%s", man.Text)
			}
			used := false
			for _, s := range man.Samples {
				for _, l := range loadSample(t, r, s) {
					if l.class != class {
						continue
					}
					used = true
					if !man.AnyName && !reflect.DeepEqual(l.read, sorted(man.Parameters)) {
						t.Errorf("parameters documented %v,\nread %v", sorted(man.Parameters), l.read)
					}
				}
			}
			if !used {
				t.Errorf("no sample uses the class:\n%s", man.Text)
			}
		})
	}
}

// loaded is a mailet of a sample: its type, and the parameters it read.
type loaded struct {
	class string
	read  []string
}

// loadSample makes every mailet that a sample uses.
func loadSample(t *testing.T, r *container.Registry, sample string) []loaded {
	t.Helper()
	var rep conf.Report
	f := conf.ParseXML("sample.xml", []byte("<sample>"+sample+"</sample>"), &rep)
	var out []loaded
	var visit func(*etree.Element)
	visit = func(e *etree.Element) {
		if e.Tag == "mailet" {
			p := conf.NewParams(f, e, e.SelectAttrValue("class", ""), &rep)
			m, err := r.NewMailet(p.Class(), p)
			if err != nil {
				t.Errorf("%v in\n%s", err, sample)
				return
			}
			p.Close()
			out = append(out, loaded{reflect.TypeOf(m).Elem().Name(), sorted(p.Names())})
			return
		}
		for _, c := range e.ChildElements() {
			visit(c)
		}
	}
	if f.Root != nil {
		visit(f.Root)
	}
	if len(rep.Problems()) > 0 {
		t.Errorf("%v in\n%s", rep.Problems(), sample)
	}
	return out
}

func sorted(list []string) []string {
	list = append([]string{}, list...)
	slices.Sort(list)
	return list
}
