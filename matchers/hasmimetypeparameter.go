package matchers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// HasMimeTypeParameter matches messages whose own Content-Type has one of some
// parameters with a value. The case of the name does not count, that of the
// value does.
//
//	<mailet match="HasMimeTypeParameter=report-type=disposition-notification" class="Null"/>
//
// Condition: pairs NAME=VALUE, separated by commas; the value may stand in
// quotes, but cannot hold a comma. Without any pair it matches never.
//
// Differs from James: parameters that do not follow the grammar are read as mail
// readers do, instead of never matching.
type HasMimeTypeParameter struct{ pairs [][2]string }

func newHasMimeTypeParameter(condition string) (container.Matcher, error) {
	h := &HasMimeTypeParameter{}
	if condition == "" {
		return h, nil
	}
	for item := range strings.SplitSeq(condition, ",") {
		name, value, _ := strings.Cut(item, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		if name == "" || value == "" {
			return nil, fmt.Errorf("error parsing configuration: %q is not NAME=VALUE", strings.TrimSpace(item))
		}
		h.pairs = append(h.pairs, [2]string{name, value})
	}
	return h, nil
}

// Match returns all recipients when a parameter has its value.
func (h *HasMimeTypeParameter) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	v, ok := mime.Get(m.Message.Header(), "Content-Type")
	if !ok {
		return nil, nil
	}
	t := mime.ParseParameterized(v)
	return container.All(m, slices.ContainsFunc(h.pairs, func(p [2]string) bool {
		v, ok := t.Param(p[0])
		return ok && v == p[1]
	})), nil
}
