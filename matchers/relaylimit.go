package matchers

import (
	"context"
	"log/slog"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// RelayLimit matches mails that have passed through too many servers, as mails
// in a loop do (RFC 5321 §6.3): those with at least so many Received fields.
//
//	<mailet match="RelayLimit=30" class="Null"/>
//
// Condition: a whole number of at least 1. The field that this server added
// counts too.
//
// Differs from James: the field name is compared ignoring case, as RFC 5322
// §1.2.2 has it.
type RelayLimit struct {
	limit int
	log   *slog.Logger
}

func newRelayLimit(log *slog.Logger) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		n, err := positive(condition)
		if err != nil {
			return nil, err
		}
		return &RelayLimit{n, log}, nil
	}
}

// Match returns all recipients when the limit is reached, and logs it.
func (r *RelayLimit) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	n := mime.Count(m.Message.Header(), "Received")
	if n < r.limit {
		return nil, nil
	}
	r.log.ErrorContext(ctx, "mail passed through too many servers", "received", n, "limit", r.limit)
	return m.Recipients, nil
}
