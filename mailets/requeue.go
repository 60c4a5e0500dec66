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
//   - delay (default 0): how long it waits; a number without unit means seconds. A
//     mail that was put back into the spool ten times waits at least a second, and
//     each time after that twice as long, up to a minute: so one that goes round
//     and round does not keep the server busy. The attribute mailetd.requeued
//     counts.
//   - consume (default true): whether the processing of the mail ends here. If
//     not, it is a copy that goes into the queue.
//
// Differs from James: a mail that comes back again and again waits longer and
// longer, up to a minute.
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

// attrRequeued counts how often a mail was put back into the spool with a delay
// below maxBackOff.
const attrRequeued = "mailetd.requeued"

// Limits of going round: how often without a delay, and the longest delay that is
// made up for it.
const (
	freeRounds = 10
	maxBackOff = time.Minute
)

// wait returns how long the copy c waits, and counts.
func (r *Requeue) wait(c *container.Mail) time.Duration {
	if r.queue != container.SpoolQueue || r.delay >= maxBackOff {
		return r.delay
	}
	n, _ := c.Attributes.Int(attrRequeued)
	c.Set(attrRequeued, int32(min(n+1, 1000)))
	if n < freeRounds {
		return r.delay
	}
	return max(r.delay, min(time.Second<<min(n-freeRounds, 10), maxBackOff))
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
	out.Enqueue(r.queue, "", c, r.wait(c))
	if r.consume {
		m.State = container.StateGhost
	}
	return nil
}

// ReferredStates returns the processor.
func (r *Requeue) ReferredStates() []string { return []string{r.processor} }
