package container

import (
	"fmt"
	"strings"
	"testing"
)

func TestRecipientLookup(t *testing.T) {
	few := map[string]Value{"a@x.test": "1", "B@X.test": "2", "n@x.test": int32(1)}
	many := map[string]Value{}
	for i := range 10 {
		many[fmt.Sprintf("Bob%d@X.test", i)] = fmt.Sprint(i)
	}
	many["n@x.test"], many["kelvin\u212a@x.test"] = int32(1), "k"
	a := Attributes{"few": few, "many": many, "text": "a@x.test"}
	l := a.Lookup()
	for _, name := range []string{"few", "many", "text", "none"} {
		for _, rcpt := range []string{"a@x.test", "b@x.test", "BOB3@x.TEST", "Bob4@X.test", "n@x.test", "N@x.test", "nobody@x.test", "KELVINk@x.test"} {
			r := MustAddress(rcpt)
			want, wantOK := a.RecipientString(name, r)
			if got, ok := l.RecipientString(name, r); got != want || ok != wantOK {
				t.Errorf("%s of %s: got %q, %t, want %q, %t", name, rcpt, got, ok, want, wantOK)
			}
		}
	}
}

// FuzzFold: two texts are the same folded when they are EqualFold.
func FuzzFold(f *testing.F) {
	for _, s := range [][2]string{{"abc", "ABC"}, {"k", "\u212a"}, {"\u017f", "S"}, {"\xff", "\ufffd"}, {"\u00df", "ss"}, {"\u03c2", "\u03a3"}, {"1@", "1`"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, other := range []string{b, strings.ToUpper(a), strings.ToLower(a), strings.ToTitle(a)} {
			if got, want := fold(a) == fold(other), strings.EqualFold(a, other); got != want {
				t.Errorf("%q and %q: folded alike %t, want %t", a, other, got, want)
			}
		}
	})
}

// BenchmarkRecipientString asks for 20,000 recipients, of which every other one
// has a value.
func BenchmarkRecipientString(b *testing.B) {
	all, rcpts := map[string]Value{}, make([]Address, 20000)
	for i := range rcpts {
		rcpts[i] = MustAddress(fmt.Sprintf("recipient%d@example.org", i))
		if i%2 == 0 {
			all[rcpts[i].String()] = "NEVER"
		}
	}
	a := Attributes{AttrDSNNotify: all}
	b.Run("one by one", func(b *testing.B) {
		for b.Loop() {
			for _, r := range rcpts {
				a.RecipientString(AttrDSNNotify, r)
			}
		}
	})
	b.Run("lookup", func(b *testing.B) {
		for b.Loop() {
			l := a.Lookup()
			for _, r := range rcpts {
				l.RecipientString(AttrDSNNotify, r)
			}
		}
	})
}
