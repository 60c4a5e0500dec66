package mime

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFlow(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		width    int
		delSp    bool
		want     string
	}{
		{"short", "one two\r\n", 20, false, "one two\r\n"},
		{"bare LF", "one\ntwo", 20, false, "one\r\ntwo"},
		{"broken", "one two three\r\n", 8, false, "one two \r\nthree\r\n"},
		{"broken for a blank", "one two three\r\n", 7, false, "one \r\ntwo \r\nthree\r\n"},
		{"long word", "incomprehensible word\r\n", 5, false, "incomprehensible \r\nword\r\n"},
		{"no blanks", strings.Repeat("x", 30), 5, false, strings.Repeat("x", 30)},
		{"blanks at the end", "one   \r\ntwo\r\n", 20, false, "one\r\ntwo\r\n"},
		{"stuffing", " a\r\n From b\r\nFrom c\r\nFrom\r\n", 20, false, "  a\r\n  From b\r\n From c\r\nFrom\r\n"},
		{"quote", ">> one two three\r\n", 10, false, ">> one \r\n>> two \r\n>> three\r\n"},
		{"empty quote", ">>\r\n> \r\n", 10, false, ">>\r\n>\r\n"},
		{"signature", "-- \r\n> -- \r\n", 2, false, "-- \r\n> -- \r\n"},
		{"indented", "      x y\r\n", 4, false, "       x \r\ny\r\n"},
		{"delsp", "日本語日本語\r\n", 4, true, "日本語 \r\n日本語\r\n"},
		{"delsp latin", "one two\r\n", 6, true, "one  \r\ntwo\r\n"},
		{"empty", "", 10, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Flow(tc.in, tc.width, tc.delSp); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestDeflow(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		delSp    bool
		want     string
	}{
		{"joined", "one \r\ntwo\r\n", false, "one two\r\n"},
		{"joined, delsp", "日 \r\n本\r\n", true, "日本\r\n"},
		{"stuffed", "  a\r\n From b\r\n", false, " a\r\nFrom b\r\n"},
		{"quotes", ">one \r\n>two\r\n>> three \r\nfour\r\n", false, "> one two\r\n>> three \r\nfour\r\n"},
		{"signature", "one \r\n-- \r\ntwo\r\n", false, "one \r\n-- \r\ntwo\r\n"},
		{"last line", "one \r\n", false, "one \r\n"},
		{"bare LF", "one \ntwo", false, "one two"},
		{"empty", "", false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Deflow(tc.in, tc.delSp); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// A text that was brought into form once comes back from Flow and Deflow as it
// is, and no line of it is longer than it has to be.
func FuzzFlow(f *testing.F) {
	f.Add("one two three\r\n> four five\r\n-- \r\nsix", 10, true)
	f.Add(" From x\r\n>\r\n日本語日本語 x\r\n", 6, false)
	f.Fuzz(func(t *testing.T, s string, width int, delSp bool) {
		if width < 1 || width > 200 || !utf8.ValidString(s) || strings.ContainsAny(s, "\r") {
			return
		}
		s = Deflow(Flow(s, width, delSp), delSp)
		flowed := Flow(s, width, delSp)
		if got := Deflow(flowed, delSp); got != s {
			t.Errorf("%q\nbecame %q\nby way of %q", s, got, flowed)
		}
		for _, line := range strings.Split(flowed, "\r\n") {
			oneWord := !strings.Contains(strings.Trim(strings.TrimLeft(line, ">"), " "), " ")
			if utf8.RuneCountInString(line) > width && !oneWord && line != signature && !delSp {
				t.Errorf("line %q is longer than %d", line, width)
			}
		}
	})
}

func TestHTMLText(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"plain":                    "plain\r\n",
		"a  b\r\n c":               "a b c\r\n",
		"a<br>b<br/>c":             "a\r\nb\r\nc\r\n",
		"<p>one</p>\n<p>two</p>":   "one\r\n\r\ntwo\r\n",
		"<div>a</div><div>b</div>": "a\r\nb\r\n",
		"x<b>y</b> <i>z</i>":       "xy z\r\n",
		"&lt;&amp;&gt;&nbsp;&euro;&#8364;&eacute;&bogus;":                                  "<&> €€é&bogus;\r\n",
		"<ul><li>a<li>b</ul>c":                                                             "* a\r\n* b\r\nc\r\n",
		"<head><title>t</title><style>p{}</style></head><body>x<script>y</script>z</body>": "xz\r\n",
		"<head><body>x": "x\r\n",
		"<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>": "a b\r\nc\r\n",
		"<pre>a  b\n  c</pre>d":                    "a  b\r\n  c\r\n\r\nd\r\n",
		`see <a href="https://x.test/a">this</a>.`: "see this <https://x.test/a>.\r\n",
		`<a href="https://x.test/">x.test</a>`:     "x.test\r\n",
		`<a href="javascript:x()">x</a>`:           "x\r\n",
		`a <img src=x alt="pic">`:                  "a pic\r\n",
		"a<!-- b -->c<":                            "ac<\r\n",
		"a<hr>b":                                   "a\r\n--------\r\nb\r\n",
		"grüße 你好":                                 "grüße 你好\r\n",
		strings.Repeat("<div>", 10000) + "x":       "x\r\n",
	} {
		if got := HTMLText(in); got != want {
			t.Errorf("%.80q: got %q, want %q", in, got, want)
		}
	}
}
