package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

var _ local.RateStorage = (*Store)(nil)

// rateTables keep the counters of rate limits; until is in milliseconds.
const rateTables = `CREATE TABLE rate_count (limiter TEXT NOT NULL, key TEXT NOT NULL, bucket INTEGER NOT NULL, n INTEGER NOT NULL,
	until INTEGER NOT NULL, PRIMARY KEY (limiter, key, bucket)) WITHOUT ROWID;
CREATE INDEX rate_count_until ON rate_count (until);
`

const putRateCount = `INSERT INTO rate_count (limiter, key, bucket, n, until) VALUES (?, ?, ?, ?, ?)
	ON CONFLICT (limiter, key, bucket) DO UPDATE SET n = excluded.n`

// RateCounts returns the counters of a limiter that still count at now, those
// that count longest first.
func (s *Store) RateCounts(ctx context.Context, limiter string, now time.Time, max int) ([]local.RateCount, error) {
	return s.rateCounts(ctx, "SELECT limiter, key, bucket, n, until FROM rate_count WHERE limiter = ? AND until > ? ORDER BY until DESC, bucket LIMIT ?",
		limiter, now.UnixMilli(), max)
}

// RateCountsOf returns the counters of one key that still count at now.
func (s *Store) RateCountsOf(ctx context.Context, limiter, key string, now time.Time) ([]local.RateCount, error) {
	return s.rateCounts(ctx, "SELECT limiter, key, bucket, n, until FROM rate_count WHERE limiter = ? AND key = ? AND until > ? ORDER BY bucket",
		limiter, key, now.UnixMilli())
}

func (s *Store) rateCounts(ctx context.Context, query string, args ...any) ([]local.RateCount, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read rate counters: %w", err)
	}
	defer rows.Close()
	var out []local.RateCount
	for rows.Next() {
		var c local.RateCount
		var until int64
		if err := rows.Scan(&c.Limiter, &c.Key, &c.Bucket, &c.N, &until); err != nil {
			return nil, fmt.Errorf("read rate counters: %w", err)
		}
		c.Until = time.UnixMilli(until)
		out = append(out, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read rate counters: %w", err)
	}
	return out, nil
}

// PutRateCounts stores counters in one transaction, in the place of what was
// stored for the same limiter, key and bucket.
func (s *Store) PutRateCounts(ctx context.Context, counts []local.RateCount) error {
	if len(counts) == 0 {
		return nil
	}
	list := make([][]value, len(counts))
	for i, c := range counts {
		list[i] = []value{c.Limiter, c.Key, c.Bucket, c.N, c.Until.UnixMilli()}
	}
	err := s.do(ctx, func(w *writer) error {
		w.dirty = true
		return run(w.c, putRateCount, list...)
	})
	if err != nil {
		return fmt.Errorf("store rate counters: %w", err)
	}
	return nil
}

// ForgetRateCounts removes at most max counters that do not count any more at
// now, and returns their number.
func (s *Store) ForgetRateCounts(ctx context.Context, now time.Time, max int) (int, error) {
	old, err := s.rateCounts(ctx, "SELECT limiter, key, bucket, n, until FROM rate_count WHERE until <= ? ORDER BY until LIMIT ?", now.UnixMilli(), max)
	if err != nil || len(old) == 0 {
		return 0, err
	}
	list := make([][]value, len(old))
	for i, c := range old {
		list[i] = []value{c.Limiter, c.Key, c.Bucket, c.Until.UnixMilli()}
	}
	err = s.do(ctx, func(w *writer) error {
		w.dirty = true
		return run(w.c, "DELETE FROM rate_count WHERE limiter = ? AND key = ? AND bucket = ? AND until = ?", list...)
	})
	if err != nil {
		return 0, fmt.Errorf("remove old rate counters: %w", err)
	}
	return len(old), nil
}
