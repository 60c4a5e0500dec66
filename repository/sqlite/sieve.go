package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

// sieveTables keep the Sieve scripts of users and how many bytes they may have; the
// quota of the user "" is that of everybody else. Times are in milliseconds.
const sieveTables = `CREATE TABLE sieve_script (user TEXT NOT NULL, name TEXT NOT NULL, script BLOB NOT NULL, active INTEGER NOT NULL,
	updated INTEGER NOT NULL, activated INTEGER NOT NULL, PRIMARY KEY (user, name)) WITHOUT ROWID;
CREATE UNIQUE INDEX sieve_script_active ON sieve_script (user) WHERE active = 1;
CREATE TABLE sieve_quota (user TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
`

var _ local.SieveStorage = (*Store)(nil)

const sieveColumns = "SELECT name, LENGTH(script), active, updated, activated"

// scanScript reads sieveColumns, and what more is asked for.
func scanScript(scan func(...any) error, more ...any) (sc local.SieveScript, err error) {
	var updated, activated int64
	if err := scan(append([]any{&sc.Name, &sc.Size, &sc.Active, &updated, &activated}, more...)...); err != nil {
		return local.SieveScript{}, err
	}
	sc.Updated = time.UnixMilli(updated)
	if activated != 0 {
		sc.Activated = time.UnixMilli(activated)
	}
	return sc, nil
}

// SieveScripts lists the scripts of a user, sorted by name.
func (s *Store) SieveScripts(ctx context.Context, user string) ([]local.SieveScript, error) {
	list, err := s.sieveScripts(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("list the Sieve scripts of %s: %w", user, err)
	}
	return list, nil
}

func (s *Store) sieveScripts(ctx context.Context, user string) (list []local.SieveScript, err error) {
	rows, err := s.read.QueryContext(ctx, sieveColumns+" FROM sieve_script WHERE user = ? ORDER BY name", user)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		sc, err := scanScript(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, sc)
	}
	return list, rows.Err()
}

// SieveScript returns a script and its text.
func (s *Store) SieveScript(ctx context.Context, user, name string) (local.SieveScript, []byte, error) {
	return s.sieveScript(ctx, user, "name = ?", name)
}

// ActiveSieveScript returns the active script of a user and its text.
func (s *Store) ActiveSieveScript(ctx context.Context, user string) (local.SieveScript, []byte, error) {
	sc, text, known, generation := s.said.script(user)
	if known {
		if sc.Name == "" {
			return sc, nil, noScript(user)
		}
		return sc, text, nil
	}
	sc, text, err := s.sieveScript(ctx, user, "active = 1")
	if err == nil || errors.Is(err, local.ErrNotFound) {
		s.said.putScript(generation, user, sc, text)
	}
	return sc, text, err
}

func (s *Store) sieveScript(ctx context.Context, user, where string, args ...any) (local.SieveScript, []byte, error) {
	var text []byte
	row := s.read.QueryRowContext(ctx, sieveColumns+", script FROM sieve_script WHERE user = ? AND "+where, append([]any{user}, args...)...)
	sc, err := scanScript(row.Scan, &text)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return sc, nil, noScript(user)
	case err != nil:
		return sc, nil, fmt.Errorf("read a Sieve script of %s: %w", user, err)
	}
	return sc, text, nil
}

func noScript(user string) error {
	return fmt.Errorf("sieve script of %s: %w", user, local.ErrNotFound)
}

