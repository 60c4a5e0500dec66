package mailets

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Counter counts mails in the log and drops them.
//
//	<mailet match="All" class="debug.Counter"/>
//
// Parameters: none.
//
// Differs from James: nothing.
type Counter struct {
	log *slog.Logger
	n   atomic.Int64
}

func newCounter(log *slog.Logger) container.MailetFactory {
	return func(*conf.Params) container.Mailet { return &Counter{log: log} }
}

// Service logs the number of the mail and ends it.
func (c *Counter) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	c.log.InfoContext(ctx, "mail counted and dropped", "mail", m.Name, "count", c.n.Add(1))
	m.State = container.StateGhost
	return nil
}
