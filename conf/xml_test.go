package conf

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// problemLines returns what an operator would read.
func problemLines(r *Report) string {
	var b strings.Builder
	for _, p := range r.Problems() {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

// golden compares got with the content of a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Each broken file has a list of the exact lines it must produce.
func TestBrokenXML(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no broken files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := &Report{}
			f := ParseXML(filepath.Base(file), data, r)
			if f.Root == nil && !r.HasErrors() {
				t.Error("got neither a tree nor an error")
			}
			golden(t, strings.TrimSuffix(file, ".xml")+".problems", problemLines(r))
		})
	}
}

// A mended file gives the tree that was meant.
func TestParseXMLMends(t *testing.T) {
	data, err := os.ReadFile("testdata/broken/dsn-mailetcontainer.xml")
	if err != nil {
		t.Fatal(err)
	}
	f := ParseXML("m.xml", data, &Report{})
	e := f.Root.FindElement("processors/processor[4]/mailet[3]/defaultStatus")
	if e == nil || Text(e) != "5.1.6" {
		t.Fatalf("got %v, want the default status 5.1.6", e)
	}
	if got, want := f.Pos(e), (Pos{"m.xml", 34, 17}); got != want {
		t.Errorf("got position %v, want %v", got, want)
	}
	data, err = os.ReadFile("testdata/broken/tags.xml")
	if err != nil {
		t.Fatal(err)
	}
	f = ParseXML("t.xml", data, &Report{})
	for _, e := range f.Root.FindElements("processors/processor[1]/mailet/processor") {
		if Text(e) != "transport" {
			t.Errorf("%v: got %q, want transport", f.Pos(e), Text(e))
		}
	}
	if n := len(f.Root.FindElements("processors/processor[1]/mailet")); n != 5 {
		t.Errorf("got %d mailets, want 5", n)
	}
}

func TestParseXMLAccepts(t *testing.T) {
	for _, tc := range []struct{ name, xml, want string }{
		{"mark", "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><a>ä</a>", "ä"},
		{"latin1", "<?xml version='1.0' encoding='iso-8859-1'?><a>\xe4</a>", "ä"},
		{"ascii", "<?xml version='1.0' encoding='US-ASCII'?><a>x</a>", "x"},
		{"cdata", "<a><![CDATA[1 < 2 & 3]]></a>", "1 < 2 & 3"},
		{"entities", "<a>&lt;&amp;&#228;&quot;</a>", "<&ä\""},
		{"crlf", "<a>1\r\n2</a>\r\n", "1\n2"},
		{"namespace", `<a xmlns="urn:x" xmlns:xsi="urn:y" xsi:schemaLocation="z">x</a>`, "x"},
		{"instruction", "<?xml version='1.0'?><?style x?><a>x</a><!-- end -->", "x"},
		{"preserve", `<a xml:space="preserve"> x </a>`, " x "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &Report{}
			f := ParseXML("a.xml", []byte(tc.xml), r)
			if got := problemLines(r); got != "" {
				t.Fatalf("got problems\n%s", got)
			}
			if got := Text(f.Root); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if tc.name == "namespace" && len(f.Root.Attr) > 0 {
				t.Errorf("got attributes %v, want none", f.Root.Attr)
			}
		})
	}
}

// ParseXML gives up on a file with very many faults, and soon.
func TestParseXMLGivesUp(t *testing.T) {
	r := &Report{}
	f := ParseXML("a.xml", []byte("<a>"+strings.Repeat("& ", 1000)+"</a>"), r)
	lines := strings.Split(strings.TrimSpace(problemLines(r)), "\n")
	if f.Root != nil || len(lines) != maxRepairs+1 || !strings.HasSuffix(problemLines(r), "too many faults; the rest of the file was not looked at\n") {
		t.Errorf("got %d lines, last %q", len(lines), lines[len(lines)-1])
	}
	r = &Report{}
	if f := ParseXML("a.xml", bytes.Repeat([]byte("<a>"), maxElements), r); f.Root != nil || !r.HasErrors() {
		t.Error("got a tree from a file of start tags")
	}
	r = &Report{}
	big := "<a>" + strings.Repeat("<b/>", maxElements+1) + "</a>"
	if f := ParseXML("a.xml", []byte(big), r); f.Root != nil || !r.HasErrors() {
		t.Error("got a tree from a file of too many elements")
	}
	// One line of half a megabyte: positions must not cost its square.
	big = "<a>" + strings.Repeat("<b/> ", maxElements/2) + "</a>"
	f = ParseXML("a.xml", []byte(big), &Report{})
	if got, want := f.Pos(f.Root.ChildElements()[maxElements/2-1]).Col, 4+5*(maxElements/2-1); got != want {
		t.Errorf("got column %d, want %d", got, want)
	}
}

// FuzzParseXML: there is a tree or an error, and every position is inside the
// file.
func FuzzParseXML(f *testing.F) {
	files, _ := filepath.Glob("testdata/broken/*.xml")
	builtins, _ := filepath.Glob("*.xml")
	for _, file := range append(files, builtins...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &Report{}
		file := ParseXML("f.xml", data, r)
		if file.Root == nil && !r.HasErrors() {
			t.Error("neither a tree nor an error")
		}
		lines := bytes.Count(data, []byte("\n")) + 1
		for _, p := range r.Problems() {
			if p.Pos.Line < 1 || p.Pos.Line > lines || p.Pos.Col < 1 || p.Pos.Col > len(data)+1 {
				t.Errorf("position outside of the file: %v", p)
			}
		}
		if file.Root != nil {
			for _, e := range file.Root.FindElements("//*") {
				if p := file.Pos(e); p.Line < 1 || p.Line > lines || p.Col > len(data)+1 {
					t.Errorf("<%s> at %v is outside of the file", e.Tag, p)
				}
			}
		}
	})
}
