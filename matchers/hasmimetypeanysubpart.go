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
	return anyEntity(m, func(e *mime.Entity) (bool, error) { return hasType(e.Header, h.types), nil })
}

// anyEntity returns all recipients when an entity of the message passes; pass may
// answer mime.ErrSkip to pass over what is below it. Entities behind the first that
// passes are not looked at.
func anyEntity(m *container.Mail, pass func(*mime.Entity) (bool, error)) ([]container.Address, error) {
	found := false
	err := mime.Walk(&m.Message, mime.Limits{}, func(e *mime.Entity) error {
		ok, err := pass(e)
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
