package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// SMTPAuthSuccessful matches mails whose sender logged in at the SMTP server:
// those with the attribute org.apache.james.SMTPAuthUser, whatever its value.
//
//	<mailet match="SMTPAuthSuccessful" class="ToProcessor">
//	  <processor>transport</processor>
//	</mailet>
//
// Condition: none.
//
// Differs from James: nothing.
type SMTPAuthSuccessful struct{}

func newSMTPAuthSuccessful(string) (container.Matcher, error) { return &SMTPAuthSuccessful{}, nil }

// Match returns all recipients when there is an authenticated user.
func (*SMTPAuthSuccessful) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	_, ok := m.Attributes[container.AttrSMTPAuthUser]
	return container.All(m, ok), nil
}
