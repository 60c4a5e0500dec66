package matchers

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// fixed matches the recipients with these local parts, and counts.
type fixed struct {
	parts string
	extra []container.Address
	err   error
	calls int
}

func (f *fixed) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	f.calls++
	if f.parts == all {
		return m.Recipients, f.err
	}
	var out []container.Address
	for i := range f.parts {
		for _, r := range m.Recipients {
			if names([]container.Address{r}) == f.parts[i:i+1] {
				out = append(out, r)
			}
		}
	}
	return append(out, f.extra...), f.err
}

func TestComposites(t *testing.T) {
	for _, tc := range []struct {
		class    string
		children []string
		want     string
		calls    int
	}{
		{"And", nil, "", 0},
		{"And", []string{"ab"}, "a b", 1},
		{"And", []string{"ba", "bc"}, "b", 2},
		{"And", []string{all, "cb", all}, "b c", 3},
		{"And", []string{"a", "b", "abc"}, "", 2},
		{"And", []string{"", "abc"}, "", 1},
		{"Or", nil, "", 0},
		{"Or", []string{"c", "a"}, "a c", 2},
		{"Or", []string{all, "a"}, all, 2},
		{"Or", []string{"", ""}, "", 2},
		{"Not", nil, all, 0},
		{"Not", []string{"b"}, "a c", 1},
		{"Not", []string{"b", "a"}, "c", 2},
		{"Not", []string{all, "a"}, "", 2},
		{"Not", []string{""}, all, 1},
		{"Xor", nil, "", 0},
		{"Xor", []string{"ab", "bc"}, "a c", 2},
		{"Xor", []string{"ab", "bc", "b"}, all, 3},
		{"Xor", []string{all, all}, "", 2},
	} {
		for _, pkg := range []string{composite, james} {
			t.Run(fmt.Sprint(tc.class, tc.children), func(t *testing.T) {
				ma, err := testRegistry().NewMatcher(pkg+tc.class, "ignored")
				if err != nil {
					t.Fatal(err)
				}
				c := ma.(container.Composite)
				calls := 0
				var children []*fixed
				for _, parts := range tc.children {
					f := &fixed{parts: parts, extra: []container.Address{container.MustAddress("stranger@example.org")}}
					children = append(children, f)
					c.Add(f)
				}
				got, err := c.Match(t.Context(), newTestMail(""))
				for _, f := range children {
					calls += f.calls
				}
				if err != nil || names(got) != tc.want || calls != tc.calls {
					t.Errorf("got %q after %d calls, %v; want %q after %d", names(got), calls, err, tc.want, tc.calls)
				}
			})
		}
	}
}

func TestCompositeErrors(t *testing.T) {
	broken := errors.New("child broke")
	for _, class := range []string{"And", "Or", "Not", "Xor"} {
		ma, _ := testRegistry().NewMatcher(class, "")
		ma.(container.Composite).Add(&fixed{err: broken})
		if _, err := ma.Match(t.Context(), newTestMail("")); !errors.Is(err, broken) {
			t.Errorf("%s: got error %v, want %v", class, err, broken)
		}
	}
}

func TestManyRecipients(t *testing.T) {
	m := newTestMail("")
	m.Recipients = nil
	for i := range 100 {
		m.Recipients = append(m.Recipients, container.Address{Local: fmt.Sprint("u", i), Domain: "example.com"})
	}
	and := &And{}
	and.Add(sublist(m.Recipients[10:60]))
	and.Add(sublist(m.Recipients[50:]))
	got, err := and.Match(t.Context(), m)
	if err != nil || len(got) != 10 || got[0] != m.Recipients[50] {
		t.Errorf("got %v, %v; want the ten from u50", got, err)
	}
}

type sublist []container.Address

func (s sublist) Match(context.Context, *container.Mail) ([]container.Address, error) { return s, nil }
