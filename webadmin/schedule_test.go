package webadmin_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/sqlite"
	"github.com/mailetd/mailetd/webadmin"
)

// sick is a store that cannot count.
type sick struct{ *sqlite.Store }

func (sick) RepositorySize(context.Context, repository.URL) (int64, error) {
	return 0, errors.New("disk I/O error")
}

// lines hands over each line of a log.
type lines chan []byte

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- bytes.Clone(p):
	default: // nobody waits any more
	}
	return len(p), nil
}

// TestScheduleSaysWhatIsWrong: a store that cannot be asked is no empty
// repository.
func TestScheduleSaysWhatIsWrong(t *testing.T) {
	store, err := sqlite.Open(t.TempDir(), sqlite.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close(context.Background())
	log := make(lines, 1)
	s, err := webadmin.New(webadmin.Config{Host: "127.0.0.1", CORSOrigin: "*"}, webadmin.Deps{Queues: store, Store: store, Repositories: sick{store}, Tasks: store,
		Schedules: []webadmin.Schedule{{Repository: repository.URL{Protocol: "file", Path: "var/mail/error"}, Every: time.Millisecond}},
		Log:       slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err == nil {
		err = s.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case line := <-log:
		if !bytes.Contains(line, []byte("scheduled reprocessing")) || !bytes.Contains(line, []byte("disk I/O error")) {
			t.Errorf("got %s", line)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing is said")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
