package matchers

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// HasHeaderWithPrefix matches when there is a header field whose name begins
// with a text. A field of the message holds for all recipients, one that a
// mailet added for a single recipient for this one.
//
//	<mailet match="HasHeaderWithPrefix=X-Spam-" class="Null"/>
//
// Condition: the beginning of a field name.
//
// Differs from James: the case of the name does not count (RFC 5322 §1.2.2); only
// recipients that the mail has are returned.
type HasHeaderWithPrefix struct{ prefix string }

func newHasHeaderWithPrefix(condition string) (container.Matcher, error) {
	if condition == "" {
		return nil, errors.New("want the beginning of a field name")
	}
	return &HasHeaderWithPrefix{condition}, nil
}

// Match returns the recipients that have such a field.
func (h *HasHeaderWithPrefix) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	for f := range mime.Fields(m.Message.Header()) {
		if len(f.Name) >= len(h.prefix) && strings.EqualFold(string(f.Name[:len(h.prefix)]), h.prefix) {
			return m.Recipients, nil
		}
	}
	return container.Each(m, func(a container.Address) bool {
		return slices.ContainsFunc(m.RecipientHeaders[a.Key()], func(f container.HeaderField) bool {
			return len(f.Name) >= len(h.prefix) && strings.EqualFold(f.Name[:len(h.prefix)], h.prefix)
		})
	}), nil
}
