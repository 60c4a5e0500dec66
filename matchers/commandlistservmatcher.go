package matchers

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// CommandListservMatcher matches the recipients that are commands to the list
// server of a mailing list: all whose local part begins with that of the list
// and a hyphen, in the domain of the list. Upper and lower case differ.
//
//	<mailet match="CommandListservMatcher=announce@example.com" class="Null"/>
//
// Condition: the address of the list.
//
// Differs from James: nothing.
type CommandListservMatcher struct{ list container.Address }

func newCommandListservMatcher(condition string) (container.Matcher, error) {
	a, err := listAddress(condition)
	if err != nil {
		return nil, err
	}
	return &CommandListservMatcher{a}, nil
}

// Match returns the recipients that are commands.
func (c *CommandListservMatcher) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.Each(m, func(a container.Address) bool {
		return a.Domain == c.list.Domain && strings.HasPrefix(a.Local, c.list.Local+"-")
	}), nil
}
