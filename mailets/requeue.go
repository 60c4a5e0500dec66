package mailets

import (
	"context"
	"fmt"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Requeue puts the mail into a queue, for later. In the processor that a rate
// limit sends mail to it makes mail wait instead of being refused.
//
//	<mailet match="All" class="Requeue">
//	  <queue>spool</queue>
//	  <processor>root</processor>
//	  <delay>2h</delay>
//	  <consume>true</consume>
//	</mailet>
//
// Parameters:
//
//   - queue (default spool): name of the queue. One that nothing empties keeps
//     the mail until an operator comes.
//   - processor (default root): processor at which the mail goes on, which must
//     exist.
//   - delay (default 0): how long it waits; a number without unit means seconds.
//   - consume (default true): whether the processing of the mail ends here. If
//     not, it is a copy that goes into the queue.
//
// Differs from James: nothing.
type Requeue struct {
	queue, processor string
	delay            time.Duration
	consume          bool
}

func newRequeue(p *conf.Params) container.Mailet {
	return &Requeue{
		queue:     p.String("queue", container.SpoolQueue),
		processor: p.String("processor", container.StateRoot),
		delay:     p.Duration("delay", time.Second, 0),
		consume:   p.Bool("consume", true),
	}
}

// Service enqueues the mail.
func (r *Requeue) Service(_ context.Context, m *container.Mail, out *container.Outbox) error {
	c := m.Clone()
	if !r.consume {
		var err error
		if c, err = m.Duplicate(); err != nil {
			return fmt.Errorf("requeue: %w", err)
		}
	}
	c.State = r.processor
	out.Enqueue(r.queue, "", c, r.delay)
	if r.consume {
		m.State = container.StateGhost
	}
	return nil
}

// ReferredStates returns the processor.
func (r *Requeue) ReferredStates() []string { return []string{r.processor} }
