package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/ldap"
)

// HasLDAPAttribute matches the recipients whose entry in an LDAP directory has an
// attribute, or a certain value of it.
//
//	<mailet match="HasLDAPAttribute=description:blocked" class="ToProcessor">
//	  <processor>blocked</processor>
//	</mailet>
//	<mailet match="HasLDAPAttribute=mailForwarding?cacheSize=1000&amp;cacheDuration=1hour" class="Null"/>
//
// Who to ask is in usersrepository.xml. The entry of a recipient is found below
// the user base, or that of the domain, by the object class of users, the address
// and the filter.
//
// Condition: attribute, or attribute:value. Upper and lower case count in the
// value. A value in the directory that is the name of an entry, such as a
// memberOf, equals its first cn, or the whole name in any spelling. After a
// question mark follow the options of a cache, which is on if there is a question
// mark and keeps also the answer no: cacheEnabled (default true), cacheSize
// (default 10000 answers) and cacheDuration (default 1 day; milliseconds without
// unit). In XML the & between them is written &amp;.
//
// Differs from James: users are never in LDAP here; class=
// "com.github.mailetd.UsersRepository" in usersrepository.xml says that the LDAP
// attributes beside it are for matchers. The whole name of an entry is equal,
// too, and a cn may be written CN. All matchers share the connections, which are
// opened when they are needed, and waiting has an end without connectionTimeout
// and readTimeout: 10 and 30 seconds.
type HasLDAPAttribute struct{ *ldapAttribute }

func newHasLDAPAttribute(client *ldap.Client) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		a, err := newLDAPAttribute(client, condition)
		return &HasLDAPAttribute{a}, err
	}
}

// Match returns the recipients that have the attribute; an error when the
// directory does not answer.
func (h *HasLDAPAttribute) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	var out []container.Address
	for _, r := range m.Recipients {
		ok, err := h.has(ctx, r)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, r)
		}
	}
	return out, nil
}
