package javaregex

import (
	"regexp"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		yes, no []string
	}{
		{`abc`, []string{"abc"}, []string{"abcd", "xabc", "ABC", ""}},
		{``, []string{""}, []string{"a"}},
		{`a|ab`, []string{"a", "ab"}, []string{"abb"}},
		{`(.*)@log\.(.*)`, []string{"x@log.example"}, []string{"x@logs.example"}},
		{`.*`, []string{"", "abc"}, []string{"a\nb", "a\rb", "a\u0085b", "a\u2028b"}},
		{`(?s).*`, []string{"a\r\nb"}, nil},
		{`(?s:.)(?-s).`, []string{"\na"}, []string{"\n\n"}},
		{`(?d).*`, []string{"a\rb"}, []string{"a\nb"}},
		{`(?i)abc(?-i)d`, []string{"ABCd"}, []string{"ABCD"}},
		{`(?:(?i)a)b`, []string{"Ab"}, []string{"AB"}},
		{`(?iu:a)b`, []string{"Ab"}, []string{"AB"}},
		{"(?x) a b # no\n c", []string{"abc"}, []string{"a b c"}},
		{`(?x)[a b]+`, []string{"ab"}, []string{"a b"}},
		{`\d+`, []string{"12"}, []string{"١"}},
		{`(?U)\d`, []string{"١"}, nil},
		{`\w\W\s\S\D`, []string{"a- xy"}, []string{"a-\u00a0xy", "é- xy"}},
		{`[\D]`, []string{"a", "١"}, []string{"1"}},
		{`[^\W_]`, []string{"a"}, []string{"_", "é"}},
		{`\h\v\R\H\V`, []string{"\u00a0\n\r\naa"}, []string{" \u00a0\nab"}},
		{`\Qa.b\E+`, []string{"a.bb"}, []string{"axb", "a.ba.b"}},
		{`\Qa.b`, []string{"a.b"}, []string{"axb"}},
		{`[\Q^-]\E]`, []string{"^", "-", "]"}, []string{"\\", "E"}},
		{`a*+a`, nil, []string{"aaa"}},
		{`[ab]++c`, []string{"abac"}, nil},
		{`(ab)?+c{2}+`, []string{"abcc", "cc"}, []string{"abc"}},
		{`a{2,3}?b{1,}`, []string{"aab", "aaabb"}, []string{"ab"}},
		{`(?>a|ab)c`, []string{"ac"}, []string{"abc"}},
		{`(?=a).(?<=a)(?!c).(?<!c)`, []string{"ab"}, []string{"ac", "bb"}},
		{`(a)(?<x>b)(c)\2\k<x>\3`, []string{"abcbbc"}, []string{"abcccb"}},
		{`(a)\11`, []string{"aa1"}, []string{"aa"}},
		{`\07\0101\x41\x{1F600}\u00e9\uD83D\uDE00\t\cA\e\a`, []string{"\aAA😀é😀\t\x01\x1b\a"}, nil},
		{`a$`, []string{"a"}, []string{"a\n"}},
		{`a$\r\n`, []string{"a\r\n"}, nil},
		{`(?m)a$\n^b`, []string{"a\nb"}, []string{"a\n"}},
		{`(?dm)a$\n^b$`, []string{"a\nb"}, nil},
		{`\Aa\Z\n?\z`, []string{"a", "a\n"}, nil},
		{`\p{Alpha}\p{Lu}\pL\P{Digit}\p{IsL}\p{IsGreek}[\p{Punct}\P{L}]`, []string{"aÉéaéα!"}, []string{"éÉéaéα!", "aÉéaéa!"}},
		{`\p{Lower}\p{Upper}\p{Digit}\p{Alnum}\p{XDigit}\p{Punct}\p{Graph}`, []string{"aA1zF!~"}, []string{"éA1zF!~", "aÉ1zF!~", "aA1zG!~", "aA1zFa~", "aA1zF! "}},
		{`\p{ASCII}\p{Print}\p{Blank}\p{Cntrl}\p{Space}`, []string{"\x00 \t\x7f\n"}, []string{"é \t\x7f\n", "a\n\t\x7f\n", "a \n\x7f\n"}},
		{`(?d)a$\n`, []string{"a\n"}, []string{"a\r"}},
		{`(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)\10\11`, []string{"abcdefghijja1"}, []string{"abcdefghijja0"}},
		{`[]a][^]a][a-][&a]`, []string{"]b-&"}, []string{"]]-&"}},
		{`[a\-z][+--]`, []string{"-,"}, []string{"b,"}},
		{`\.\-\]\@}]`, []string{".-]@}]"}, nil},
		{`#a -`, []string{"#a -"}, nil},
		{`\bfoo\b.*\B`, []string{"foo "}, []string{"food"}},
		{`\Gx`, []string{"x"}, nil},
	} {
		p, err := Compile(tc.pattern)
		if err != nil {
			t.Error(err)
			continue
		}
		if p.String() != tc.pattern {
			t.Errorf("String: got %q, want %q", p, tc.pattern)
		}
		for want, texts := range map[bool][]string{true: tc.yes, false: tc.no} {
			for _, s := range texts {
				if got, err := p.Match(s); got != want || err != nil {
					t.Errorf("%q on %q: got %v, %v; want %v (%s)", tc.pattern, s, got, err, want, p.re)
				}
			}
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		`(`:                      "unclosed group",
		`a)(b`:                   "unmatched closing )",
		`)`:                      "unmatched closing )",
		`*a`:                     "nothing to repeat",
		`a**`:                    "nothing to repeat",
		`a|*`:                    "nothing to repeat",
		`(?i)*`:                  "nothing to repeat",
		`a{`:                     "illegal repetition",
		`{1}`:                    "illegal repetition",
		`a{,3}`:                  "illegal repetition",
		`a{3,2}`:                 "illegal repetition range",
		`a{99999999999}`:         "illegal repetition",
		`[a`:                     "unclosed character class",
		`[]`:                     "unclosed character class",
		`[a-`:                    "unclosed character class",
		`[z-a]`:                  "illegal character range",
		`[a[b]]`:                 "class within a character class",
		`[a-[b]]`:                "class within a character class",
		`[a-z&&[^b]]`:            "intersection &&",
		`[\b]`:                   `illegal escape \b`,
		`\`:                      "backslash at the end",
		`[\`:                     "backslash at the end",
		`\y`:                     `illegal escape \y`,
		`\E`:                     `illegal escape \E`,
		`\X`:                     `\X is not supported`,
		`\N{DIGIT ONE}`:          `\N is not supported`,
		`\b{g}`:                  `\b is not supported`,
		`\p`:                     "without a property",
		`\p{Lu`:                  "not closed",
		`\p{InGreek}`:            `\p{InGreek} is not supported`,
		`\p{javaLowerCase}`:      "is not supported",
		`\p{Greek}`:              "is not supported",
		`\0`:                     "without octal digits",
		`\08`:                    "without octal digits",
		`\x4`:                    "too few hexadecimal",
		`\xzz`:                   "bad hexadecimal",
		`\x{110000}`:             "bad character",
		`\x{D800}`:               "bad character",
		`\uD83Dx`:                "half a character",
		`\uD83D\u0041`:           "half a character",
		`\c`:                     "without a character",
		`\k<x>`:                  "names no group",
		`\1`:                     "undefined group",
		`(?<1>a)`:                "bad name of a group",
		`(?<x>a)(?<x>b)`:         "bad name of a group",
		`(?'x'a)`:                "unknown kind of group",
		`(?(1)a|b)`:              "unknown kind of group",
		`(?#comment)`:            "unknown kind of group",
		`(?n)`:                   "unknown kind of group",
		`(?i`:                    "unclosed group",
		strings.Repeat("(", 300): "nested too deeply",
	} {
		if _, err := Compile(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one with %q", pattern, err, want)
		}
	}
}

func TestTimeLimit(t *testing.T) {
	p, err := Compile(`(a+)+b`)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := p.Match(strings.Repeat("a", 60)); ok || err == nil {
		t.Errorf("got %v, %v; want an error", ok, err)
	}
}

// What Go's own engine understands of a small common syntax means the same
// here.
func FuzzCompile(f *testing.F) {
	f.Add(`a(b|c)*[d-f]+x{2}`, "abcd")
	f.Add(`[^\w-]\Q.*\E(?>a++)\1`, "a")
	f.Add(`(?x) [a #]`, "b")
	common := regexp.MustCompile(`^[a-c|]*$`)
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := Compile(pattern)
		if err != nil || len(pattern) > 100 || len(text) > 100 {
			return
		}
		got, err := p.Match(text)
		if err != nil || !common.MatchString(pattern) {
			return
		}
		if want := regexp.MustCompile(`\A(?:` + pattern + `)\z`).MatchString(text); got != want {
			t.Errorf("%q on %q: got %v, want %v", pattern, text, got, want)
		}
	})
}
