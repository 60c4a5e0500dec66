package matchers

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// HasHeader matches when there are header fields, or fields with values. What
// the message has holds for all recipients; fields that mailets added for single
// recipients (as spam checks do) hold for these. Values are compared unfolded and
// decoded, case-sensitively; any of several fields of a name will do.
//
//	<mailet match="HasHeader=X-Spam-Flag=YES+X-Spam-Level" class="Null"/>
//
// Condition: one or more terms NAME or NAME=VALUE, joined with +, all of which
// must hold. A value can hold neither + nor =; what follows a second = does not
// count.
//
// Differs from James: an empty condition stops the start instead of matching
// never; the case of a name does not count for fields of single recipients
// either; only recipients that the mail has are returned.
type HasHeader struct{ terms []headerTerm }

type headerTerm struct{ name, value string }

func newHasHeader(condition string) (container.Matcher, error) {
	h := &HasHeader{}
	for term := range strings.SplitSeq(condition, "+") {
		parts := strings.Split(term, "=")
		t := headerTerm{name: strings.TrimSpace(parts[0])}
		if t.name == "" {
			return nil, errors.New("missing header name: want NAME or NAME=VALUE, several joined with +")
		}
		if len(parts) > 1 {
			t.value = strings.TrimSpace(parts[1])
		}
		h.terms = append(h.terms, t)
	}
	return h, nil
}

// Match returns the recipients for whom all terms hold.
func (h *HasHeader) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	header := m.Message.Header()
	out := m.Recipients
	for _, t := range h.terms {
		if !t.inMessage(header) {
			out = filter(out, func(a container.Address) bool {
				return slices.ContainsFunc(m.RecipientHeaders[a.Key()], t.holds)
			})
		}
	}
	return out, nil
}

// filter returns the elements of list that pass, in order, in a new slice.
func filter(list []container.Address, pass func(container.Address) bool) []container.Address {
	var out []container.Address
	for _, a := range list {
		if pass(a) {
			out = append(out, a)
		}
	}
	return out
}

func (t headerTerm) inMessage(header []byte) bool {
	if t.value == "" {
		return mime.Has(header, t.name)
	}
	return slices.ContainsFunc(mime.Values(header, t.name), func(v string) bool { return mime.DecodeText(v) == t.value })
}

func (t headerTerm) holds(f container.HeaderField) bool {
	return strings.EqualFold(f.Name, t.name) && (t.value == "" || f.Value == t.value)
}
