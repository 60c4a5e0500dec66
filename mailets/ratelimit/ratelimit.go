// Package ratelimit counts what passes within a time window, by key.
//
// There are two backends. Counters decide in memory and write behind into the
// store, so that a restart gives nobody a fresh allowance; they belong to one
// process. Redis asks a Redis server, which several machines may share.
//
// # Windows
//
// Time is cut into buckets as long as the precision, numbered from 1970 on, and
// what counts is the sum of the current bucket and of those before it, as many as
// the window is long: the window moves in steps. With a precision as long as
// the window this is a fixed window, which starts again from zero at each
// multiple of its length.
package ratelimit

import (
	"context"
	"strings"
	"time"
)

// maxBuckets bounds the parts of a window, and with it the memory of one key.
const maxBuckets = 1000

// Rule is a limit per key.
type Rule struct {
	Limit    int64
	Duration time.Duration // of the window
	// Precision is the length of a step. 0, or longer than the window, is the
	// window itself; a window has at most 1000 steps.
	Precision time.Duration
}

// steps returns the length of a bucket and how many of them a window has.
func (r Rule) steps() (step time.Duration, buckets int64) {
	duration := max(r.Duration, time.Millisecond)
	step = r.Precision
	if step <= 0 || step > duration {
		step = duration
	}
	// Whole milliseconds: both backends count in them.
	step = max(step, (duration+maxBuckets-1)/maxBuckets)
	step = (step + time.Millisecond - 1).Truncate(time.Millisecond)
	return step, int64((duration + step - 1) / step)
}

// Limit is a rule with the counters that it is applied to. A backend makes it.
type Limit struct {
	name    string
	limit   int64
	step    time.Duration
	buckets int64
	table   *table // of Counters
}

// newLimit names the counters: those of the same name, window and step are the
// same, whatever the limit is, so that it can be changed.
func newLimit(name string, r Rule) *Limit {
	step, buckets := r.steps()
	window := time.Duration(buckets) * step
	return &Limit{name: strings.Join([]string{name, window.String(), step.String()}, "/"), limit: r.Limit, step: step, buckets: buckets}
}

// Charge is something that wants to pass.
type Charge struct {
	Limit *Limit
	Key   string
	// N is added to what passed for the key, if that keeps within the limit. Less
	// than one is never too much, and adds nothing.
	N int64
	// Within is the answer of Take.
	Within bool
}

// Backend keeps counters. Its methods may be called by several goroutines at
// once.
type Backend interface {
	// Limit returns the limit of a rule. Limits of the same name whose windows
	// and steps are the same share their counters; shared reports that another
	// has them already.
	Limit(name string, r Rule) (l *Limit, shared bool)
	// Take decides about each of the charges, whatever becomes of the others.
	// After an error none of the answers is good, and some may have been added.
	Take(ctx context.Context, charges []Charge) error
}
