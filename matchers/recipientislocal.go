package matchers

import (
	"context"
	"fmt"

	"github.com/mailetd/mailetd/container"
)

// localAddresses is what RecipientIsLocal and SenderIsLocal need of the local
// data.
type localAddresses interface {
	IsLocalAddress(ctx context.Context, a container.Address) (bool, error)
}

// RecipientIsLocal matches the recipients that have an account here, by
// themselves or by an alias.
//
//	<mailet match="RecipientIsLocal" class="LocalDelivery"/>
//
// Condition: none.
//
// Differs from James: recipients keep their order instead of being grouped by
// domain.
type RecipientIsLocal struct{ local localAddresses }

func newRecipientIsLocal(l localAddresses) container.MatcherFactory {
	return func(string) (container.Matcher, error) { return &RecipientIsLocal{l}, nil }
}

// Match returns the recipients with an account; an error when the local data
// cannot be read.
func (r *RecipientIsLocal) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	var out []container.Address
	for _, rcpt := range m.Recipients {
		ok, err := r.local.IsLocalAddress(ctx, rcpt)
		if err != nil {
			return nil, fmt.Errorf("look up recipient %s: %w", rcpt, err)
		}
		if ok {
			out = append(out, rcpt)
		}
	}
	return out, nil
}
