package smtphooks

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/conf"
)

// manuals returns the doc comments of the package by type name.
func manuals(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, e.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	p, err := doc.NewFromFiles(fset, files, "smtphooks")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, typ := range p.Types {
		out[typ.Name] = typ.Doc
	}
	return out
}

// sample returns the first indented block of a manual, and the parameters it
// documents.
func sample(text string) (xml string, params []string) {
	var cp comment.Parser
	documenting := false
	for _, b := range cp.Parse(text).Content {
		switch b := b.(type) {
		case *comment.Code:
			if xml == "" {
				xml = b.Text
			}
		case *comment.Paragraph:
			documenting = strings.HasPrefix(plain(b.Text), "Parameters:")
		case *comment.List:
			for _, item := range b.Items {
				if documenting {
					name, _, _ := strings.Cut(plain(item.Content[0].(*comment.Paragraph).Text), " ")
					params = append(params, strings.TrimSuffix(name, ":"))
				}
			}
		}
	}
	return xml, params
}

func plain(text []comment.Text) string {
	var b strings.Builder
	for _, t := range text {
		if p, ok := t.(comment.Plain); ok {
			b.WriteString(string(p))
		}
	}
	return b.String()
}

// inert are the classes that have no effect, and a part of what they say of it.
var inert = map[string]string{james + "POP3BeforeSMTPHandler": "warning: POP3BeforeSMTPHandler lets nobody relay: there is no POP3 server here"}

// sampleFile is a configuration folder with the files that samples need.
func sampleFile(ref string) ([]byte, error) {
	if ref == "file://conf/crowdsec.properties" {
		return []byte("crowdsecUrl=http://localhost:8080/v1\napiKey=default_api_key\n"), nil
	}
	return nil, fs.ErrNotExist
}

// TestManuals: the sample of every handler loads, and its manual names the
// parameters that are read and what differs from James.
func TestManuals(t *testing.T) {
	texts := manuals(t)
	reg := NewRegistry()
	for _, class := range reg.Classes() {
		if slices.Contains(builtIn, class) || slices.Contains(lmtpBuiltIn, class) || strings.HasSuffix(class, ".AuthCmdHandler") {
			continue
		}
		text := texts[simpleName(class)]
		xml, documented := sample(text)
		if !strings.Contains(xml, `class="`+class+`"`) {
			t.Errorf("%s: no sample in %q", class, text)
			continue
		}
		if !regexp.MustCompile(`(?s)Parameters:.*Differs from James: `).MatchString(text) {
			t.Errorf("%s: the manual lacks Parameters or Differs from James", class)
		}
		r := &conf.Report{}
		p := conf.ParseParams(xml, r)
		reg.classes[class](p, Services{Log: slog.New(slog.DiscardHandler), ReadFile: sampleFile})
		p.Close()
		if got := fmt.Sprint(r.Problems()); len(r.Problems()) > 0 && !strings.Contains(got, inert[class]) || len(r.Problems()) == 0 && inert[class] != "" {
			t.Errorf("%s: %v", class, r.Problems())
		}
		if read := p.Names(); !slices.Equal(read, documented) {
			t.Errorf("%s: parameters documented %v, read %v", class, documented, read)
		}
	}
}

// TestBundles: bundles name classes that exist.
func TestBundles(t *testing.T) {
	reg := NewRegistry()
	for name, members := range reg.bundles {
		for _, class := range members {
			if _, ok := reg.classes[class]; !ok {
				t.Errorf("bundle %s names %s, which is no handler", name, class)
			}
		}
	}
	for class := range examples {
		if reg.known(class) {
			t.Errorf("%s exists, and is listed as not available", class)
		}
	}
}
