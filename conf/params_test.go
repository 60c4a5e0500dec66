package conf

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const sampleParams = `<mailet match="All" class="Sample">
<text> two
words </text><empty/><name>a</name><name>b, c</name>
<outer><inner>x</inner><other>y</other></outer><mail..smtp>z</mail..smtp><dotted.name>w</dotted.name>
<yes>TRUE</yes><no>False</no><odd>yes</odd><n> 12 </n><nan>1x</nan>
<d>5 minutes</d><plain>3</plain><bad>-1s</bad><size>2K</size><huge>lots</huge>
<keep xml:space="preserve"> k </keep><onMailetException>ignore</onMailetException><unread>1</unread><tect>1</tect>
</mailet>`

func TestParams(t *testing.T) {
	r := &Report{}
	p := ParseParams(sampleParams, r)
	for _, tc := range []struct {
		what      string
		got, want any
	}{
		{"class", p.Class(), "Sample"},
		{"text", p.String("text", ""), "two\nwords"},
		{"empty", p.String("empty", "x"), "x"},
		{"joined", p.String("name", ""), "a,b, c"},
		{"list", p.List("name"), []string{"a", "b", "c"}},
		{"nested", p.String("outer.inner", ""), "x"},
		{"two dots", p.String("mail.smtp", ""), "z"},
		{"dotted", p.String("dotted.name", ""), "w"},
		{"yes", p.Bool("yes", false), true},
		{"no", p.Bool("no", true), false},
		{"odd", p.Bool("odd", false), false},
		{"int", p.Int("n", 0), 12},
		{"nan", p.Int("nan", 3), 3},
		{"none", p.Int("none", 4), 4},
		{"duration", p.Duration("d", time.Second, 0), 5 * time.Minute},
		{"plain", p.Duration("plain", time.Hour, 0), 3 * time.Hour},
		{"bad", p.Duration("bad", time.Hour, time.Minute), time.Minute},
		{"size", p.Size("size", 0), int64(2048)},
		{"huge", p.Size("huge", 7), int64(7)},
		{"keep", p.String("keep", ""), " k "},
		{"required", p.Required("missing"), ""},
		{"has", p.Has("unread") && !p.Has("none"), true},
	} {
		if !reflect.DeepEqual(tc.got, tc.want) {
			t.Errorf("%s: got %#v, want %#v", tc.what, tc.got, tc.want)
		}
	}
	if v, ok := p.Lookup("empty"); v != "" || !ok {
		t.Errorf("an empty element: got %q, %t", v, ok)
	}
	p.Fail("n", errors.New("wrong"))
	p.Fail("", errors.New("all wrong"))
	p.Warn("n", "odd")
	p.Close()
	golden(t, "testdata/params.problems", problemLines(r))
	if got := p.Names(); !slices.Contains(got, "missing") || slices.Contains(got, "unread") {
		t.Errorf("got names %v", got)
	}
}

func TestParamsStrict(t *testing.T) {
	r := &Report{}
	p := ParseParams(`<mailet class="Bounce"><sender>x</sender><sendr>y</sendr></mailet>`, r)
	p.Strict()
	p.String("sender", "")
	p.Close()
	const want = `snippet.xml:1:42: error: <sendr> is not a parameter of Bounce (did you mean "sender"?)` + "\n"
	if got := problemLines(r); got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

func TestParamsAll(t *testing.T) {
	r := &Report{}
	p := ParseParams(`<mailet class="Any"><b>1</b><a>2</a><b>3</b></mailet>`, r)
	if got, want := p.All(), []Param{{"b", "1,3"}, {"a", "2"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	p.Close()
	p = ParseParams(`<handler class="Any"><b>1</b></handler>`, r)
	if p.Element().Tag != "handler" || p.File().Name != "snippet.xml" {
		t.Error("got another element")
	}
	p.Close()
	if got := problemLines(r); got != "" {
		t.Errorf("got problems\n%s", got)
	}
	if p := ParseParams("<mailet", r); p.Class() != "" || !r.HasErrors() {
		t.Errorf("a broken snippet: got class %q", p.Class())
	}
}

func TestValues(t *testing.T) {
	for _, tc := range []struct {
		text string
		unit time.Duration
		want time.Duration
		err  string
	}{
		{"5", time.Second, 5 * time.Second, ""},
		{" 5  Minutes ", time.Second, 5 * time.Minute, ""},
		{"1h", 0, time.Hour, ""},
		{"2 w", 0, 14 * day, ""},
		{"1 month", 0, 2629746 * time.Second, ""},
		{"3 years", 0, 3 * 31556952 * time.Second, ""},
		{"2000000000 years", 0, 1<<63 - 1, ""},
		{"-1s", 0, 0, "Duration amount should be positive"},
		{"", 0, 0, `"" is not a duration: want a number and a unit, such as 5 minutes`},
		{"1h30m", 0, 0, `"1h30m" is not a duration: unknown unit "h30m"`},
		{"99999999999", 0, 0, `"99999999999" is not a duration: want a number and a unit, such as 5 minutes`},
	} {
		got, err := ParseDuration(tc.text, tc.unit)
		if got != tc.want || err == nil && tc.err != "" || err != nil && err.Error() != tc.err {
			t.Errorf("ParseDuration(%q): got %v, %v, want %v, %s", tc.text, got, err, tc.want, tc.err)
		}
	}
	for _, tc := range []struct {
		text string
		unit int64
		want int64
		ok   bool
	}{
		{"12", 1, 12, true}, {"12", 1024, 12288, true}, {"3b", 1024, 3, true}, {"1 K", 1, 1024, true}, {"2m", 1, 2 << 20, true},
		{"1G", 1, 1 << 30, true}, {"", 1, 0, false}, {"-1", 1, 0, false}, {"1T", 1, 0, false}, {"9223372036854775807G", 1, 0, false},
	} {
		got, err := ParseSize(tc.text, tc.unit)
		if got != tc.want || (err == nil) != tc.ok {
			t.Errorf("ParseSize(%q): got %d, %v, want %d", tc.text, got, err, tc.want)
		}
	}
}

func TestReport(t *testing.T) {
	r := &Report{}
	r.Warnf(Pos{"b.xml", 2, 1}, "late")
	if r.HasErrors() {
		t.Error("a warning counts as an error")
	}
	r.Errorf(Pos{"b.xml", 1, 9}, "two\nlines")
	r.Errorf(Pos{"b.xml", 1, 9}, "two\nlines")
	r.Warnf(Pos{"b.xml", 1, 9}, "other")
	r.Warnf(Pos{File: "b.xml"}, "all of it")
	r.Warnf(Pos{"a.xml", 9, 9}, "first %d", 1)
	want := []string{"a.xml:9:9: warning: first 1", "b.xml: warning: all of it", "b.xml:1:9: error: two lines", "b.xml:1:9: warning: other", "b.xml:2:1: warning: late"}
	if got := strings.Split(strings.TrimSpace(problemLines(r)), "\n"); !reflect.DeepEqual(got, want) || !r.HasErrors() {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}
