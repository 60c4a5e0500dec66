package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// IsRemoteDeliveryTemporaryError matches mails that RemoteDelivery gave up
// because of a temporary error: the Boolean attribute
// is-delivery-permanent-error is there and false.
//
//	<mailet match="IsRemoteDeliveryTemporaryError" class="ToRepository">
//	  <repositoryPath>file://var/mail/error/remote-delivery/temporary/</repositoryPath>
//	</mailet>
//
// Condition: none.
//
// Differs from James: nothing.
type IsRemoteDeliveryTemporaryError struct{}

func newIsRemoteDeliveryTemporaryError(string) (container.Matcher, error) {
	return &IsRemoteDeliveryTemporaryError{}, nil
}

// Match returns all recipients when the last attempt failed for now.
func (*IsRemoteDeliveryTemporaryError) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	is, ok := m.Attributes.Bool(container.AttrPermanentError)
	return container.All(m, ok && !is), nil
}