// changeSieve runs fn in the writer's transaction and forgets what is remembered
// of scripts and vacations behind it. What fn refuses it refuses before it writes.
func (s *Store) changeSieve(ctx context.Context, what string, fn func(*writer) error) error {
	err := s.do(ctx, func(w *writer) error {
		if err := fn(w); err != nil {
			return err
		}
		w.after = append(w.after, s.said.drop)
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// PutSieveScript adds or replaces a script. Which one is active stays as it is.
// Errors: ErrQuota.
func (s *Store) PutSieveScript(ctx context.Context, user, name string, text []byte) error {
	if text == nil {
		text = []byte{}
	}
	return s.changeSieve(ctx, "store a Sieve script of "+user, func(w *writer) error {
		quota, err := w.number(`SELECT COALESCE((SELECT bytes FROM sieve_quota WHERE user = ?1), (SELECT bytes FROM sieve_quota WHERE user = ''), -1)`, user)
		if err != nil {
			return err
		}
		others, err := w.number("SELECT COALESCE(SUM(LENGTH(script)), 0) FROM sieve_script WHERE user = ? AND name <> ?", user, name)
		if err != nil {
			return err
		}
		if quota >= 0 && others+int64(len(text)) > quota {
			return fmt.Errorf("%w: %d of %d bytes", local.ErrQuota, others+int64(len(text)), quota)
		}
		return w.alter(`INSERT INTO sieve_script (user, name, script, active, updated, activated) VALUES (?, ?, ?, 0, ?, 0)
			ON CONFLICT (user, name) DO UPDATE SET script = excluded.script, updated = excluded.updated`, user, name, text, w.now().UnixMilli())
	})
}

// ActivateSieveScript makes one script the active one; "" makes none. Errors:
// ErrNotFound.
func (s *Store) ActivateSieveScript(ctx context.Context, user, name string) error {
	return s.changeSieve(ctx, "activate a Sieve script of "+user, func(w *writer) error {
		if name != "" {
			if err := w.needScript(user, name); err != nil {
				return err
			}
		}
		err := w.alter("UPDATE sieve_script SET active = 0 WHERE user = ? AND active = 1 AND name <> ?", user, name)
		if err != nil || name == "" {
			return err
		}
		return w.alter("UPDATE sieve_script SET active = 1, activated = ? WHERE user = ? AND name = ? AND active = 0", w.now().UnixMilli(), user, name)
	})
}

// RenameSieveScript gives a script another name; an active one stays active.
// Errors: ErrNotFound, ErrScriptExists.
func (s *Store) RenameSieveScript(ctx context.Context, user, from, to string) error {
	return s.changeSieve(ctx, "rename a Sieve script of "+user, func(w *writer) error {
		if err := w.needScript(user, from); err != nil {
			return err
		}
		if from == to {
			return nil
		}
		switch err := w.needScript(user, to); {
		case err == nil:
			return local.ErrScriptExists
		case !errors.Is(err, local.ErrNotFound):
			return err
		}
		return w.alter("UPDATE sieve_script SET name = ? WHERE user = ? AND name = ?", to, user, from)
	})
}

// DeleteSieveScript removes a script that is not active. Errors: ErrNotFound,
// ErrScriptActive.
func (s *Store) DeleteSieveScript(ctx context.Context, user, name string) error {
	return s.changeSieve(ctx, "delete a Sieve script of "+user, func(w *writer) error {
		if err := w.needScript(user, name); err != nil {
			return err
		}
		active, err := w.number("SELECT COUNT(*) FROM sieve_script WHERE user = ? AND name = ? AND active = 1", user, name)
		switch {
		case err != nil:
			return err
		case active > 0:
			return local.ErrScriptActive
		}
		return w.alter("DELETE FROM sieve_script WHERE user = ? AND name = ?", user, name)
	})
}

// needScript returns ErrNotFound when there is no such script.
func (w *writer) needScript(user, name string) error {
	n, err := w.number("SELECT COUNT(*) FROM sieve_script WHERE user = ? AND name = ?", user, name)
	if err == nil && n == 0 {
		err = local.ErrNotFound
	}
	return err
}

// SieveQuota returns how many bytes the scripts of a user may have together, -1 when
// that was not set; the user "" is everybody for whom it was not.
func (s *Store) SieveQuota(ctx context.Context, user string) (int64, error) {
	list, err := column[int64](ctx, s.read, "SELECT bytes FROM sieve_quota WHERE user = ?", user)
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the Sieve quota of %q: %w", user, err)
	case len(list) == 0:
		return -1, nil
	}
	return list[0], nil
}

// SetSieveQuota sets it; -1 removes it.
func (s *Store) SetSieveQuota(ctx context.Context, user string, bytes int64) error {
	what := fmt.Sprintf("set the Sieve quota of %q", user)
	return s.changeSieve(ctx, what, func(w *writer) error {
		if bytes < 0 {
			return w.alter("DELETE FROM sieve_quota WHERE user = ?", user)
		}
		return w.alter("INSERT OR REPLACE INTO sieve_quota (user, bytes) VALUES (?, ?)", user, bytes)
	})
}

// alter runs one statement that is not worth being kept prepared.
func (w *writer) alter(statement string, args ...value) error {
	w.dirty, w.wrote = true, true
	return run(w.c, statement, args)
}

// number runs a query for one number.
func (w *writer) number(query string, args ...value) (n int64, err error) {
	st, err := w.c.prepare(query)
	if err != nil {
		return 0, err
	}
	err = st.query(func(row []value) error { n = asInt(row[0]); return nil }, args...)
	return n, errors.Join(err, st.s.Close())
}
