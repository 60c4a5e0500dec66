package mailets

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/delivery"
)

// loadAll loads the mailets of one file.
func loadAll(t *testing.T, text string) []container.Mailet {
	t.Helper()
	var rep conf.Report
	f := conf.ParseXML("mailetcontainer.xml", []byte("<processor>"+text+"</processor>"), &rep)
	r := testRegistry(t)
	var out []container.Mailet
	for _, e := range f.Root.ChildElements() {
		class := e.SelectAttrValue("class", "")
		m, err := r.NewMailet(class, conf.NewParams(f, e, class, &rep))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	if list := rep.Problems(); len(list) > 0 {
		t.Fatal(list)
	}
	return out
}

// Mailets that are configured alike count their attempts apart: the success of one
// must not begin the retries of the other anew.
func TestTwinsCountApart(t *testing.T) {
	for class, params := range map[string]string{
		"Webhook":      "<url>http://127.0.0.1:1/</url>",
		"Pipe":         "<program>/bin/false</program>",
		"LMTPDelivery": "<server>127.0.0.1:1</server>",
		"ToMaildir":    "<path>/dev/null/x</path>",
	} {
		one := fmt.Sprintf(`<mailet match="All" class="%s">%s<consume>false</consume></mailet>`, class, params)
		list := loadAll(t, one+`<mailet match="All" class="Null"/>`+one)
		m := testMail("bob@example.com")
		for _, i := range []int{0, 2} {
			m = serve(t, list[i], m).Entries()[0].Mail
		}
		counts, _ := m.Attributes.Map(delivery.AttrRetries)
		if len(counts) != 2 {
			t.Errorf("%s: got counters %v, want two", class, counts)
		}
		for id, n := range counts {
			if n != int32(1) || !strings.HasPrefix(id, class) {
				t.Errorf("%s: counter %s is %v", class, id, n)
			}
		}
	}
}
