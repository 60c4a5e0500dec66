package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// IsOverQuota matches nobody. In James it matches the recipients whose mailbox
// would be over its quota with the message; there are no mailbox quotas here.
//
//	<mailet match="IsOverQuota" class="Bounce"/>
//
// Condition: none.
//
// Differs from James: there are no quotas, so nobody is over one.
type IsOverQuota struct{}

func newIsOverQuota(string) (container.Matcher, error) { return &IsOverQuota{}, nil }

// Match returns nobody.
func (*IsOverQuota) Match(context.Context, *container.Mail) ([]container.Address, error) {
	return nil, nil
}

// InertReason says why the matcher never matches.
func (*IsOverQuota) InertReason() string {
	return "mailboxes have no quotas here, so no recipient is over one"
}
