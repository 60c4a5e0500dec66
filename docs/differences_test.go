// Package docs is the manual. Its tests keep the parts that are written from the
// code as the code says.
package docs

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container/classdoc"
)

var update = flag.Bool("update", false, "write the generated parts of the manual")

const (
	file  = "differences.md"
	begin = "<!-- classes:begin -->"
	end   = "<!-- classes:end -->"
)

// TestDifferences compares the list of differences in the manual with the doc
// comments of the classes; with -update it writes the list.
func TestDifferences(t *testing.T) {
	want := begin + "\n" + classes(t) + end
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old, ok := marked(text)
	if !ok {
		t.Fatalf("%s needs one %s and behind it one %s", file, begin, end)
	}
	if string(old) == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the doc comments say: run go test ./docs -update", file)
	}
	if err := os.WriteFile(file, bytes.Replace(text, old, []byte(want), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}

// marked returns the part of text from the one marker to the other, with both.
func marked(text []byte) ([]byte, bool) {
	i, j := bytes.Index(text, []byte(begin)), bytes.Index(text, []byte(end))
	if i < 0 || j < i || bytes.Count(text, []byte(begin)) != 1 || bytes.Count(text, []byte(end)) != 1 {
		return nil, false
	}
	return text[i : j+len(end)], true
}

// classes returns the list: one line for each class that differs, and the names
// of those that do not.
func classes(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, part := range []struct{ title, dir string }{
		{"Mailets", "../mailets"}, {"Matchers", "../matchers"}, {"SMTP hooks", "../smtphooks"},
	} {
		manuals, err := classdoc.Read(part.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		var same, lines []string
		for _, name := range slices.Sorted(maps.Keys(manuals)) {
			switch d := manuals[name].Differs; d {
			case "":
			case "nothing.", "nothing":
				same = append(same, name)
			default:
				lines = append(lines, fmt.Sprintf("- **%s**: %s\n", name, escape(d)))
			}
		}
		if len(same)+len(lines) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s", part.title, strings.Join(lines, ""))
		if len(same) > 0 {
			fmt.Fprintf(&b, "\nNo difference: %s.\n", strings.Join(same, ", "))
		}
	}
	return b.String() + "\n"
}

// escape keeps Markdown from reading characters of parameters as its own.
func escape(s string) string {
	return strings.NewReplacer("*", `\*`, "_", `\_`, "<", "&lt;", "`", "\\`").Replace(s)
}

func TestMarked(t *testing.T) {
	for text, want := range map[string]string{
		"a" + begin + "b" + end + "c": begin + "b" + end,
		"a" + begin + "b":             "",
		end + begin:                   "",
		begin + begin + end:           "",
		begin + end + end:             "",
		"":                            "",
	} {
		if got, ok := marked([]byte(text)); string(got) != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v", text, got, ok)
		}
	}
}
