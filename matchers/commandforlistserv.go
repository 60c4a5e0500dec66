package matchers

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// CommandForListserv matches the recipients that are commands to the list server
// of a mailing list: list-on and list-off, in the domain of the list. Upper and
// lower case differ.
//
//	<mailet match="CommandForListserv=announce@example.com" class="Null"/>
//
// Condition: the address of the list.
//
// Differs from James: nothing.
type CommandForListserv struct{ list container.Address }

func newCommandForListserv(condition string) (container.Matcher, error) {
	a, err := listAddress(condition)
	if err != nil {
		return nil, err
	}
	return &CommandForListserv{a}, nil
}

// listAddress reads a condition that is one address.
func listAddress(condition string) (container.Address, error) {
	a, err := container.ParseAddress(strings.TrimSpace(condition))
	if err != nil {
		return container.Address{}, fmt.Errorf("want the address of a mailing list: %w", err)
	}
	return a, nil
}

// Match returns the recipients that are commands.
func (c *CommandForListserv) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.Each(m, func(a container.Address) bool {
		return a.Domain == c.list.Domain && (a.Local == c.list.Local+"-on" || a.Local == c.list.Local+"-off")
	}), nil
}
