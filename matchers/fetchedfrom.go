package matchers

import (
	"context"
	"errors"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// FetchedFrom matches mails that a certain task of James's fetchmail brought in:
// the first field X-fetched-from has its name. The field is taken out of the
// message when it matches.
//
//	<mailet match="FetchedFrom=provider" class="Null"/>
//
// Condition: the name of the task, as it stands in the field.
//
// Differs from James: a missing condition stops the start, instead of matching
// every mail without the field; blanks at the ends of the field do not count.
type FetchedFrom struct{ task string }

func newFetchedFrom(condition string) (container.Matcher, error) {
	if condition == "" {
		return nil, errors.New("want the name of a fetchmail task")
	}
	return &FetchedFrom{condition}, nil
}

// Match returns all recipients when the field has the name, and removes it.
func (f *FetchedFrom) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	const name = "X-fetched-from"
	header := m.Message.Header()
	if v, ok := mime.Get(header, name); !ok || v != f.task {
		return nil, nil
	}
	m.Message.SetHeader(mime.Remove(header, name))
	return m.Recipients, nil
}
