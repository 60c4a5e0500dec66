package matchers

import (
	"context"
	"errors"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// HasMailAttributeWithValue matches mails in which an attribute has a value.
// The value is compared as text, case-sensitively: a Boolean is true or false, a
// number is decimal.
//
//	<mailet match="HasMailAttributeWithValue=org.apache.james.infected, true" class="Null"/>
//
// Condition: the name of the attribute, a comma, and the value; blanks around
// both do not count, and the value may be empty.
//
// Differs from James: nothing.
type HasMailAttributeWithValue struct{ name, value string }

func newHasMailAttributeWithValue(condition string) (container.Matcher, error) {
	name, value, ok := strings.Cut(condition, ",")
	name = strings.TrimSpace(name)
	if !ok || name == "" {
		return nil, errors.New("want the name of an attribute, a comma and a value")
	}
	return &HasMailAttributeWithValue{name, strings.TrimSpace(value)}, nil
}

// Match returns all recipients when the attribute has the value.
func (h *HasMailAttributeWithValue) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	v, ok := m.Attributes[h.name]
	return container.All(m, ok && strings.TrimSpace(container.FormatValue(v)) == h.value), nil
}
