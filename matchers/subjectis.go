package matchers

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// SubjectIs matches messages with a certain subject. The subject is compared
// unfolded and decoded, case-sensitively.
//
//	<mailet match="SubjectIs=unsubscribe" class="Null"/>
//
// Condition: the subject. Without one it matches an empty Subject field; a
// message without the field does not match.
//
// Differs from James: blanks at both ends of condition and subject do not count;
// a missing condition is an empty one.
type SubjectIs struct{ subject string }

func newSubjectIs(condition string) (container.Matcher, error) {
	return &SubjectIs{strings.TrimSpace(condition)}, nil
}

// Match returns all recipients when the subject is the one.
func (s *SubjectIs) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	v, ok := mime.Text(m.Message.Header(), "Subject")
	return container.All(m, ok && strings.TrimSpace(v) == s.subject), nil
}
