package mailets

import (
	"context"
	"fmt"
	"slices"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// SplitMail limits the number of recipients of a mail. The mail keeps the first
// of them; for each further portion a copy is sent, which starts at root.
//
//	<mailet match="All" class="SplitMail">
//	  <batchSize>100</batchSize>
//	</mailet>
//
// Parameters:
//
//   - batchSize (default 100): how many recipients a mail has at most.
//
// Differs from James: a batchSize below 1 stops the start.
type SplitMail struct{ size int }

func newSplitMail(p *conf.Params) container.Mailet {
	n := p.Int("batchSize", 100)
	if n < 1 {
		p.Fail("batchSize", fmt.Errorf("%d is not at least 1", n))
	}
	return &SplitMail{n}
}

// Service sends the copies.
func (s *SplitMail) Service(_ context.Context, m *container.Mail, out *container.Outbox) error {
	if len(m.Recipients) <= s.size {
		return nil
	}
	all := m.Recipients
	m.Recipients = all[:s.size:s.size]
	for part := range slices.Chunk(all[s.size:], s.size) {
		c, err := m.Duplicate()
		if err != nil {
			m.Recipients = all
			return fmt.Errorf("split mail: %w", err)
		}
		c.Recipients = slices.Clone(part)
		out.Send(c)
	}
	return nil
}
