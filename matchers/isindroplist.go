package matchers

import (
	"context"
	"errors"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

// IsInDropList matches, against its name, the recipients to whom the sender may
// write: neither its address nor its domain is on the global drop list, on that
// of the recipient's domain, or on that of the recipient. Use notmatch to catch
// the mail that is not wanted. The lists are kept with webadmin's /droplist, and
// a change counts at once; enabled=true in droplists.properties turns them on.
//
//	<mailet notmatch="IsInDropList" class="ToRepository">
//	  <repositoryPath>file://var/mail/dropped/</repositoryPath>
//	</mailet>
//
// Condition: none.
//
// Differs from James: the null sender may write to everybody, so that bounces
// arrive; there it is an error. Upper and lower case do not count.
type IsInDropList struct{ lists *local.DropLists }

func newIsInDropList(lists *local.DropLists) container.MatcherFactory {
	return func(string) (container.Matcher, error) {
		if lists == nil {
			return nil, errors.New("drop lists are off: without them nobody would be kept out; set enabled=true in droplists.properties")
		}
		return &IsInDropList{lists}, nil
	}
}

// Match returns the recipients to whom the sender may write.
func (i *IsInDropList) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	return i.lists.Allowed(ctx, m.Sender, m.Recipients)
}
