package matchers

import (
	"context"
	"errors"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// atMostDefault is the counter of AtMost conditions that name none.
const atMostDefault = "AT_MOST_EXECUTIONS"

// AtMost matches a mail the first N times it is asked, and nobody from then on.
// The count is an attribute of the mail, of type Integer: it is stored with the
// mail, goes along when it is split, and survives reprocessing.
//
//	<mailet match="AtMost=relay-attempts:5" class="RemoteDelivery"/>
//
// Condition: N, or an attribute name, a colon and N. N is at least 1. Without a
// name the attribute is AT_MOST_EXECUTIONS, which all conditions without a name
// share. Every evaluation that matches counts, also below Or and Not and in
// notmatch; below And only when the children before it matched.
//
// Differs from James: nothing.
type AtMost struct {
	attribute string
	limit     int
}

func newAtMost(condition string) (container.Matcher, error) {
	attribute, count := atMostDefault, condition
	if i := strings.IndexByte(condition, ':'); i >= 0 {
		attribute, count = condition[:i], condition[i+1:]
	}
	if attribute == "" {
		return nil, errors.New("want COUNT or ATTRIBUTE:COUNT; the attribute name is empty")
	}
	n, err := positive(count)
	if err != nil {
		return nil, errors.New("want COUNT or ATTRIBUTE:COUNT with COUNT at least 1")
	}
	return &AtMost{attribute, n}, nil
}

// Match counts and returns all recipients, or leaves the mail alone and returns
// none.
func (a *AtMost) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	n, _ := m.Attributes.Int(a.attribute)
	if n >= a.limit || len(m.Recipients) == 0 {
		return nil, nil
	}
	m.Set(a.attribute, int32(n)+1)
	return m.Recipients, nil
}
