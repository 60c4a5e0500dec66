package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestRestOfASnapshot: what a killed backup left goes with the next start, but not
// the copy that a backup is still reading.
func TestRestOfASnapshot(t *testing.T) {
	dir := t.TempDir()
	open := func() {
		t.Helper()
		s, err := Open(dir, Options{Logger: slog.New(slog.DiscardHandler), Reserve: -1})
		if err == nil {
			err = s.Close(context.Background())
		}
		must(t, err)
	}
	open()
	left := filepath.Join(dir, snapshotName)
	must(t, os.WriteFile(left, []byte("half of a database"), 0o600))
	open()
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the rest of a snapshot is there: %v", err)
	}
	seen := 0
	must(t, Snapshot(t.Context(), dir, func(string, *os.File) error {
		seen++
		open() // the server starts during a backup
		_, err := os.Stat(left)
		return err
	}))
	if seen != 1 {
		t.Errorf("%d files, want 1", seen)
	}
}

func TestRoomForCopy(t *testing.T) {
	free := func(n uint64, err error) func() (uint64, error) {
		return func() (uint64, error) { return n, err }
	}
	for _, tc := range []struct {
		name string
		free func() (uint64, error)
		want error
	}{
		{"plenty", free(1<<30, nil), nil},
		{"exactly", free(1<<20+2*defaultReserve, nil), nil},
		{"too little", free(1<<20+2*defaultReserve-1, nil), syscall.ENOSPC},
		{"none", free(0, nil), syscall.ENOSPC},
		{"unknown", free(0, errors.ErrUnsupported), nil},
	} {
		if err := roomForCopy(1<<20, tc.free); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
}
