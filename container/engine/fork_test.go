package engine

import (
	"errors"
	"slices"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// A mailet forks a mail: the fork goes on behind it, or in the processor it names,
// and vanishes when the mailet fails after all.
func TestFork(t *testing.T) {
	var tr trace
	fork := func(state string, err error) mailetFunc {
		return func(m *container.Mail, out *container.Outbox) error {
			c := m.Clone()
			c.Recipients = m.Recipients[1:]
			if state != "" {
				c.State = state
			}
			m.Recipients = m.Recipients[:1]
			out.Fork(c)
			return err
		}
	}
	for _, tc := range []struct {
		name string
		fork mailetFunc
		want []string
	}{
		{"goes on behind the mailet", fork("", nil), []string{"before:a,b", "behind:a", "behind:b"}},
		{"goes to another processor", fork("other", nil), []string{"before:a,b", "other:b", "behind:a"}},
		{"of a mailet that fails", fork("", errors.New("no")), []string{"before:a,b", "error:a,b"}},
	} {
		tr.lines = nil
		e := newEngine(map[string][]step{
			"root":  {st(all, tr.see("before")), st(all, tc.fork), st(all, tr.see("behind"))},
			"other": {st(all, tr.see("other"))},
			"error": {st(all, tr.see("error"))},
		})
		m := container.NewMail(container.Address{}, []container.Address{{Local: "a", Domain: "x.test"}, {Local: "b", Domain: "x.test"}}, container.Message{})
		if err := e.Run(t.Context(), m, &container.Outbox{}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(tr.lines, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.name, tr.lines, tc.want)
		}
	}
}
