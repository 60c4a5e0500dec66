package matchers

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

// rewriter is what IsSenderInRRTLoop needs of the local data.
type rewriter interface {
	Resolve(ctx context.Context, a container.Address, types ...local.MappingType) ([]local.Mapping, error)
}

// IsSenderInRRTLoop matches when writing to the sender would go round in
// circles: its recipient mappings do not come to an end, or the mail has passed
// the sender's forward before (attribute loop.prevention.recorded.recipients).
// Put it before a bounce in the processor for rewriting errors. The null sender
// does not match.
//
//	<mailet match="IsSenderInRRTLoop" class="Null"/>
//
// Condition: none.
//
// Differs from James: with recursiveMapping=false it matches only real loops,
// not every sender.
type IsSenderInRRTLoop struct {
	local rewriter
	log   *slog.Logger
}

func newIsSenderInRRTLoop(l rewriter, log *slog.Logger) container.MatcherFactory {
	return func(string) (container.Matcher, error) { return &IsSenderInRRTLoop{l, log}, nil }
}

// Match returns all recipients when the sender is in a loop. Mappings that
// cannot be read are logged and count as no loop, as in James.
func (i *IsSenderInRRTLoop) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	if m.Sender.IsNull() {
		return nil, nil
	}
	for _, s := range m.Attributes.Strings(container.AttrRecordedRcpts) {
		if strings.EqualFold(s, m.Sender.String()) {
			return m.Recipients, nil
		}
	}
	_, err := i.local.Resolve(ctx, m.Sender)
	var mapping *local.MappingError
	if err != nil && !errors.Is(err, local.ErrTooManyMappings) && !errors.As(err, &mapping) {
		i.log.WarnContext(ctx, "mappings of the sender cannot be read", "from", m.Sender.String(), "err", err)
	}
	return container.All(m, errors.Is(err, local.ErrTooManyMappings)), nil
}
