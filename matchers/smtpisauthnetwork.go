package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// SMTPIsAuthNetwork matches mails that the SMTP server accepted for relaying:
// from an authorised network or from somebody who logged in. It reads the
// Boolean attribute org.apache.james.SMTPIsAuthNetwork.
//
//	<mailet match="SMTPIsAuthNetwork" class="ToProcessor">
//	  <processor>transport</processor>
//	</mailet>
//
// Condition: none.
//
// Differs from James: nothing.
type SMTPIsAuthNetwork struct{}

func newSMTPIsAuthNetwork(string) (container.Matcher, error) { return &SMTPIsAuthNetwork{}, nil }

// Match returns all recipients when relaying was allowed.
func (*SMTPIsAuthNetwork) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	is, _ := m.Attributes.Bool(container.AttrSMTPIsAuthNetwork)
	return container.All(m, is), nil
}
