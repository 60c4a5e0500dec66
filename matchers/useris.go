package matchers

import (
	"context"
	"errors"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// UserIs matches the recipients whose local part is in a list, in any domain.
// Upper and lower case differ.
//
//	<mailet match="UserIs=postmaster, abuse" class="Null"/>
//
// Condition: one or more local parts, separated by a comma and one blank. A
// comma without a blank is part of a name.
//
// Differs from James: nothing.
type UserIs struct{ users map[string]bool }

func newUserIs(condition string) (container.Matcher, error) {
	if condition == "" {
		return nil, errors.New("want one or more local parts, separated by a comma and a blank")
	}
	u := &UserIs{map[string]bool{}}
	for name := range strings.SplitSeq(condition, ", ") {
		u.users[name] = true
	}
	return u, nil
}

// Match returns the recipients with one of the local parts.
func (u *UserIs) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.Each(m, func(a container.Address) bool { return u.users[a.Local] }), nil
}
