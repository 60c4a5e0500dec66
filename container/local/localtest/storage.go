// Package localtest helps to test what uses container/local.
package localtest

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/mailetd/mailetd/container/local"
)

// Storage keeps local data in memory. Reads counts the calls that read. It is
// safe for concurrent use.
type Storage struct {
	mu       sync.Mutex
	domains  map[string]bool
	users    map[string]local.User
	mappings map[string][]local.Mapping
	reads    int
	fail     error
}

// NewStorage returns an empty storage.
func NewStorage() *Storage {
	return &Storage{domains: map[string]bool{}, users: map[string]local.User{}, mappings: map[string][]local.Mapping{}}
}

// Directory returns a directory with virtual hosting and recursive mappings over
// a new storage, local domains and users (password "secret"). The first domain
// is the default. Hashing is quick, not strong.
func Directory(t testing.TB, domains []string, users ...string) (*local.Directory, *Storage) {
	t.Helper()
	s := NewStorage()
	cfg := local.Config{VirtualHosting: true, RecursiveMapping: true, MappingLimit: 10, HashIterations: 4096}
	if len(domains) > 0 {
		cfg.DefaultDomain = domains[0]
	}
	for _, d := range domains {
		s.domains[d] = true
	}
	for _, u := range users {
		s.users[u] = local.User{Name: u, Algorithm: "NONE", Hash: "secret"}
	}
	return local.New(cfg, s), s
}

// Map stores a mapping without any check, in the form "alias:a@b.test".
func (s *Storage) Map(source, mapping string) {
	_ = s.AddMapping(context.Background(), source, local.ParseMapping(mapping)) // never fails
}

// Reads returns how many calls have read so far.
func (s *Storage) Reads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// FailWith makes every call return err from now on; nil ends it.
func (s *Storage) FailWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *Storage) read() func() {
	s.mu.Lock()
	s.reads++
	return s.mu.Unlock
}

// Domains is described at local.Storage, like the other methods.
func (s *Storage) Domains(context.Context) ([]string, error) {
	defer s.read()()
	return slices.Sorted(maps.Keys(s.domains)), s.fail
}

// AddDomain adds a domain.
func (s *Storage) AddDomain(_ context.Context, domain string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.domains[domain] = true
	return s.fail
}

// RemoveDomain removes a domain.
func (s *Storage) RemoveDomain(_ context.Context, domain string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.domains, domain)
	return s.fail
}

// Users lists the names.
func (s *Storage) Users(context.Context) ([]string, error) {
	defer s.read()()
	return slices.Sorted(maps.Keys(s.users)), s.fail
}

// User returns one user.
func (s *Storage) User(_ context.Context, name string) (local.User, bool, error) {
	defer s.read()()
	u, ok := s.users[name]
	return u, ok, s.fail
}

// OnlyAlgorithm reports whether all users have that algorithm.
func (s *Storage) OnlyAlgorithm(_ context.Context, algorithm string) (bool, error) {
	defer s.read()()
	for _, u := range s.users {
		if u.Algorithm != algorithm {
			return false, s.fail
		}
	}
	return true, s.fail
}

// Secret returns a secret that depends on its name only.
func (s *Storage) Secret(_ context.Context, name string) ([]byte, error) {
	defer s.read()()
	sum := sha256.Sum256([]byte(name))
	return sum[:], s.fail
}

// PutUser stores a user.
func (s *Storage) PutUser(_ context.Context, u local.User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.Name] = u
	return s.fail
}

// RemoveUser removes a user.
func (s *Storage) RemoveUser(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, name)
	return s.fail
}

// Mappings returns the mappings of one source.
func (s *Storage) Mappings(_ context.Context, source string) ([]local.Mapping, error) {
	defer s.read()()
	return slices.Clone(s.mappings[source]), s.fail
}

// AllMappings returns the whole table.
func (s *Storage) AllMappings(context.Context) (map[string][]local.Mapping, error) {
	defer s.read()()
	out := map[string][]local.Mapping{}
	for k, v := range s.mappings {
		out[k] = slices.Clone(v)
	}
	return out, s.fail
}

// AddMapping adds a mapping.
func (s *Storage) AddMapping(_ context.Context, source string, m local.Mapping) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.mappings[source], m) {
		s.mappings[source] = append(s.mappings[source], m)
	}
	return s.fail
}

// RemoveMapping removes a mapping.
func (s *Storage) RemoveMapping(_ context.Context, source string, m local.Mapping) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(s.mappings[source]), func(h local.Mapping) bool { return h == m })
	if s.mappings[source] = left; len(left) == 0 {
		delete(s.mappings, source)
	}
	return s.fail
}

// SourcesOf returns the sources that have m.
func (s *Storage) SourcesOf(_ context.Context, m local.Mapping) ([]string, error) {
	defer s.read()()
	var out []string
	for source, ms := range s.mappings {
		if slices.Contains(ms, m) {
			out = append(out, source)
		}
	}
	slices.Sort(out)
	return out, s.fail
}

var (
	_ local.Storage          = (*Storage)(nil)
	_ local.AlgorithmStorage = (*Storage)(nil)
	_ local.SecretStorage    = (*Storage)(nil)
)
