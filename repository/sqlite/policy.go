package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mailetd/mailetd/container/local"
)

var _ local.PolicyStorage = (*Store)(nil)

// DropList returns what the list of an owner denies, sorted.
func (s *Store) DropList(ctx context.Context, o local.DropOwner) ([]string, error) {
	list, err := column[string](ctx, s.read, "SELECT denied FROM drop_list WHERE scope = ? AND owner = ? ORDER BY denied", string(o.Scope), o.Name)
	if err != nil {
		return nil, fmt.Errorf("drop list %s %s: %w", o.Scope, o.Name, err)
	}
	return list, nil
}

// AddDenied adds to the list of an owner; what is there is left alone.
func (s *Store) AddDenied(ctx context.Context, o local.DropOwner, denied string) error {
	return s.change(ctx, "add "+denied+" to a drop list",
		"INSERT OR IGNORE INTO drop_list (scope, owner, denied) VALUES (?, ?, ?)", string(o.Scope), o.Name, denied)
}

// RemoveDenied removes from the list of an owner; what is not there is no error.
func (s *Store) RemoveDenied(ctx context.Context, o local.DropOwner, denied string) error {
	return s.change(ctx, "remove "+denied+" from a drop list",
		"DELETE FROM drop_list WHERE scope = ? AND owner = ? AND denied = ?", string(o.Scope), o.Name, denied)
}

// deniedBy asks the primary key once for each owner and each of what is denied,
// so that lists may be long. The number of owners is not bounded, that of
// parameters is: so they come as JSON.
const deniedBy = `SELECT DISTINCT o.key FROM json_each(?) AS o
	CROSS JOIN json_each(?) AS d
	CROSS JOIN drop_list AS l ON l.scope = o.value ->> 0 AND l.owner = o.value ->> 1 AND l.denied = d.value
	ORDER BY o.key`

// DeniedBy returns the indexes of the owners whose list has one of denied.
func (s *Store) DeniedBy(ctx context.Context, owners []local.DropOwner, denied []string) ([]int, error) {
	pairs := make([][2]string, len(owners))
	for i, o := range owners {
		pairs[i] = [2]string{string(o.Scope), o.Name}
	}
	list, err := s.denying(ctx, pairs, denied)
	if err != nil {
		return nil, fmt.Errorf("search drop lists: %w", err)
	}
	return list, nil
}

func (s *Store) denying(ctx context.Context, owners [][2]string, denied []string) ([]int, error) {
	o, err := json.Marshal(owners)
	if err != nil {
		return nil, err
	}
	d, err := json.Marshal(denied)
	if err != nil {
		return nil, err
	}
	rows, err := s.deniedBy.QueryContext(ctx, string(o), string(d))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []int
	for rows.Next() {
		var i int
		if err := rows.Scan(&i); err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, rows.Err()
}

// DLPRules returns the rules of a sender domain in their order.
func (s *Store) DLPRules(ctx context.Context, domain string) ([]local.DLPRule, error) {
	list, err := s.dlpRules(ctx, domain)
	if err != nil {
		return nil, fmt.Errorf("DLP rules of %s: %w", domain, err)
	}
	return list, nil
}

func (s *Store) dlpRules(ctx context.Context, domain string) ([]local.DLPRule, error) {
	rows, err := s.read.QueryContext(ctx,
		"SELECT id, expression, explanation, sender, recipients, content FROM dlp_rule WHERE domain = ? ORDER BY position", domain)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []local.DLPRule
	for rows.Next() {
		var r local.DLPRule
		if err := rows.Scan(&r.ID, &r.Expression, &r.Explanation, &r.Sender, &r.Recipients, &r.Content); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// PutDLPRules replaces all rules of a domain in one transaction; none removes
// them.
func (s *Store) PutDLPRules(ctx context.Context, domain string, rules []local.DLPRule) error {
	err := s.do(ctx, func(w *writer) error {
		w.dirty = true
		if err := run(w.c, "DELETE FROM dlp_rule WHERE domain = ?", []value{domain}); err != nil {
			return err
		}
		list := make([][]value, len(rules))
		for i, r := range rules {
			list[i] = []value{domain, int64(i), r.ID, r.Expression, r.Explanation, r.Sender, r.Recipients, r.Content}
		}
		return run(w.c, `INSERT INTO dlp_rule (domain, position, id, expression, explanation, sender, recipients, content)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, list...)
	})
	if err != nil {
		return fmt.Errorf("store DLP rules of %s: %w", domain, err)
	}
	return nil
}

// run prepares a statement and runs it once for each list of arguments.
func run(c *conn, statement string, lists ...[]value) error {
	st, err := c.prepare(statement)
	if err != nil {
		return err
	}
	for _, args := range lists {
		if _, err = st.exec(args...); err != nil {
			break
		}
	}
	return errors.Join(err, st.s.Close())
}
