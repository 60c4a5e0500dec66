package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

// vacationTables keep what users say while they are away, and to whom they said it.
// Times are in milliseconds.
const vacationTables = `CREATE TABLE vacation (user TEXT PRIMARY KEY, enabled INTEGER NOT NULL, starts INTEGER, ends INTEGER,
	subject TEXT, text TEXT, html TEXT) WITHOUT ROWID;
CREATE TABLE response (user TEXT NOT NULL, handle TEXT NOT NULL, correspondent TEXT NOT NULL, until INTEGER NOT NULL,
	PRIMARY KEY (user, handle, correspondent)) WITHOUT ROWID;
CREATE INDEX response_until ON response (until);
`

var _ local.VacationStorage = (*Store)(nil)

// Vacation returns the vacation of a user, the zero value for one without.
func (s *Store) Vacation(ctx context.Context, user string) (local.Vacation, error) {
	v, known, generation := s.said.vacation(user)
	if known {
		return v, nil
	}
	v, err := s.readVacation(ctx, user)
	if err != nil {
		return local.Vacation{}, fmt.Errorf("read the vacation of %s: %w", user, err)
	}
	s.said.putVacation(generation, user, v)
	return v, nil
}

func (s *Store) readVacation(ctx context.Context, user string) (v local.Vacation, err error) {
	var starts, ends sql.NullInt64
	var subject, text, html sql.NullString
	row := s.read.QueryRowContext(ctx, "SELECT enabled, starts, ends, subject, text, html FROM vacation WHERE user = ?", user)
	err = row.Scan(&v.Enabled, &starts, &ends, &subject, &text, &html)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return v, err
	}
	v.From, v.To, v.Subject, v.Text, v.HTML = fromMillis(starts), fromMillis(ends), subject.String, text.String, html.String
	return v, nil
}

func fromMillis(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMilli(n.Int64).UTC()
}

// orNull returns nil for what was not set.
func orNull(t time.Time) value {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// SetVacation sets it and forgets who was answered with local.VacationHandle; the
// zero vacation removes it.
func (s *Store) SetVacation(ctx context.Context, user string, v local.Vacation) error {
	return s.changeSieve(ctx, "store the vacation of "+user, func(w *writer) error {
		if err := w.alter("DELETE FROM response WHERE user = ? AND handle = ?", user, local.VacationHandle); err != nil {
			return err
		}
		if v == (local.Vacation{}) {
			return w.alter("DELETE FROM vacation WHERE user = ?", user)
		}
		return w.alter("INSERT OR REPLACE INTO vacation (user, enabled, starts, ends, subject, text, html) VALUES (?, ?, ?, ?, ?, ?, ?)",
			user, v.Enabled, orNull(v.From), orNull(v.To), v.Subject, v.Text, v.HTML)
	})
}

// expireAtOnce bounds how many notes that have expired go with a new one.
const expireAtOnce = 100

// noteResponse does nothing while there is a note that has not expired.
const noteResponse = `INSERT INTO response (user, handle, correspondent, until) VALUES (?1, ?2, ?3, ?4)
	ON CONFLICT (user, handle, correspondent) DO UPDATE SET until = excluded.until WHERE until <= ?5`

// NoteResponse notes durably that user answers correspondent, and reports false if
// that was noted before and has not expired at now.
func (s *Store) NoteResponse(ctx context.Context, user, handle, correspondent string, now, until time.Time) (first bool, err error) {
	err = s.do(ctx, func(w *writer) error {
		st, err := w.c.prepare(noteResponse)
		if err != nil {
			return err
		}
		w.dirty = true
		n, err := st.exec(user, handle, correspondent, until.UnixMilli(), now.UnixMilli())
		if err := errors.Join(err, st.s.Close()); err != nil {
			return err
		}
		if first = n > 0; !first {
			return nil
		}
		return w.alter(`DELETE FROM response WHERE (user, handle, correspondent) IN
			(SELECT user, handle, correspondent FROM response WHERE until < ? LIMIT ?)`, now.UnixMilli(), int64(expireAtOnce))
	})
	if err != nil {
		return false, fmt.Errorf("note an answer of %s: %w", user, err)
	}
	return first, nil
}

// expireResponses removes all notes that have expired; at the start of the store,
// when no one waits.
func (w *writer) expireResponses() error {
	return run(w.c, "DELETE FROM response WHERE until < ?", []value{w.now().UnixMilli()})
}

// ForgetUser removes the Sieve scripts and the vacation of a user, and whom they
// have answered.
func (s *Store) ForgetUser(ctx context.Context, user string) error {
	return s.changeSieve(ctx, "forget what "+user+" has said", func(w *writer) error { return w.forgetUser(user) })
}

// forgetUser removes what a user who is removed has said: nobody who gets the name
// later shall say it.
func (w *writer) forgetUser(user string) error {
	for _, table := range [...]string{"sieve_script", "sieve_quota", "vacation", "response"} {
		if err := w.alter("DELETE FROM "+table+" WHERE user = ?", user); err != nil {
			return err
		}
	}
	return nil
}

// saidCache remembers the active scripts and the vacations of users, and that there
// are none: each recipient of each mail asks for them. Every change empties it.
type saidCache struct {
	mu         sync.RWMutex
	generation int
	scripts    map[string]activeScript // without name: there is none
	vacations  map[string]local.Vacation
	size       int
}

type activeScript struct {
	local.SieveScript
	text []byte
}

const (
	saidMax   = 8 << 20 // octets
	saidEntry = 200     // what an entry costs beside its texts, roughly
)

func (c *saidCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.clear()
}

func (c *saidCache) clear() { c.scripts, c.vacations, c.size = nil, nil, 0 }

func (c *saidCache) script(user string) (sc local.SieveScript, text []byte, known bool, generation int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	a, known := c.scripts[user]
	return a.SieveScript, a.text, known, c.generation
}

func (c *saidCache) vacation(user string) (v local.Vacation, known bool, generation int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, known = c.vacations[user]
	return v, known, c.generation
}

// room makes room for an answer that was read at a generation, unless something
// has changed since or it is too large. It returns with the lock held when true.
func (c *saidCache) room(generation, size int) bool {
	if size += saidEntry; size > saidMax/8 {
		return false
	}
	c.mu.Lock()
	if c.generation != generation {
		c.mu.Unlock()
		return false
	}
	if c.size+size > saidMax || c.scripts == nil {
		c.clear()
		c.scripts, c.vacations = map[string]activeScript{}, map[string]local.Vacation{}
	}
	c.size += size
	return true
}

func (c *saidCache) putScript(generation int, user string, sc local.SieveScript, text []byte) {
	if c.room(generation, len(user)+len(text)) {
		defer c.mu.Unlock()
		c.scripts[user] = activeScript{sc, text}
	}
}

func (c *saidCache) putVacation(generation int, user string, v local.Vacation) {
	if c.room(generation, len(user)+len(v.Subject)+len(v.Text)+len(v.HTML)) {
		defer c.mu.Unlock()
		c.vacations[user] = v
	}
}
