package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

// IsOverQuota matches the recipients whose mailbox would hold more than it may
// with the message: more messages, or more octets. The limits are set with
// webadmin's /quota: for all, for a domain, for a user; of each limit the
// narrowest counts, and a recipient without any does not match.
//
//	<mailet match="IsOverQuota" class="Bounce"/>
//
// Put it in front of LocalDelivery, which itself knows no quotas. A mailbox is
// measured by its files, whoever puts them there or removes them, the trash
// included. For a large mailbox the result is kept for up to ten seconds, so
// that mails that come together may pass a limit together.
//
// Condition: none.
//
// Differs from James: nothing.
type IsOverQuota struct{ quotas *local.Quotas }

func newIsOverQuota(quotas *local.Quotas) container.MatcherFactory {
	return func(string) (container.Matcher, error) { return &IsOverQuota{quotas}, nil }
}

// Match returns the recipients whose mailbox is full.
func (i *IsOverQuota) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	var out []container.Address
	for _, r := range m.Recipients {
		over, err := i.quotas.Over(ctx, r, m.Message.Size())
		if err != nil {
			return nil, err
		}
		if over {
			out = append(out, r)
		}
	}
	return out, nil
}
