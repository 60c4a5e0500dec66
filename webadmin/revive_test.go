package webadmin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/sqlite"
	"github.com/mailetd/mailetd/webadmin"
)

// ending is a store in whose middle of work the server is told to end.
type ending struct {
	*sqlite.Store
	left atomic.Int64
	end  func()
}

func (e *ending) CommitAsync(c repository.Change, done func(error)) {
	if e.left.Add(-1) == 0 {
		e.end()
	}
	e.Store.CommitAsync(c, done)
}

// TestReprocessingGoesOnAfterARestart ends the server in the middle of the second
// page of keys. The next one finishes the task under its id.
func TestReprocessingGoesOnAfterARestart(t *testing.T) {
	u := repository.URL{Protocol: "file", Path: "var/mail/error"}
	for _, tc := range []struct {
		query    string
		min, max int64 // mails in the spool at the end
	}{
		{"", 2500, 2500},
		{"&limit=2100", 2100, 2100},
		{"&consume=false", 2500, 2500 + 1000}, // mails of one page may be copied twice
	} {
		t.Run("reprocess"+tc.query, func(t *testing.T) {
			store, err := sqlite.Open(t.TempDir(), sqlite.Options{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close(context.Background())
			if err := store.CreateQueue(t.Context(), "spool"); err != nil {
				t.Fatal(err)
			}
			(&world{t: t, store: store}).fill(u, 2500)

			cut := &ending{Store: store}
			cut.left.Store(1500)
			first := serveTasks(t, store, cut)
			cut.end = first.stop
			_, answer := first.do("PATCH", "/mailRepositories/var%2Fmail%2Ferror/mails?action=reprocess"+tc.query, "")
			first.wait()
			var id struct{ TaskID string }
			if err := json.Unmarshal([]byte(answer), &id); err != nil {
				t.Fatalf("%s: %v", answer, err)
			}
			came := container.NewMail(container.MustAddress("a@b.test"), []container.Address{container.MustAddress("c@d.test")},
				container.ParseMessage([]byte("Subject: came later\r\n\r\nbody\r\n")))
			if err := store.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: came, Repository: u.String()}}}); err != nil {
				t.Fatal(err)
			}

			second := serveTasks(t, store, store)
			defer second.wait()
			defer second.stop()
			code, answer := second.do("GET", "/tasks/"+id.TaskID+"/await", "")
			var got struct {
				Status string
				Info   struct{ RemainingCount, InitialCount int } `json:"additionalInformation"`
			}
			if err := json.Unmarshal([]byte(answer), &got); err != nil || code != 200 || got.Status != "completed" || got.Info.InitialCount != 2500 {
				t.Fatalf("got %d %s, %v", code, answer, err)
			}
			if n, err := store.QueueSize(t.Context(), "spool"); err != nil || n < tc.min || n > tc.max {
				t.Errorf("%d mails in the spool, want %d to %d; %v", n, tc.min, tc.max, err)
			}
			if _, err := store.Mail(t.Context(), repository.Ref{URL: u, Key: came.Name}); err != nil {
				t.Errorf("the mail that came after the task was asked for: %v", err)
			}
		})
	}
}

// running is a server with its end in hand.
type running struct {
	*world
	stop func()
	wait func()
}

func serveTasks(t *testing.T, store *sqlite.Store, commits webadmin.Store) *running {
	t.Helper()
	s, err := webadmin.New(webadmin.Config{Host: "127.0.0.1", CORSOrigin: "*"},
		webadmin.Deps{Queues: store, Store: commits, Repositories: store, Tasks: store, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = s.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return &running{&world{t, store, s}, stop, func() {
		if err := <-ended; err != nil {
			t.Error(fmt.Errorf("run: %w", err))
		}
	}}
}
