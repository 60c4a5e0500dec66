package matchers

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// SubjectStartsWith matches messages whose subject begins with a text. The
// subject is compared unfolded and decoded, case-sensitively.
//
//	<mailet match="SubjectStartsWith=[ADV]" class="Null"/>
//
// Condition: the beginning of the subject. Without one it matches any message
// that has a Subject field.
//
// Differs from James: a missing condition is an empty one, instead of an error
// for each mail.
type SubjectStartsWith struct{ prefix string }

func newSubjectStartsWith(condition string) (container.Matcher, error) {
	return &SubjectStartsWith{condition}, nil
}

// Match returns all recipients when the subject begins so.
func (s *SubjectStartsWith) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	v, ok := mime.Text(m.Message.Header(), "Subject")
	return container.All(m, ok && strings.HasPrefix(v, s.prefix)), nil
}
