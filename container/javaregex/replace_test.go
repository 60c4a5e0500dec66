package javaregex

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestReplace(t *testing.T) {
	for _, tc := range []struct {
		name, source, with, flags, in string
		want                          string
	}{
		{"first only", "a", "b", "", "banana", "bbnana"},
		{"repeated", "a", "o", "r", "banana", "bonono"},
		{"no match", "x", "y", "r", "banana", "banana"},
		{"ignore case", "A", "b", "i", "xay", "xby"},
		{"case counts", "A", "b", "", "xay", "xay"},
		{"groups", "(a)(b)", "$2$1", "", "xab", "xba"},
		{"group 0", "b+", "[$0]", "", "abbc", "a[bb]c"},
		{"digits that name no group", "(a)", "$12", "", "a", "a2"},
		{"named group", "(?<x>a)(b)", "${x}$2$1", "", "ab", "aba"},
		{"group without part", "(a)|(b)", "<$1>", "", "b", "<>"},
		{"escapes", "a", `\$1\\`, "", "a", `$1\`},
		{"lines", "^b$", "x", "m", "a\r\nb\r\nc", "a\r\nx\r\nc"},
		{"no lines", "^b$", "x", "", "a\r\nb\r\nc", "a\r\nb\r\nc"},
		{"dot and line ends", "a.c", "x", "", "a\nc", "a\nc"},
		{"dot all", "a.c", "x", "s", "a\nc", "x"},
		{"empty match", "x*", "-", "", "ab", "-ab"},
		{"characters beyond the first plane", "b", "😀", "", "😀b😀", "😀😀😀"},
		{"shrinking", "ab", "", "r", "ababab", ""},
		{"shrinking to one", "  ", " ", "r", "a     b", "a b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := CompileReplacer(tc.source, tc.with, tc.flags)
			if err != nil {
				t.Fatal(err)
			}
			got, changed, err := r.Replace(tc.in, 1000, time.Now().Add(time.Minute))
			if err != nil || got != tc.want {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
			if !changed && got != tc.in {
				t.Error("changed is false")
			}
		})
	}
}

func TestBadReplacer(t *testing.T) {
	for _, tc := range []struct{ source, with, want string }{
		{"(", "", "unclosed group"},
		{"a)", "", "unmatched closing )"},
		{"a", "$", "$ without the number of a group"},
		{"a", "$x", "$ without the number of a group"},
		{"(a)", "$2", "there is no group 2"},
		{"(?<x>a)", "${y}", `no group is called "y"`},
		{"(?<x>a)", "${x", `no group is called "x"`},
		{"a", `\`, "backslash at the end"},
	} {
		if _, err := CompileReplacer(tc.source, tc.with, ""); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q, %q: got %v, want %q", tc.source, tc.with, err, tc.want)
		}
	}
}

func TestReplaceLimits(t *testing.T) {
	grow, err := CompileReplacer("a", "aa", "r")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := grow.Replace("a", 100, time.Now().Add(time.Minute)); !errors.Is(err, ErrTooLong) {
		t.Errorf("got %v, want ErrTooLong", err)
	}
	if _, _, err := grow.Replace("a", 100, time.Now()); err == nil || !strings.Contains(err.Error(), "time is up") {
		t.Errorf("got %v, want time is up", err)
	}
	slow, err := CompileReplacer("(x+x+)+y", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := slow.Replace(strings.Repeat("x", 60), 100, time.Now().Add(50*time.Millisecond)); err == nil {
		t.Error("a match that takes for ever: no error")
	}
}

func TestReplaceConcurrently(t *testing.T) {
	r, err := CompileReplacer("(a+)b", "<$1>", "r")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got, _, err := r.Replace("aabab", 100, time.Now().Add(time.Minute)); err != nil || got != "<aa><a>" {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}
