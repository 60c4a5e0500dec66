package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// HasMimeTypeAnySubPart matches messages in which the message itself, or any of
// its parts and multiparts, has a media type of a list. Parts without a
// Content-Type field do not match, and an attached message is not looked into. A
// broken multipart is an error.
//
//	<mailet match="HasMimeTypeAnySubPart=text/calendar" class="Null"/>
//
// Condition: one or more media types, as for HasMimeType.
//
// Differs from James: as HasMimeType; a message with more than 1000 parts, or
// parts nested more than 20 deep, is an error.
type HasMimeTypeAnySubPart struct{ types map[string]bool }

func newHasMimeTypeAnySubPart(condition string) (container.Matcher, error) {
	t, err := mediaTypes(condition)
	if err != nil {
		return nil, err
	}
	return &HasMimeTypeAnySubPart{t}, nil
}

// Match returns all recipients when any type is in the list.
func (h *HasMimeTypeAnySubPart) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return anyNode(m, func(n *mime.Node) (bool, error) { return hasType(n.Header, h.types), nil })
}

// anyNode returns all recipients when a node of the message passes; which may
// answer mime.ErrSkip to pass over what is below it. Nodes behind the first that
// passes are not looked at.
func anyNode(m *container.Mail, pass func(*mime.Node) (bool, error)) ([]container.Address, error) {
	found := false
	err := mime.WalkNodes(&m.Message, mime.Limits{}, func(n *mime.Node) error {
		ok, err := pass(n)
		if ok {
			found, err = true, mime.ErrStop
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return container.All(m, found), nil
}
