package matchers

import (
	"context"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// IsMarkedAsSpam matches the recipients for whom a spam check said yes: a header
// field for this single recipient begins with yes, in any case. Fields of the
// message itself do not count, as anybody can send them.
//
//	<mailet match="IsMarkedAsSpam=org.apache.james.rspamd.status" class="ToRecipientFolder">
//	  <folder>Spam</folder>
//	</mailet>
//
// Condition: the name of the field; without one it is
// org.apache.james.spamassassin.status.
//
// Differs from James: nothing.
type IsMarkedAsSpam struct{ name string }

func newIsMarkedAsSpam(condition string) (container.Matcher, error) {
	if condition == "" {
		condition = "org.apache.james.spamassassin.status"
	}
	return &IsMarkedAsSpam{condition}, nil
}

// Match returns the recipients with such a field.
func (i *IsMarkedAsSpam) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.Each(m, func(a container.Address) bool {
		return slices.ContainsFunc(m.RecipientHeaders[a.Key()], func(f container.HeaderField) bool {
			return f.Name == i.name && strings.HasPrefix(strings.ToLower(f.Value), "yes")
		})
	}), nil
}
