package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// IsRemoteDeliveryPermanentError matches mails that RemoteDelivery gave up
// because of a permanent error: the Boolean attribute
// is-delivery-permanent-error is true.
//
//	<mailet match="IsRemoteDeliveryPermanentError" class="ToRepository">
//	  <repositoryPath>file://var/mail/error/remote-delivery/permanent/</repositoryPath>
//	</mailet>
//
// Condition: none.
//
// Differs from James: nothing.
type IsRemoteDeliveryPermanentError struct{}

func newIsRemoteDeliveryPermanentError(string) (container.Matcher, error) {
	return &IsRemoteDeliveryPermanentError{}, nil
}

// Match returns all recipients when the last attempt failed for good.
func (*IsRemoteDeliveryPermanentError) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	is, ok := m.Attributes.Bool(container.AttrPermanentError)
	return container.All(m, ok && is), nil
}
