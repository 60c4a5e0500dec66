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
	return anyNode(m, func(n *mime.Node) (bool, error) {
		if len(n.Path) == 0 && n.Multipart {
			return false, nil
		}
		v, ok := mime.Get(n.Header, "Content-Disposition")
		return ok && mime.ParseParameterized(v).Main == "attachment", mime.ErrSkip
	})
}
