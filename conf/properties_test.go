package conf

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseProperties(t *testing.T) {
	files := map[string]string{"more.properties": "b=2\nc=3\n", "loop.properties": "include=a.properties\n", "self.properties": "include=self.properties"}
	include := func(name string) ([]byte, error) {
		if s, ok := files[name]; ok {
			return []byte(s), nil
		}
		return nil, os.ErrNotExist
	}
	for _, tc := range []struct {
		name, text string
		want       map[string][]string
		problems   string
	}{
		{name: "separators", text: "a=1\nb : 2\nc 3\nd\ne=\nf==x\n", want: map[string][]string{"a": {"1"}, "b": {"2"}, "c": {"3"}, "d": {""}, "e": {""}, "f": {"=x"}}},
		{name: "comments", text: "# a=1\n  ! b=2\n\n c=3 # not one\n", want: map[string][]string{"c": {"3 # not one"}}},
		{name: "lists", text: `a = x, y ,"z w", \, , ` + "\n", want: map[string][]string{"a": {"x", "y", "z w", ",", ""}}},
		{name: "twice", text: "a=1\nb=2\na=3,4\n", want: map[string][]string{"a": {"1", "3", "4"}, "b": {"2"}}},
		{name: "continued", text: "a = one\\\n  two\\\n# no\n  three\nb = x\\\\\nc=1\\", want: map[string][]string{"a": {"onetwothree"}, "b": {`x\`}, "c": {"1"}}},
		{name: "escapes", text: `a\=b\ c=t\tn\nr\rf\fu\u00e4q\"s\\`, want: map[string][]string{"a=b c": {"t\tn\nr\rf\fuäq\"s\\"}}},
		{name: "bad escape", text: ` a=\u12`, want: map[string][]string{"a": {"12"}}, problems: `a.properties:1:2: error: a: "\\u12" is not a character; want \u and four hexadecimal digits` + "\n"},
		{name: "crlf and latin1", text: "a=\xe4\r\nb=2\r\n", want: map[string][]string{"a": {"ä"}, "b": {"2"}}},
		{name: "byte order mark", text: "\ufeffa=1", want: map[string][]string{"a": {"1"}}},
		{name: "no key", text: "=x\n", want: map[string][]string{}, problems: "a.properties:1:1: warning: \"=x\" has no key; want key=value\n"},
		{name: "include", text: "a=1\ninclude = more.properties\nincludeOptional=none.properties\nd=4", want: map[string][]string{"a": {"1"}, "b": {"2"}, "c": {"3"}, "d": {"4"}}},
		{name: "include none", text: "\ninclude = none.properties", want: map[string][]string{}, problems: "a.properties:2:1: error: include of none.properties: file does not exist\n"},
		{name: "include loop", text: "include = loop.properties, self.properties", want: map[string][]string{}, problems: "loop.properties:1:1: error: include of a.properties: a.properties > loop.properties already includes this file\n" +
			"self.properties:1:1: error: include of self.properties: a.properties > self.properties already includes this file\n"},
		{name: "variables", text: "a=${env:LIST},x\nb=${a}\nc=${sys:s}${env:NONE:-y}\nd=${e}\ne=${d}\n", want: map[string][]string{
			"a": {"1,2", "x"}, "b": {"1,2,x"}, "c": {"sy"}, "d": {"${d}"}, "e": {"${e}"}},
			problems: "a.properties:4:1: warning: ${d} has no value and stays as written\na.properties:5:1: warning: ${e} has no value and stays as written\n"},
		{name: "laughs", text: "a=" + strings.Repeat("${b}", 100) + "\nb=" + strings.Repeat("${c}", 100) + "\nc=" + strings.Repeat("${d}", 100) + "\nd=1\nx=1\n",
			want: nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &Report{}
			vars := &Vars{Sys: map[string]string{"s": "s"}, Env: func(n string) (string, bool) { return "1,2", n == "LIST" }}
			p := ParseProperties("a.properties", []byte(tc.text), include, vars, r)
			got := map[string][]string{}
			for _, e := range p.entries {
				got[e.key] = e.items
			}
			if tc.want == nil { // it ends, and that is all
				return
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
			if lines := problemLines(r); lines != tc.problems {
				t.Errorf("got problems\n%s\nwant\n%s", lines, tc.problems)
			}
		})
	}
}

