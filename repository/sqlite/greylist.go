package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

var _ local.GreylistStorage = (*Store)(nil)

// greylistTables keep which senders were seen before; times are in milliseconds.
const greylistTables = `CREATE TABLE greylist (network TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL, first INTEGER NOT NULL,
	last INTEGER NOT NULL, passed INTEGER NOT NULL, until INTEGER NOT NULL,
	PRIMARY KEY (network, sender, recipient)) WITHOUT ROWID;
CREATE INDEX greylist_until ON greylist (until);
`

// Greylisted returns what is known of a triplet.
func (s *Store) Greylisted(ctx context.Context, t local.Triplet) (g local.Greylisted, known bool, err error) {
	var first, last, until int64
	err = s.read.QueryRowContext(ctx, "SELECT first, last, passed, until FROM greylist WHERE network = ? AND sender = ? AND recipient = ?",
		t.Network, t.Sender, t.Recipient).Scan(&first, &last, &g.Passed, &until)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return local.Greylisted{}, false, nil
	case err != nil:
		return local.Greylisted{}, false, fmt.Errorf("read greylist: %w", err)
	}
	g.First, g.Last, g.Until = time.UnixMilli(first), time.UnixMilli(last), time.UnixMilli(until)
	return g, true, nil
}

// PutGreylisted stores what is known of a triplet, in the place of what was
// known before. When ctx ends first, it may be stored nevertheless, later.
func (s *Store) PutGreylisted(ctx context.Context, t local.Triplet, g local.Greylisted) error {
	op := &operation{result: make(chan error, 1), fn: func(w *writer) error {
		w.dirty = true
		return run(w.c, "INSERT OR REPLACE INTO greylist (network, sender, recipient, first, last, passed, until) VALUES (?, ?, ?, ?, ?, ?, ?)",
			[]value{t.Network, t.Sender, t.Recipient, g.First.UnixMilli(), g.Last.UnixMilli(), g.Passed, g.Until.UnixMilli()})
	}}
	err := ctx.Err()
	if err == nil {
		err = s.send(ctx, op)
	}
	if err == nil {
		select {
		case err = <-op.result:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		return fmt.Errorf("write greylist: %w", err)
	}
	return nil
}

// forgetGreylisted looks at until again: a triplet may have been seen meanwhile.
const forgetGreylisted = "DELETE FROM greylist WHERE network = ? AND sender = ? AND recipient = ? AND until <= ?"

// ForgetGreylisted removes at most max triplets whose time is over at now, and
// returns their number. When there is nothing to remove, nothing is written.
func (s *Store) ForgetGreylisted(ctx context.Context, now time.Time, max int) (int, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT network, sender, recipient FROM greylist WHERE until <= ? ORDER BY until LIMIT ?", now.UnixMilli(), max)
	if err != nil {
		return 0, fmt.Errorf("read greylist: %w", err)
	}
	defer rows.Close()
	var old [][]value
	for rows.Next() {
		var t local.Triplet
		if err := rows.Scan(&t.Network, &t.Sender, &t.Recipient); err != nil {
			return 0, fmt.Errorf("read greylist: %w", err)
		}
		old = append(old, []value{t.Network, t.Sender, t.Recipient, now.UnixMilli()})
	}
	if err := rows.Err(); err != nil || len(old) == 0 {
		return 0, err
	}
	rows.Close()
	err = s.do(ctx, func(w *writer) error {
		w.dirty = true
		return run(w.c, forgetGreylisted, old...)
	})
	if err != nil {
		return 0, fmt.Errorf("write greylist: %w", err)
	}
	return len(old), nil
}
