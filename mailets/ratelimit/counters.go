package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

const (
	flushEvery  = time.Second
	flushKeys   = 4096        // waiting keys that are stored before the second is over
	flushRows   = 1000        // counts in a transaction
	forgetEvery = time.Minute // old rows are removed that often
	forgetRows  = 1000        // in a transaction
	lastFlush   = 10 * time.Second
)

// Counters is the backend of one process: it decides in memory. With a store,
// Run writes the counters there once a second and when it ends, so that a
// crash costs at most what was counted in the last second.
type Counters struct {
	store local.RateStorage
	log   *slog.Logger
	now   func() time.Time
	epoch time.Time
	wake  chan struct{}

	mu     sync.Mutex
	tables []*table

	warned time.Time // of Run
}

var _ Backend = (*Counters)(nil)

// NewCounters returns counters in store; nil keeps them in memory only. now is
// the clock, nil for time.Now.
func NewCounters(store local.RateStorage, log *slog.Logger, now func() time.Time) *Counters {
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Counters{store: store, log: log, now: now, epoch: now(), wake: make(chan struct{}, 1)}
}

// clock is the time by the wall at the start and the time that passed since: a
// clock that is set meanwhile neither empties nor freezes a window.
func (c *Counters) clock() time.Time { return c.epoch.Add(c.now().Sub(c.epoch)) }

// Limit returns the limit of a rule, see Backend.
func (c *Counters) Limit(name string, r Rule) (l *Limit, shared bool) {
	l = newLimit(name, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.tables {
		if t.name == l.name {
			l.table = t
			return l, true
		}
	}
	l.table = newTable(l, c.store, c.clock())
	c.tables = append(c.tables, l.table)
	return l, false
}

// Take decides about each of the charges, see Backend. It reads from the store
// only keys that are not in memory although they may count.
func (c *Counters) Take(ctx context.Context, charges []Charge) error {
	now := c.clock()
	for i := range charges {
		ch := &charges[i]
		if ch.N <= 0 {
			ch.Within = true
			continue
		}
		within, waiting, err := ch.Limit.table.take(ctx, ch.Limit.limit, ch.Key, ch.N, now)
		if err != nil {
			return fmt.Errorf("rate limit of %s: %w", ch.Key, err)
		}
		ch.Within = within
		if waiting > flushKeys {
			select {
			case c.wake <- struct{}{}:
			default:
			}
		}
	}
	return nil
}

// Load brings stored counters into memory. Without it each key is read when it is
// first used.
func (c *Counters) Load(ctx context.Context) error {
	if c.store == nil {
		return nil
	}
	for _, t := range c.list() {
		if err := t.load(ctx, c.clock()); err != nil {
			return fmt.Errorf("load rate limits: %w", err)
		}
	}
	return nil
}

func (c *Counters) list() []*table {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.tables)
}

// Run stores the counters until ctx is done, and a last time then.
func (c *Counters) Run(ctx context.Context) error {
	if c.store == nil || len(c.list()) == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	forget := time.NewTicker(forgetEvery)
	defer forget.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			return c.Flush(last)
		case <-forget.C:
			c.warn(c.forget(ctx))
		case <-tick.C:
			c.warn(c.Flush(ctx))
		case <-c.wake:
			c.warn(c.Flush(ctx))
		}
	}
}

// warn logs a failure, at most one in a minute. What was not stored is tried
// again.
func (c *Counters) warn(err error) {
	if now := c.now(); err != nil && !errors.Is(err, context.Canceled) && now.Sub(c.warned) >= time.Minute {
		c.warned = now
		c.log.Warn("rate limits are not stored", "err", err)
	}
}

// Flush stores what is not stored. Run calls it; two calls at once are not
// allowed.
func (c *Counters) Flush(ctx context.Context) error {
	var errs []error
	for _, t := range c.list() {
		counts := t.unstored()
		for len(counts) > 0 {
			n := min(len(counts), flushRows)
			if err := c.store.PutRateCounts(ctx, counts[:n]); err != nil {
				errs = append(errs, err)
				break
			}
			counts = counts[n:]
		}
		t.stored(counts)
	}
	return errors.Join(errs...)
}

// forget removes what does not count any more from the store.
func (c *Counters) forget(ctx context.Context) error {
	for ctx.Err() == nil {
		n, err := c.store.ForgetRateCounts(ctx, c.clock(), forgetRows)
		if err != nil || n < forgetRows {
			return err
		}
	}
	return nil
}
