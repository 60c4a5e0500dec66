package matchers

import (
	"context"
	"errors"
	"slices"

	"github.com/mailetd/mailetd/container"
)

// SMTPAuthUserIs matches mails that one of some users submitted: the name under
// which the client logged in is in a list. The server keeps names in lower case.
//
//	<mailet match="SMTPAuthUserIs=scanner@example.com, printer@example.com" class="Null"/>
//
// Condition: one or more user names in lower case, separated by commas, blanks
// or tabs.
//
// Differs from James: a condition without any name stops the start instead of
// matching never.
type SMTPAuthUserIs struct{ users []string }

func newSMTPAuthUserIs(condition string) (container.Matcher, error) {
	users := items(condition)
	if len(users) == 0 {
		return nil, errors.New("want one or more user names, separated by commas or blanks")
	}
	return &SMTPAuthUserIs{users}, nil
}

// Match returns all recipients when the user is in the list.
func (s *SMTPAuthUserIs) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	user, ok := m.Attributes.String(container.AttrSMTPAuthUser)
	return container.All(m, ok && slices.Contains(s.users, user)), nil
}
