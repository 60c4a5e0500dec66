package classdoc

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

const manual = `Shop sells things.

	<mailet match="All" class="Shop">
	  <name>corner</name>
	</mailet>

A table that is no sample:

	a  b

Parameters:

  - name (required): what stands
    above the door.
  - open, close (default 8): hours: whole ones.

Differs from James: James has
no shops; further

  - it pays
  - it cleans
`

func TestParse(t *testing.T) {
	got := Parse("Shop", manual)
	want := Class{
		Name: "Shop", Text: manual,
		Samples:    []string{"<mailet match=\"All\" class=\"Shop\">\n  <name>corner</name>\n</mailet>\n"},
		Parameters: []string{"name", "open", "close"}, HasParameters: true,
		Differs: "James has no shops; further it pays; it cleans",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
	if c := Parse("Any", "Any does.\n\nParameters: any name.\n\nCondition: none.\n"); !c.AnyName || !c.HasParameters || !c.HasCondition || c.Differs != "" {
		t.Errorf("got %#v", c)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for name, src := range map[string]string{
		"a.go":      "package a\n\n// Shop sells.\n//\n// Differs from James: nothing.\ntype Shop struct{}\n\ntype hidden struct{}\n",
		"a_test.go": "package a\n\n// InTest is not read.\ntype InTest struct{}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(dir)
	if err != nil || len(got) != 1 || got["Shop"].Differs != "nothing." {
		t.Errorf("got %#v, %v", got, err)
	}
	if _, err := Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: got error %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b.go"), []byte("package"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil {
		t.Error("a file that is not Go was read without an error")
	}
}
