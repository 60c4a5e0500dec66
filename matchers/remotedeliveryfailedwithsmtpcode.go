package matchers

import (
	"context"
	"fmt"
	"strconv"

	"github.com/mailetd/mailetd/container"
)

// RemoteDeliveryFailedWithSMTPCode matches mails whose last delivery attempt
// was answered with a reply code: the Integer attribute delivery-error-code has
// it. Failures without a reply, such as an unknown host, match no code.
//
//	<mailet match="RemoteDeliveryFailedWithSMTPCode=552" class="Null"/>
//
// Condition: a reply code from 101 to 599.
//
// Differs from James: codes from 555 to 599 are accepted.
type RemoteDeliveryFailedWithSMTPCode struct{ code int }

func newRemoteDeliveryFailedWithSMTPCode(condition string) (container.Matcher, error) {
	n, err := strconv.Atoi(condition)
	if err != nil || n < 101 || n > 599 {
		return nil, fmt.Errorf("%q is not an SMTP reply code from 101 to 599", condition)
	}
	return &RemoteDeliveryFailedWithSMTPCode{n}, nil
}

// Match returns all recipients when the last reply had the code.
func (r *RemoteDeliveryFailedWithSMTPCode) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	code, ok := m.Attributes.Int(container.AttrDeliveryErrorCode)
	return container.All(m, ok && code == r.code), nil
}
