package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mailetd/mailetd/container/local"
)

var _ local.QuotaStorage = (*Store)(nil)

// quotaTables keep how much mailboxes may hold; -1 is no limit, NULL none given.
const quotaTables = `CREATE TABLE quota (scope TEXT NOT NULL, owner TEXT NOT NULL, messages INTEGER, octets INTEGER,
	PRIMARY KEY (scope, owner)) WITHOUT ROWID;
`

// Quotas returns the limits of each of owners.
func (s *Store) Quotas(ctx context.Context, owners []local.QuotaOwner) ([]local.QuotaLimits, error) {
	out, err := s.quotas(ctx, owners)
	if err != nil {
		return nil, fmt.Errorf("read quotas: %w", err)
	}
	return out, nil
}

func (s *Store) quotas(ctx context.Context, owners []local.QuotaOwner) ([]local.QuotaLimits, error) {
	out := make([]local.QuotaLimits, len(owners))
	pairs := make([][2]string, len(owners))
	for i, o := range owners {
		pairs[i] = [2]string{string(o.Scope), o.Name}
	}
	text, err := json.Marshal(pairs)
	if err != nil {
		return nil, err
	}
	rows, err := s.read.QueryContext(ctx, `SELECT o.key, q.messages, q.octets FROM json_each(?) AS o
		CROSS JOIN quota AS q ON q.scope = o.value ->> 0 AND q.owner = o.value ->> 1`, string(text))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		var l local.QuotaLimits
		if err := rows.Scan(&i, &l.Count, &l.Size); err != nil {
			return nil, err
		}
		out[i] = l
	}
	return out, rows.Err()
}

// SetQuota replaces the limits of an owner; none removes them.
func (s *Store) SetQuota(ctx context.Context, o local.QuotaOwner, l local.QuotaLimits) error {
	if l.IsZero() {
		return s.change(ctx, "remove a quota", "DELETE FROM quota WHERE scope = ? AND owner = ?", string(o.Scope), o.Name)
	}
	return s.change(ctx, "set a quota", "INSERT OR REPLACE INTO quota (scope, owner, messages, octets) VALUES (?, ?, ?, ?)",
		string(o.Scope), o.Name, number(l.Count), number(l.Size))
}

// number returns a number as a parameter, NULL for none.
func number(n *int64) value {
	if n == nil {
		return nil
	}
	return *n
}
