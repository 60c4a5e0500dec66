package matchers

import (
	"context"
	"log/slog"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/ldap"
)

// SenderIsInLDAPGroup matches when the envelope sender is a member of a group in
// an LDAP directory. The null sender is in none.
//
//	<mailet notmatch="SenderIsInLDAPGroup=cn=list-owners,ou=groups,dc=example,dc=com" class="Null"/>
//
// Condition: the name of the group, as in IsInLDAPGroup.
//
// Differs from James: as IsInLDAPGroup.
type SenderIsInLDAPGroup struct{ *ldapGroup }

func newSenderIsInLDAPGroup(client *ldap.Client, log *slog.Logger) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		g, err := newLDAPGroup(client, log, condition)
		return &SenderIsInLDAPGroup{g}, err
	}
}

// Match returns all recipients when the sender is a member; an error when the
// directory does not answer.
func (s *SenderIsInLDAPGroup) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	if m.Sender.IsNull() {
		return nil, nil
	}
	in, err := s.members(ctx, []container.Address{m.Sender})
	return container.All(m, len(in) > 0), err
}
