package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/javaregex"
)

// SenderIsRegex matches when a regular expression covers the whole envelope
// sender, local@domain, with the domain in lower case. The null sender is <>, so
// .* matches it too.
//
//	<mailet match="SenderIsRegex=.*-bounces@.*" class="Null"/>
//
// Condition: a regular expression in Java's syntax; blanks around it do not
// count.
//
// Differs from James: as RecipientIsRegex.
type SenderIsRegex struct{ pattern *javaregex.Pattern }

func newSenderIsRegex(condition string) (container.Matcher, error) {
	p, err := pattern(condition)
	if err != nil {
		return nil, err
	}
	return &SenderIsRegex{p}, nil
}

// Match returns all recipients when the expression covers the sender.
func (s *SenderIsRegex) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	sender := m.Sender.String()
	if m.Sender.IsNull() {
		sender = "<>"
	}
	ok, err := s.pattern.Match(sender)
	if err != nil {
		return nil, err
	}
	return container.All(m, ok), nil
}
