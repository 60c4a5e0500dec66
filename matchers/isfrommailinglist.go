package matchers

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// IsFromMailingList matches mails that a mailing list sent: the sender's local
// part begins with owner-, ends with -request or is MAILER-DAEMON, LISTSERV or
// majordomo, or there is a field List-Help, List-Subscribe, List-Unsubscribe,
// List-Owner, List-Post, List-Id (RFC 2919) or List-Archive (RFC 2369).
//
//	<mailet notmatch="IsFromMailingList" class="VacationMailet"/>
//
// Condition: none.
//
// Differs from James: nothing.
type IsFromMailingList struct{}

func newIsFromMailingList(string) (container.Matcher, error) { return &IsFromMailingList{}, nil }

// Match returns all recipients when the mail comes from a mailing list.
func (*IsFromMailingList) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.All(m, isListSender(m.Sender.Local) || hasListField(m.Message.Header())), nil
}

func isListSender(local string) bool {
	return strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request") ||
		strings.EqualFold(local, "MAILER-DAEMON") || strings.EqualFold(local, "LISTSERV") || strings.EqualFold(local, "majordomo")
}

func hasListField(header []byte) bool {
	for _, name := range [...]string{"List-Help", "List-Subscribe", "List-Unsubscribe", "List-Owner", "List-Post", "List-Id", "List-Archive"} {
		if mime.Has(header, name) {
			return true
		}
	}
	return false
}
