package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// All matches every recipient.
//
//	<mailet match="All" class="Null"/>
//
// Condition: none.
//
// Differs from James: nothing.
type All struct{}

func newAll(string) (container.Matcher, error) { return &All{}, nil }

// Match returns all recipients.
func (*All) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return m.Recipients, nil
}
