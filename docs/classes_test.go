package docs

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/classdoc"
	"github.com/mailetd/mailetd/mailets"
	"github.com/mailetd/mailetd/matchers"
	"github.com/mailetd/mailetd/smtphooks"
)

const classesFile = "classes.md"

const classesHead = `# Classes

Every class that a configuration can name, with its parameters. The manual of a class is its doc comment:
` + "`go doc github.com/mailetd/mailetd/mailets.DSNBounce`" + `, and so for matchers and smtphooks. This page is written from
the code: ` + "`go test ./docs -update`" + `.
`

// TestClasses compares the list of all classes with the code; with -update it
// writes the list.
func TestClasses(t *testing.T) {
	reg := container.NewRegistry()
	mailets.Register(reg, mailets.Services{})
	matchers.Register(reg, matchers.Services{})
	want := classesHead +
		classTable(t, "Mailets", "../mailets", container.MailetPackage, reg.MailetNames()) +
		classTable(t, "Matchers", "../matchers", container.MatcherPackage, reg.MatcherNames()) +
		classTable(t, "SMTP handlers", "../smtphooks", "", smtphooks.NewRegistry().Classes())
	old, err := os.ReadFile(classesFile)
	if err == nil && string(old) == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the doc comments say: run go test ./docs -update", classesFile)
	}
	if err := os.WriteFile(classesFile, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// classTable returns the table of one package. names are the registered names;
// those in pkg are written without it.
func classTable(t *testing.T, title, dir, pkg string, names []string) string {
	t.Helper()
	manuals, err := classdoc.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	inert := inertTypes(t, dir)
	written := map[string]string{} // simple name -> how to write it
	for _, full := range names {
		simple := full[strings.LastIndexByte(full, '.')+1:]
		if short := strings.TrimPrefix(full, pkg); written[simple] == "" || len(short) < len(written[simple]) {
			written[simple] = short
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n| Class | What it does | Parameters |\n|---|---|---|\n", title)
	for _, simple := range slices.Sorted(maps.Keys(written)) {
		c, ok := manuals[simple]
		if !ok {
			continue // a handler that only stands for a command
		}
		summary := strings.ReplaceAll(escape(firstSentence(c.Text)), "|", `\|`)
		if inert[simple] {
			summary = "**Without effect here.** " + summary
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", written[simple], summary, parameterList(c))
	}
	return b.String()
}

func parameterList(c classdoc.Class) string {
	switch {
	case c.AnyName:
		return "any"
	case c.HasCondition:
		return "condition"
	case len(c.Parameters) == 0:
		return ""
	}
	return "`" + strings.Join(c.Parameters, "` `") + "`"
}

var sentence = regexp.MustCompile(`(?s)^(.*?[.:])(\s|$)`)

func firstSentence(text string) string {
	para, _, _ := strings.Cut(text, "\n\n")
	para = strings.Join(strings.Fields(para), " ")
	if m := sentence.FindStringSubmatch(para); m != nil {
		para = m[1]
	}
	if p, ok := strings.CutSuffix(para, ":"); ok {
		return p + "."
	}
	return para
}

var inertMethod = regexp.MustCompile(`func \((?:\w+ )?\*?(\w+)\) InertReason\(`)

// inertTypes returns the types of a package that say why they do nothing.
func inertTypes(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range inertMethod.FindAllStringSubmatch(string(src), -1) {
			out[m[1]] = true
		}
	}
	return out
}
