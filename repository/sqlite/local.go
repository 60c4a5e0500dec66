package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mailetd/mailetd/container/local"
)

// localCache keeps answers about local data: each recipient of each mail asks
// for some of them, and they hardly ever change. Only this process writes, so
// every change empties it.
type localCache struct {
	mu         sync.RWMutex
	generation int
	domains    []string
	haveAll    bool
	users      map[string]local.User // without name: there is no such user
	mappings   map[string][]local.Mapping
}

const localCacheMax = 10000 // answers of a kind

func (c *localCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.domains, c.haveAll, c.users, c.mappings = nil, false, nil, nil
}

// put stores an answer read at a generation, unless something changed since.
func (c *localCache) put(generation int, set func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation == generation {
		set()
	}
}

func putBounded[V any](m map[string]V, key string, v V) map[string]V {
	if m == nil || len(m) >= localCacheMax {
		m = map[string]V{}
	}
	m[key] = v
	return m
}

// change runs a statement that changes local data.
func (s *Store) change(ctx context.Context, what, statement string, args ...value) error {
	err := s.do(ctx, func(w *writer) error {
		st, err := w.c.prepare(statement)
		if err != nil {
			return err
		}
		w.dirty = true
		w.after = append(w.after, s.locals.drop)
		_, err = st.exec(args...)
		return errors.Join(err, st.s.Close())
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Domains returns the domain list, sorted.
func (s *Store) Domains(ctx context.Context) ([]string, error) {
	s.locals.mu.RLock()
	list, have, generation := s.locals.domains, s.locals.haveAll, s.locals.generation
	s.locals.mu.RUnlock()
	if have {
		return slices.Clone(list), nil
	}
	list, err := column[string](ctx, s.read, "SELECT name FROM domain ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list domains: %w", err)
	}
	s.locals.put(generation, func() { s.locals.domains, s.locals.haveAll = list, true })
	return slices.Clone(list), nil
}

// AddDomain adds a domain; one that is there is left alone.
func (s *Store) AddDomain(ctx context.Context, domain string) error {
	return s.change(ctx, "add domain "+domain, "INSERT OR IGNORE INTO domain (name) VALUES (?)", domain)
}

// RemoveDomain removes a domain; one that is not there is no error.
func (s *Store) RemoveDomain(ctx context.Context, domain string) error {
	return s.change(ctx, "remove domain "+domain, "DELETE FROM domain WHERE name = ?", domain)
}

// Users returns the names of all users, sorted.
func (s *Store) Users(ctx context.Context) ([]string, error) {
	list, err := column[string](ctx, s.read, "SELECT name FROM user ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return list, nil
}

// User returns an account; ok tells whether there is one.
func (s *Store) User(ctx context.Context, name string) (u local.User, ok bool, err error) {
	s.locals.mu.RLock()
	u, have := s.locals.users[name]
	generation := s.locals.generation
	s.locals.mu.RUnlock()
	if have {
		return u, u.Name != "", nil
	}
	err = s.read.QueryRowContext(ctx, "SELECT name, algorithm, hash FROM user WHERE name = ?", name).Scan(&u.Name, &u.Algorithm, &u.Hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return local.User{}, false, fmt.Errorf("read user %s: %w", name, err)
	}
	s.locals.put(generation, func() { s.locals.users = putBounded(s.locals.users, name, u) })
	return u, err == nil, nil
}

// PutUser adds an account or replaces the one of that name.
func (s *Store) PutUser(ctx context.Context, u local.User) error {
	return s.change(ctx, "store user "+u.Name, "INSERT OR REPLACE INTO user (name, algorithm, hash) VALUES (?, ?, ?)", u.Name, u.Algorithm, u.Hash)
}

// RemoveUser removes an account with its Sieve scripts and its vacation; one that
// is not there is no error.
func (s *Store) RemoveUser(ctx context.Context, name string) error {
	return s.changeSieve(ctx, "remove user "+name, func(w *writer) error {
		w.after = append(w.after, s.locals.drop)
		if err := w.alter("DELETE FROM user WHERE name = ?", name); err != nil {
			return err
		}
		return w.forgetUser(name)
	})
}

// Mappings returns the mappings of a source, in the order in which they were
// added.
func (s *Store) Mappings(ctx context.Context, source string) ([]local.Mapping, error) {
	s.locals.mu.RLock()
	list, have := s.locals.mappings[source]
	generation := s.locals.generation
	s.locals.mu.RUnlock()
	if have {
		return slices.Clone(list), nil
	}
	err := s.eachMapping(ctx, func(_ string, m local.Mapping) { list = append(list, m) }, "WHERE source = ?", source)
	if err != nil {
		return nil, fmt.Errorf("mappings of %s: %w", source, err)
	}
	s.locals.put(generation, func() { s.locals.mappings = putBounded(s.locals.mappings, source, list) })
	return slices.Clone(list), nil
}

func (s *Store) eachMapping(ctx context.Context, visit func(source string, m local.Mapping), where string, args ...any) error {
	rows, err := s.read.QueryContext(ctx, "SELECT source, type, target FROM mapping "+where+" ORDER BY id", args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var source string
		var m local.Mapping
		if err := rows.Scan(&source, &m.Type, &m.Target); err != nil {
			return err
		}
		visit(source, m)
	}
	return rows.Err()
}

// AllMappings returns every source with its mappings.
func (s *Store) AllMappings(ctx context.Context) (map[string][]local.Mapping, error) {
	out := map[string][]local.Mapping{}
	err := s.eachMapping(ctx, func(source string, m local.Mapping) { out[source] = append(out[source], m) }, "")
	if err != nil {
		return nil, fmt.Errorf("list mappings: %w", err)
	}
	return out, nil
}

// AddMapping adds a mapping; one that is there is left alone.
func (s *Store) AddMapping(ctx context.Context, source string, m local.Mapping) error {
	return s.change(ctx, "add mapping of "+source, "INSERT OR IGNORE INTO mapping (source, type, target) VALUES (?, ?, ?)", source, string(m.Type), m.Target)
}

// RemoveMapping removes a mapping; one that is not there is no error.
func (s *Store) RemoveMapping(ctx context.Context, source string, m local.Mapping) error {
	return s.change(ctx, "remove mapping of "+source, "DELETE FROM mapping WHERE source = ? AND type = ? AND target = ?", source, string(m.Type), m.Target)
}

// SourcesOf returns the sources that have m, sorted.
func (s *Store) SourcesOf(ctx context.Context, m local.Mapping) ([]string, error) {
	list, err := column[string](ctx, s.read, "SELECT source FROM mapping WHERE type = ? AND target = ? ORDER BY source", string(m.Type), m.Target)
	if err != nil {
		return nil, fmt.Errorf("sources of %s mapping %s: %w", m.Type, m.Target, err)
	}
	return list, nil
}
