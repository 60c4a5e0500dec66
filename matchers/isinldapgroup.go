package matchers

import (
	"context"
	"log/slog"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/ldap"
)

// IsInLDAPGroup matches the recipients that are members of a group in an LDAP
// directory.
//
//	<mailet match="IsInLDAPGroup=cn=board,ou=groups,dc=example,dc=com" class="ToProcessor">
//	  <processor>board</processor>
//	</mailet>
//
// Who to ask is in usersrepository.xml. The members are the entries named in the
// attribute member of the group; their addresses are in the attribute that is
// userIdAttribute there. Groups within groups are not followed.
//
// Condition: the name of the group. A group that does not exist matches nobody,
// with a warning in the log.
//
// Differs from James: all members count, not only the first, with all their
// addresses; a name that cannot be one stops the start. As to settings and
// connections see HasLDAPAttribute.
type IsInLDAPGroup struct{ *ldapGroup }

func newIsInLDAPGroup(client *ldap.Client, log *slog.Logger) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		g, err := newLDAPGroup(client, log, condition)
		return &IsInLDAPGroup{g}, err
	}
}

// Match returns the recipients that are members; an error when the directory does
// not answer.
func (i *IsInLDAPGroup) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	return i.members(ctx, m.Recipients)
}
