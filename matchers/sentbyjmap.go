package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// attrJMAPUser is set by James's JMAP submission.
const attrJMAPUser = "org.apache.james.jmap.send.MailMetaData.username"

// SentByJmap matches mails submitted by JMAP: those with the attribute
// org.apache.james.jmap.send.MailMetaData.username. There is no JMAP here, so
// it matches only mails that were given the attribute by other means.
//
//	<mailet match="org.apache.james.jmap.mailet.SentByJmap" class="ToProcessor">
//	  <processor>transport</processor>
//	</mailet>
//
// Condition: none.
//
// Differs from James: the short name SentByJmap is known too; nothing in this
// server sets the attribute.
type SentByJmap struct{}

func newSentByJmap(string) (container.Matcher, error) { return &SentByJmap{}, nil }

// Match returns all recipients when the attribute is there.
func (*SentByJmap) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	_, ok := m.Attributes[attrJMAPUser]
	return container.All(m, ok), nil
}

// InertReason says why the matcher never matches.
func (*SentByJmap) InertReason() string {
	return "there is no JMAP submission here, so no mail is sent by JMAP"
}
