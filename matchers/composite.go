package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// group holds the children of And, Or, Not and Xor.
type group struct {
	children []container.Matcher
}

// Add appends a child. It is called while the configuration is loaded.
func (c *group) Add(child container.Matcher) { c.children = append(c.children, child) }

// countMatches asks every child and returns, for each recipient of m, how many
// of them matched it.
func (c *group) countMatches(ctx context.Context, m *container.Mail) ([]int, error) {
	counts := make([]int, len(m.Recipients))
	for _, child := range c.children {
		got, err := child.Match(ctx, m)
		if err != nil {
			return nil, err
		}
		in := membership(m, got)
		for i, r := range m.Recipients {
			if in(r) {
				counts[i]++
			}
		}
	}
	return counts, nil
}

// pick returns the recipients of m whose count passes.
func pick(m *container.Mail, counts []int, pass func(int) bool) []container.Address {
	var out []container.Address
	for i, r := range m.Recipients {
		if pass(counts[i]) {
			out = append(out, r)
		}
	}
	return out
}

// smallList is the length up to which looking through a list beats a map.
const smallList = 8

// membership returns a test for being in list. Nearly always a child returns
// nobody or everybody, which needs no looking.
func membership(m *container.Mail, list []container.Address) func(container.Address) bool {
	switch {
	case len(list) == 0:
		return func(container.Address) bool { return false }
	case len(list) == len(m.Recipients) && &list[0] == &m.Recipients[0]:
		return func(container.Address) bool { return true }
	case len(list) <= smallList:
		return func(a container.Address) bool { return container.ContainsAddress(list, a) }
	}
	set := make(addressSet, len(list))
	for _, a := range list {
		set[a.Key()] = true
	}
	return set.has
}
