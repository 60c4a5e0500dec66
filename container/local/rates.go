package local

import (
	"context"
	"time"
)

// RateCount is what passed for one key of a rate limit within one part of time.
// Parts are numbered from 1970 on, in steps that belong to the limiter.
type RateCount struct {
	Limiter, Key string
	Bucket, N    int64
	Until        time.Time // when it does not count any more
}

// RateStorage keeps the counters of rate limits. Package repository/sqlite
// implements it.
type RateStorage interface {
	// RateCounts returns the counters of a limiter that still count at now, those
	// that count longest first, at most max.
	RateCounts(ctx context.Context, limiter string, now time.Time, max int) ([]RateCount, error)
	// RateCountsOf returns those of one key.
	RateCountsOf(ctx context.Context, limiter, key string, now time.Time) ([]RateCount, error)
	// PutRateCounts stores counters durably, in the place of what was stored for
	// the same limiter, key and bucket.
	PutRateCounts(ctx context.Context, counts []RateCount) error
	// ForgetRateCounts removes counters that do not count any more at now, at
	// most max, and returns their number.
	ForgetRateCounts(ctx context.Context, now time.Time, max int) (int, error)
}
