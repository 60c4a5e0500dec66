package localtest

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

// Said keeps Sieve scripts and vacations in memory. It is safe for concurrent use.
// Its zero value is empty.
type Said struct {
	mu        sync.Mutex
	scripts   map[[2]string]script // by user and name
	quotas    map[string]int64
	vacations map[string]local.Vacation
	responses map[[3]string]time.Time
	fail      error
}

type script struct {
	local.SieveScript
	text []byte
}

var (
	_ local.SieveStorage    = (*Said)(nil)
	_ local.VacationStorage = (*Said)(nil)
)

// FailWith makes every call return err from now on; nil ends it.
func (s *Said) FailWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// SieveScripts is described at local.SieveStorage, like the other methods.
func (s *Said) SieveScripts(_ context.Context, user string) ([]local.SieveScript, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []local.SieveScript
	for key, sc := range s.scripts {
		if key[0] == user {
			out = append(out, sc.SieveScript)
		}
	}
	slices.SortFunc(out, func(a, b local.SieveScript) int { return strings.Compare(a.Name, b.Name) })
	return out, s.fail
}

// SieveScript returns a script.
func (s *Said) SieveScript(_ context.Context, user, name string) (local.SieveScript, []byte, error) {
	return s.find(func(key [2]string, _ script) bool { return key == [2]string{user, name} })
}

// ActiveSieveScript returns the active script.
func (s *Said) ActiveSieveScript(_ context.Context, user string) (local.SieveScript, []byte, error) {
	return s.find(func(key [2]string, sc script) bool { return key[0] == user && sc.Active })
}

func (s *Said) find(match func([2]string, script) bool) (local.SieveScript, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, sc := range s.scripts {
		if match(key, sc) {
			return sc.SieveScript, bytes.Clone(sc.text), s.fail
		}
	}
	if s.fail != nil {
		return local.SieveScript{}, nil, s.fail
	}
	return local.SieveScript{}, nil, local.ErrNotFound
}

// PutSieveScript adds or replaces a script.
func (s *Said) PutSieveScript(_ context.Context, user, name string, text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := int64(len(text))
	for key, sc := range s.scripts {
		if key[0] == user && key[1] != name {
			size += sc.Size
		}
	}
	quota, ok := s.quotas[user]
	if !ok {
		quota, ok = s.quotas[""]
	}
	if ok && size > quota {
		return local.ErrQuota
	}
	if s.scripts == nil {
		s.scripts = map[[2]string]script{}
	}
	sc := s.scripts[[2]string{user, name}]
	sc.Name, sc.Size, sc.Updated, sc.text = name, int64(len(text)), time.Now(), bytes.Clone(text)
	s.scripts[[2]string{user, name}] = sc
	return s.fail
}

// ActivateSieveScript makes one script the active one.
func (s *Said) ActivateSieveScript(_ context.Context, user, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.scripts[[2]string{user, name}]; !ok && name != "" {
		return local.ErrNotFound
	}
	for key, sc := range s.scripts {
		if key[0] == user {
			sc.Active = key[1] == name
			if sc.Active {
				sc.Activated = time.Now()
			}
			s.scripts[key] = sc
		}
	}
	return s.fail
}

// RenameSieveScript renames a script.
func (s *Said) RenameSieveScript(_ context.Context, user, from, to string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc, ok := s.scripts[[2]string{user, from}]
	if !ok {
		return local.ErrNotFound
	}
	if _, exists := s.scripts[[2]string{user, to}]; exists && from != to {
		return local.ErrScriptExists
	}
	delete(s.scripts, [2]string{user, from})
	sc.Name = to
	s.scripts[[2]string{user, to}] = sc
	return s.fail
}

// DeleteSieveScript removes a script that is not active.
func (s *Said) DeleteSieveScript(_ context.Context, user, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc, ok := s.scripts[[2]string{user, name}]
	switch {
	case s.fail != nil:
		return s.fail
	case !ok:
		return local.ErrNotFound
	case sc.Active:
		return local.ErrScriptActive
	}
	delete(s.scripts, [2]string{user, name})
	return s.fail
}

// SieveQuota returns a quota, -1 for none.
func (s *Said) SieveQuota(_ context.Context, user string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := s.quotas[user]; ok {
		return n, s.fail
	}
	return -1, s.fail
}

// SetSieveQuota sets a quota.
func (s *Said) SetSieveQuota(_ context.Context, user string, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quotas == nil {
		s.quotas = map[string]int64{}
	}
	if s.quotas[user] = n; n < 0 {
		delete(s.quotas, user)
	}
	return s.fail
}

// Vacation returns a vacation.
func (s *Said) Vacation(_ context.Context, user string) (local.Vacation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vacations[user], s.fail
}

// SetVacation sets a vacation.
func (s *Said) SetVacation(_ context.Context, user string, v local.Vacation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.vacations == nil {
		s.vacations = map[string]local.Vacation{}
	}
	s.vacations[user] = v
	for key := range s.responses {
		if key[0] == user && key[1] == local.VacationHandle {
			delete(s.responses, key)
		}
	}
	return s.fail
}

// NoteResponse notes an answer.
func (s *Said) NoteResponse(_ context.Context, user, handle, correspondent string, now, until time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return false, s.fail
	}
	key := [3]string{user, handle, correspondent}
	if old, ok := s.responses[key]; ok && old.After(now) {
		return false, nil
	}
	if s.responses == nil {
		s.responses = map[[3]string]time.Time{}
	}
	s.responses[key] = until
	return true, nil
}
