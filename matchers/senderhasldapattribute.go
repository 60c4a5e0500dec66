package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/ldap"
)

// SenderHasLDAPAttribute matches when the entry of the envelope sender in an LDAP
// directory has an attribute, or a certain value of it. The null sender has none.
//
//	<mailet match="SenderHasLDAPAttribute=description:may write outside" class="ToProcessor">
//	  <processor>relay</processor>
//	</mailet>
//
// Condition: as HasLDAPAttribute's, with the same options of a cache.
//
// Differs from James: as HasLDAPAttribute.
type SenderHasLDAPAttribute struct{ *ldapAttribute }

func newSenderHasLDAPAttribute(client *ldap.Client) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		a, err := newLDAPAttribute(client, condition)
		return &SenderHasLDAPAttribute{a}, err
	}
}

// Match returns all recipients when the sender has the attribute; an error when
// the directory does not answer.
func (s *SenderHasLDAPAttribute) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	if m.Sender.IsNull() {
		return nil, nil
	}
	ok, err := s.has(ctx, m.Sender)
	return container.All(m, ok), err
}
