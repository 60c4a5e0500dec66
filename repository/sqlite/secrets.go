package sqlite

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/mailetd/mailetd/container/local"
)

var (
	_ local.SecretStorage    = (*Store)(nil)
	_ local.AlgorithmStorage = (*Store)(nil)
)

// secretTables keep what this server alone knows.
const secretTables = `CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
`

// secretLength is in octets.
const secretLength = 32

// Secret returns the secret of that name; the first caller makes it.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	secret, err := s.readSecret(ctx, name)
	if err != nil || secret != nil {
		return secret, err
	}
	fresh := make([]byte, secretLength)
	_, _ = rand.Read(fresh) // never fails: crypto/rand
	if err := s.change(ctx, "make secret "+name, "INSERT OR IGNORE INTO secret (name, value) VALUES (?, ?)", name, fresh); err != nil {
		return nil, err
	}
	return s.readSecret(ctx, name)
}

func (s *Store) readSecret(ctx context.Context, name string) ([]byte, error) {
	list, err := column[[]byte](ctx, s.read, "SELECT value FROM secret WHERE name = ?", name)
	if err != nil {
		return nil, fmt.Errorf("read secret %s: %w", name, err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list[0], nil
}

// OnlyAlgorithm reports whether the passwords of all accounts are stored with
// that algorithm.
func (s *Store) OnlyAlgorithm(ctx context.Context, algorithm string) (bool, error) {
	list, err := column[int](ctx, s.read, "SELECT EXISTS (SELECT 1 FROM user WHERE algorithm <> ?)", algorithm)
	if err != nil {
		return false, fmt.Errorf("look for passwords of other forms: %w", err)
	}
	return len(list) == 1 && list[0] == 0, nil
}
