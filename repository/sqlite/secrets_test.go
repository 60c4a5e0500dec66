package sqlite

import (
	"bytes"
	"testing"

	"github.com/mailetd/mailetd/container/local"
)

// TestSecret: a secret is the same for ever, and no other is like it.
func TestSecret(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	first, err := s.Secret(t.Context(), "scram")
	must(t, err)
	other, err := s.Secret(t.Context(), "other")
	must(t, err)
	if len(first) != secretLength || bytes.Equal(first, other) {
		t.Errorf("got %x and %x", first, other)
	}
	must(t, s.Close(t.Context()))
	again, err := openTest(t, dir).Secret(t.Context(), "scram")
	if err != nil || !bytes.Equal(again, first) {
		t.Errorf("after a restart: got %x, %v, want %x", again, err, first)
	}
}

func TestOnlyAlgorithm(t *testing.T) {
	s := openTest(t, t.TempDir())
	for _, tc := range []struct {
		user local.User
		want bool
	}{
		{local.User{Name: "a", Algorithm: "SCRAM-SHA-256"}, true},
		{local.User{Name: "b", Algorithm: "MD5"}, false},
		{local.User{Name: "b", Algorithm: "SCRAM-SHA-256"}, true},
	} {
		must(t, s.PutUser(t.Context(), tc.user))
		if got, err := s.OnlyAlgorithm(t.Context(), "SCRAM-SHA-256"); got != tc.want || err != nil {
			t.Errorf("after %+v: got %t, %v", tc.user, got, err)
		}
	}
}