func TestPropertiesValues(t *testing.T) {
	r := &Report{}
	p := ParseProperties("p.properties", []byte("s=x,y\nyes=YES\nno=off\nbad=maybe\nn=12\nnan=x\nd=5\nwhen=soon\nlist=a,,b\nempty=\n  unused = 1\n"), nil, nil, r)
	for _, tc := range []struct {
		what      string
		got, want any
	}{
		{"string", p.String("s", "z"), "x"},
		{"default", p.String("none", "z"), "z"},
		{"empty", p.String("empty", "z"), "z"},
		{"raw", p.Raw("s"), "x,y"},
		{"raw none", p.Raw("none"), ""},
		{"yes", p.Bool("yes", false), true},
		{"no", p.Bool("no", true), false},
		{"bad bool", p.Bool("bad", true), true},
		{"no bool", p.Bool("none", true), true},
		{"int", p.Int("n", 1), 12},
		{"bad int", p.Int("nan", 1), 1},
		{"no int", p.Int("none", 1), 1},
		{"duration", p.Duration("d", time.Minute, 0), 5 * time.Minute},
		{"bad duration", p.Duration("when", time.Minute, time.Hour), time.Hour},
		{"no duration", p.Duration("none", time.Minute, time.Hour), time.Hour},
		{"list", p.List("list"), []string{"a", "b"}},
		{"no list", p.List("none"), []string(nil)},
		{"has", p.Has("unused"), true},
		{"has not", p.Has("none"), false},
		{"pos", p.Pos("unused"), Pos{"p.properties", 11, 3}},
		{"no pos", p.Pos("none"), Pos{File: "p.properties"}},
		{"keys", strings.Join(p.Keys(), " "), "s yes no bad n nan d when list empty unused"},
	} {
		if !reflect.DeepEqual(tc.got, tc.want) {
			t.Errorf("%s: got %#v, want %#v", tc.what, tc.got, tc.want)
		}
	}
	p.Fail("s", errors.New("wrong"))
	p.Close()
	const want = `p.properties:1:1: error: s: wrong
p.properties:1:1: warning: s has 2 values, only the first counts; write \, for a comma in a value
p.properties:4:1: error: bad is "maybe", not true or false
p.properties:6:1: error: nan is "x", not a whole number
p.properties:8:1: error: when: "soon" is not a duration: want a number and a unit, such as 5 minutes
p.properties:11:3: warning: unused is not a key of p.properties; ignored
`
	if got := problemLines(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// FuzzProperties: parsing ends without panic, positions are inside the file,
// and what was read, variables apart, can be written and read again.
func FuzzProperties(f *testing.F) {
	for _, s := range []string{"a=1\nb : 2,3\nc\\\n d", "include = x\n", `a\=b=\u00e4\,\\`, "${a}=${b:-${c}}\nb=${env:X}$${y}", "a=${b}${b}\nb=${a}${a}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &Report{}
		p := ParseProperties("f", data, func(string) ([]byte, error) { return data, nil }, &Vars{Env: noEnv}, r)
		lines := strings.Count(string(data), "\n") + 1
		for _, q := range r.Problems() {
			if q.Pos.Line < 1 || q.Pos.Line > lines {
				t.Errorf("position outside of the file: %v", q)
			}
		}
		if strings.Contains(printed(p), "{") { // what stayed as written would be read again
			return
		}
		again := ParseProperties("g", []byte(printed(p)), nil, nil, &Report{})
		if len(p.entries) != len(again.entries) {
			t.Fatalf("%q: got %d keys, want %d", printed(p), len(again.entries), len(p.entries))
		}
		for i, e := range p.entries {
			if g := again.entries[i]; g.key != e.key || strings.Join(g.items, ",") != strings.Join(e.items, ",") {
				t.Errorf("got %q=%q, want %q=%q", g.key, g.items, e.key, e.items)
			}
		}
	})
}

// printed writes p with every octet that could mean something escaped.
func printed(p *Properties) string {
	var b strings.Builder
	escape := func(s string) {
		for _, c := range s {
			if c == '\t' || c == '\n' || c == '\r' || c == '\f' {
				b.WriteString(map[rune]string{'\t': `\t`, '\n': `\n`, '\r': `\r`, '\f': `\f`}[c])
				continue
			}
			if strings.ContainsRune(`\,=: #!"$`, c) {
				b.WriteByte('\\')
			}
			b.WriteRune(c)
		}
	}
	for _, e := range p.entries {
		for _, c := range e.key {
			b.WriteByte('\\')
			b.WriteRune(c)
		}
		b.WriteByte('=')
		for i, item := range e.items {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteByte('"')
			escape(item)
			b.WriteByte('"')
		}
		b.WriteByte('\n')
	}
	return b.String()
}
