package matchers

import (
	"context"
	"errors"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// HasMimeType matches messages whose own media type, without parameters, is in a
// list. A message without a Content-Type field does not match, not even
// text/plain.
//
//	<mailet match="HasMimeType=multipart/report, text/calendar" class="Null"/>
//
// Condition: one or more media types, separated by commas, with blanks or
// without. There are no wildcards.
//
// Differs from James: upper case in the condition does not count (RFC 2045
// §5.1); a condition without any type stops the start instead of matching never.
type HasMimeType struct{ types map[string]bool }

func newHasMimeType(condition string) (container.Matcher, error) {
	t, err := mediaTypes(condition)
	if err != nil {
		return nil, err
	}
	return &HasMimeType{t}, nil
}

// mediaTypes reads a comma list of at least one media type.
func mediaTypes(condition string) (map[string]bool, error) {
	types := map[string]bool{}
	for t := range strings.SplitSeq(condition, ",") {
		if t = strings.ToLower(strings.TrimSpace(t)); t != "" {
			types[t] = true
		}
	}
	if len(types) == 0 {
		return nil, errors.New("want one or more media types, separated by commas")
	}
	return types, nil
}

// Match returns all recipients when the type of the message is in the list.
func (h *HasMimeType) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.All(m, hasType(m.Message.Header(), h.types)), nil
}

// hasType reports whether any Content-Type field of header gives one of types.
func hasType(header []byte, types map[string]bool) bool {
	for _, v := range mime.Values(header, "Content-Type") {
		if types[mime.ParseParameterized(v).Main] {
			return true
		}
	}
	return false
}
