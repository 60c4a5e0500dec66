package sieve

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzCompile: a script that compiles prints as one that compiles, prints the same
// again, and does the same.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		"keep;", `require ["fileinto", "variables"]; if header :matches "subject" "*a*" { fileinto "${1}"; } else { stop; }`,
		requireAll + "if allof(size :over 1K, not address :detail \"to\" [\"a\", \"b\"]) { redirect :copy \"x@example.com\"; } elsif true { vacation :days 2 text:\n..x\n.\n; }",
		requireAll + `addheader "A" "${hex: 41}"; deleteheader :index 1 "x" "y"; setflag "a" "\\Seen"; if date "date" "year" "1997" { reject "a"; }`,
		requireAll + `if body :content "text" :contains "a" { discard; } if currentdate :zone "+0100" "hour" "1" {} set :length "a" "b";`,
		"text :a \"\\\\\r\n\";", "/* a", "if (", strings.Repeat("if not true {", 20),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Compile([]byte(text), Limits{Steps: 200_000})
		if err != nil {
			return
		}
		printed := s.String()
		again, err := Compile([]byte(printed), Limits{Steps: 200_000, Size: 1 << 20})
		if err != nil {
			t.Fatalf("%q prints as %q: %v", text, printed, err)
		}
		if p := again.String(); p != printed {
			t.Fatalf("%q prints as\n%q and then as\n%q", text, printed, p)
		}
		want, err1 := s.Run(t.Context(), env())
		got, err2 := again.Run(t.Context(), env())
		for _, r := range []Result{want, got} {
			for i := range r.Actions {
				r.Actions[i].Line = 0
			}
		}
		if (err1 == nil) != (err2 == nil) || !reflect.DeepEqual(want, got) {
			t.Fatalf("%q: %s, %v; printed: %s, %v", text, show(want), err1, show(got), err2)
		}
	})
}

// FuzzGlob: a pattern matches what a plain, slow matcher says, and its wildcards
// stand for the same.
func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{{"*a*b?", "xaabbéb"}, {`\*?\`, "*x\\"}, {"", ""}, {"*", "\xff"}, {"**a", "aaa"}, {"?*?", "ab"}, {"a*a", "a"}, {"*ab*ab", "abab"}} {
		f.Add(s[0], s[1], true)
		f.Add(s[0], s[1], false)
	}
	f.Fuzz(func(t *testing.T, pattern, s string, octets bool) {
		if len(pattern) > 12 || len(s) > 24 {
			return
		}
		if !octets && (!utf8.ValidString(pattern) || !utf8.ValidString(s)) {
			return
		}
		g := newGlob(pattern, octets)
		ok, found, err := g.match(s, func(int) error { return nil })
		want, captures := slowMatch(pattern, s, octets)
		if err != nil || ok != want {
			t.Fatalf("%q on %q: got %v, %v, want %v", pattern, s, ok, err, want)
		}
		if !ok {
			return
		}
		if got := g.captures(s, found)[1:]; !reflect.DeepEqual(append([]string{}, got...), append([]string{}, captures...)) {
			t.Fatalf("%q on %q: got %q, want %q", pattern, s, got, captures)
		}
	})
}

// slowMatch tries everything, the shortest text for each star first.
func slowMatch(pattern, s string, octets bool) (bool, []string) {
	if pattern == "" {
		return s == "", nil
	}
	width := 0
	if s != "" {
		width = 1
		if !octets {
			_, width = utf8.DecodeRuneInString(s)
		}
	}
	switch c := pattern[0]; {
	case c == '*':
		for i := 0; ; {
			if ok, rest := slowMatch(pattern[1:], s[i:], octets); ok {
				return true, append([]string{s[:i]}, rest...)
			}
			if i == len(s) {
				return false, nil
			}
			if octets {
				i++
			} else {
				_, n := utf8.DecodeRuneInString(s[i:])
				i += n
			}
		}
	case c == '?':
		if s == "" {
			return false, nil
		}
		ok, rest := slowMatch(pattern[1:], s[width:], octets)
		return ok, append([]string{s[:width]}, rest...)
	case c == '\\' && len(pattern) > 1:
		pattern = pattern[1:]
	}
	if s == "" || s[0] != pattern[0] {
		return false, nil
	}
	return slowMatch(pattern[1:], s[1:], octets)
}
