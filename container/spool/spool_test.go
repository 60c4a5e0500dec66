package spool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/spool"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/sqlite"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

const errorURL = "file://var/mail/error"

// engineFunc is a function as an engine.
type engineFunc func(m *container.Mail, out *container.Outbox) error

func (f engineFunc) Run(_ context.Context, m *container.Mail, out *container.Outbox) error {
	return f(m, out)
}

// runSpool runs a spooler over a store of its own until the test ends.
func runSpool(t *testing.T, engine engineFunc, threads int) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.TempDir(), sqlite.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	u, err := repository.ParseURL(errorURL)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{container.SpoolQueue, "outgoing"} {
		if err := store.CreateQueue(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.CreateRepository(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	s := &spool.Spooler{Queues: store, Engine: engine, Threads: threads, ErrorRepository: errorURL, Log: quiet,
		Backoff: func(int) time.Duration { return 0 }}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := store.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return store
}

func put(t *testing.T, store *sqlite.Store, name string) {
	t.Helper()
	m := container.NewMail(container.MustAddress("a@x.test"), []container.Address{container.MustAddress("b@x.test")},
		container.NewMessage([]byte("Subject: x\r\n"), container.BytesBody("hello\r\n")))
	m.Name = name
	err := store.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: container.SpoolQueue}}})
	if err != nil {
		t.Fatal(err)
	}
}

// sizes waits until the queues spool and outgoing and the error repository have
// these numbers of mails.
func sizes(t *testing.T, store *sqlite.Store, spool, outgoing, errs int64) {
	t.Helper()
	u, _ := repository.ParseURL(errorURL)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		a, err1 := store.QueueSize(t.Context(), container.SpoolQueue)
		b, err2 := store.QueueSize(t.Context(), "outgoing")
		c, err3 := store.RepositorySize(t.Context(), u)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		if a == spool && b == outgoing && c == errs {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("spool, outgoing, errors: got %d, %d, %d, want %d, %d, %d", a, b, c, spool, outgoing, errs)
		}
	}
}

func TestMailsAreRunAndMovedOn(t *testing.T) {
	store := runSpool(t, func(m *container.Mail, out *container.Outbox) error {
		out.Enqueue("outgoing", "x.test", m.Clone(), 0)
		return nil
	}, 4)
	for i := range 300 { // more than the spooler takes at once
		put(t, store, fmt.Sprint("m", i))
	}
	sizes(t, store, 0, 300, 0)
}

func TestGhostsVanish(t *testing.T) {
	store := runSpool(t, func(*container.Mail, *container.Outbox) error { return nil }, 2)
	put(t, store, "m")
	sizes(t, store, 0, 0, 0)
}

func TestFailuresEndInTheErrorRepository(t *testing.T) {
	var mu sync.Mutex
	runs := 0
	store := runSpool(t, func(m *container.Mail, out *container.Outbox) error {
		mu.Lock()
		defer mu.Unlock()
		runs++
		if len(m.Recipients) != 1 || m.State != container.StateRoot {
			t.Errorf("run %d does not start from the stored form: %+v", runs, m)
		}
		m.Recipients, m.State = nil, container.StateGhost
		out.Enqueue("outgoing", "x.test", m.Clone(), 0) // must not happen
		return errors.New("boom")
	}, 2)
	put(t, store, "m")
	sizes(t, store, 0, 0, 1)
	if runs != 6 {
		t.Errorf("the mail was run %d times, want 6", runs)
	}
	u, _ := repository.ParseURL(errorURL)
	m, err := store.Mail(t.Context(), repository.Ref{URL: u, Key: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if m.ErrorMessage != "boom" || len(m.Recipients) != 1 {
		t.Errorf("stored mail: %+v", m)
	}
	if _, ok := m.Attributes[container.AttrErrorCount]; ok {
		t.Error("the failure counter goes along: reprocessing would get one try only")
	}
}

func TestOneFailureIsForgotten(t *testing.T) {
	first := true
	var mu sync.Mutex
	store := runSpool(t, func(m *container.Mail, out *container.Outbox) error {
		mu.Lock()
		defer mu.Unlock()
		if first {
			first = false
			return errors.New("once")
		}
		if n, _ := m.Attributes.Int(container.AttrErrorCount); n != 1 {
			t.Errorf("second run: counter is %d, want 1", n)
		}
		out.Store(errorURL, m.Clone())
		return nil
	}, 1)
	put(t, store, "m")
	sizes(t, store, 0, 0, 1)
	u, _ := repository.ParseURL(errorURL)
	m, err := store.Mail(t.Context(), repository.Ref{URL: u, Key: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := m.Attributes[container.AttrErrorCount]; ok {
		t.Error("the counter stays after a good run")
	}
}

func TestNoThreadsNoProcessing(t *testing.T) {
	store := runSpool(t, func(*container.Mail, *container.Outbox) error {
		t.Error("a mail is processed")
		return nil
	}, 0)
	put(t, store, "m")
	sizes(t, store, 1, 0, 0)
}
