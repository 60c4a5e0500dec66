package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// HasAttachment matches messages with an attachment: one of the parts of a
// multipart message, not of a multipart within it, has the Content-Disposition
// attachment, or the message has it and is no multipart. A broken multipart is
// an error.
//
//	<mailet match="HasAttachment" class="Null"/>
//
// Condition: none.
//
// Differs from James: the case of attachment does not count (RFC 2183 §2).
type HasAttachment struct{}

func newHasAttachment(string) (container.Matcher, error) { return &HasAttachment{}, nil }

// Match returns all recipients when there is an attachment.
func (*HasAttachment) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return anyEntity(m, func(e *mime.Entity) (bool, error) {
		if e.Parent == nil && e.IsMultipart() {
			return false, nil
		}
		return e.IsAttachment(), mime.ErrSkip
	})
}
