package matchers

import (
	"context"
	"log/slog"

	"github.com/mailetd/mailetd/container"
)

// SenderHasMXRecord matches when the domain of the envelope sender has exactly
// some mail exchangers, as RecipientHasMXRecord does for recipients. The null
// sender does not match.
//
//	<mailet match="SenderHasMXRecord=mx1.example.com,mx2.example.com" class="Null"/>
//
// Condition: one or more host names, separated by commas without blanks. Neither
// case nor order counts.
//
// Differs from James: as RecipientHasMXRecord.
type SenderHasMXRecord struct{ exchangers exchangers }

func newSenderHasMXRecord(r mxLookup, log *slog.Logger) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		e, err := newExchangers(condition, r, log)
		if err != nil {
			return nil, err
		}
		return &SenderHasMXRecord{e}, nil
	}
}

// Match returns all recipients when the sender's domain has these exchangers.
func (s *SenderHasMXRecord) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	return container.All(m, !m.Sender.IsNull() && s.exchangers.are(ctx, m.Sender.Domain)), nil
}
