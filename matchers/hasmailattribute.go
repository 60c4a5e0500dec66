package matchers

import (
	"context"
	"errors"

	"github.com/mailetd/mailetd/container"
)

// HasMailAttribute matches mails that have an attribute, whatever its value.
//
//	<mailet match="HasMailAttribute=mailRepository-reprocessing" class="Null"/>
//
// Condition: the name of the attribute, exactly as it is.
//
// Differs from James: nothing.
type HasMailAttribute struct{ name string }

func newHasMailAttribute(condition string) (container.Matcher, error) {
	if condition == "" {
		return nil, errors.New("want the name of an attribute")
	}
	return &HasMailAttribute{condition}, nil
}

// Match returns all recipients when the attribute is there.
func (h *HasMailAttribute) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	_, ok := m.Attributes[h.name]
	return container.All(m, ok), nil
}
