package javaregex

import (
	"strings"
	"testing"
	"time"
)

func TestSearcher(t *testing.T) {
	for _, tc := range []struct {
		expr, text string
		want       bool
	}{
		{"cret", "a secret word", true},
		{"^secret$", "a secret word", false},
		{"", "", true},
		{"x", "", false},
		{"a.b", "a\nb", false},
		{`\bfoo\b`, "a foo b", true},
		{`\d{4}-\d{4}`, "card 1234-5678.", true},
		{`(?m)^b$`, "a\r\nb\r\nc", true},
		{"Caf\u00e9", "in the Caf\u00e9", true},
		{"a|b)", "", false},
		{"secret", "SECRET", false},
		{"(?i)secret", "SECRET", true},
	} {
		s, err := CompileSearcher(tc.expr)
		if tc.expr == "a|b)" {
			if err == nil {
				t.Errorf("%s: compiled", tc.expr)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Find([]rune(tc.text), time.Now().Add(time.Minute)); err != nil || got != tc.want {
			t.Errorf("%q in %q: got %v, %v, want %v", tc.expr, tc.text, got, err, tc.want)
		}
	}
}

func TestSearcherEnds(t *testing.T) {
	s, err := CompileSearcher("(x+x+)+y")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find([]rune(strings.Repeat("x", 1000)), time.Now().Add(50*time.Millisecond)); err == nil {
		t.Error("a search without end came to an end")
	}
	if _, err := s.Find([]rune("xxy"), time.Now().Add(-time.Second)); err == nil || s.String() != "(x+x+)+y" {
		t.Errorf("got %v for %s after the deadline", err, s)
	}
}
