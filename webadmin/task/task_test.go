package task

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"
)

type fake struct {
	run func(ctx context.Context) error
}

func (fake) Type() string                    { return "fake" }
func (f fake) Run(ctx context.Context) error { return f.run(ctx) }
func (fake) Info(now time.Time) any          { return now }
func (fake) Params() any                     { return "fake" }

func start(t *testing.T) *Manager {
	t.Helper()
	m := NewManager("mx1", time.Now, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return m
}

func submit(t *testing.T, m *Manager, run func(context.Context) error) string {
	t.Helper()
	id, err := m.Submit(fake{run})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestEnds(t *testing.T) {
	m := start(t)
	for _, tc := range []struct {
		name string
		run  func(context.Context) error
		want Status
	}{
		{"done", func(context.Context) error { return nil }, Completed},
		{"error", func(context.Context) error { return errors.New("no") }, Failed},
		{"panic", func(context.Context) error { panic("no") }, Failed},
		{"canceled error without being asked", func(context.Context) error { return context.Canceled }, Failed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := m.Await(t.Context(), submit(t, m, tc.run))
			if err != nil || s.Status != tc.want {
				t.Fatalf("got %v, %v, want %v", s.Status, err, tc.want)
			}
			if s.Completed.IsZero() != (tc.want != Completed) || s.Failed.IsZero() != (tc.want != Failed) || s.Started.IsZero() {
				t.Errorf("dates: %+v", s)
			}
			if s.Info == nil {
				t.Error("information was lost")
			}
		})
	}
}

func TestCancel(t *testing.T) {
	m := start(t)
	running := make(chan struct{})
	first := submit(t, m, func(ctx context.Context) error {
		close(running)
		<-ctx.Done()
		return ctx.Err()
	})
	second := submit(t, m, func(context.Context) error {
		t.Error("a cancelled task was run")
		return nil
	})
	third := submit(t, m, func(context.Context) error { return nil })
	<-running
	m.Cancel(second)
	if s, _ := m.Get(second); s.Status != CancelRequested || s.Canceled.IsZero() {
		t.Errorf("second: got %+v, want canceledRequested with a date", s)
	}
	if s, _ := m.Get(third); s.Status != Waiting {
		t.Errorf("third: got %v, want waiting", s.Status)
	}
	m.Cancel(first)
	for id, want := range map[string]Status{first: Canceled, second: Canceled, third: Completed} {
		if s, err := m.Await(t.Context(), id); err != nil || s.Status != want {
			t.Errorf("got %v, %v, want %v", s.Status, err, want)
		}
	}
	m.Cancel(third)
	if s, _ := m.Get(third); s.Status != Completed {
		t.Errorf("cancelling a finished task made it %v", s.Status)
	}
	m.Cancel("unknown")
}

func TestFinishesBeforeNoticing(t *testing.T) {
	m := start(t)
	running, goOn := make(chan struct{}), make(chan struct{})
	id := submit(t, m, func(context.Context) error {
		close(running)
		<-goOn
		return nil
	})
	<-running
	m.Cancel(id)
	close(goOn)
	if s, err := m.Await(t.Context(), id); err != nil || s.Status != Completed || s.Canceled.IsZero() {
		t.Errorf("got %+v, %v, want completed", s, err)
	}
}

func TestAwaitEnds(t *testing.T) {
	m := NewManager("mx1", time.Now, slog.New(slog.DiscardHandler))
	if _, err := m.Await(t.Context(), "unknown"); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown: got %v", err)
	}
	id := submit(t, m, func(context.Context) error { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Await(ctx, id); !errors.Is(err, context.Canceled) {
		t.Errorf("time is up: got %v", err)
	}
	if err := m.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Await(t.Context(), id); !errors.Is(err, ErrStopped) {
		t.Errorf("stopped: got %v", err)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	m := NewManager("mx1", time.Now, slog.New(slog.DiscardHandler))
	m.maxFinished = 3
	var ids []string
	for range 5 {
		ids = append(ids, submit(t, m, func(context.Context) error { return nil }))
	}
	for e := m.next(); e != nil; e = m.next() {
		m.run(t.Context(), e)
	}
	got := m.List(func(Snapshot) bool { return true })
	if len(got) != 3 || got[0].ID != ids[4] || got[2].ID != ids[2] {
		t.Errorf("got %v, want the newest three of %v", got, ids)
	}
	if _, err := m.Get(ids[0]); !errors.Is(err, ErrNotFound) {
		t.Errorf("oldest: got %v, want ErrNotFound", err)
	}
}

func TestWaitingIsBounded(t *testing.T) {
	m := NewManager("mx1", time.Now, slog.New(slog.DiscardHandler))
	for range maxWaiting {
		submit(t, m, nil)
	}
	if _, err := m.Submit(fake{}); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
}

func TestParseID(t *testing.T) {
	id := NewID()
	if got, err := ParseID(id); err != nil || got != id {
		t.Errorf("ParseID(%q): got %q, %v", id, got, err)
	}
	if got, err := ParseID("3294A976-CE63-491E-BD52-1B6F465ED7A2"); err != nil || got != "3294a976-ce63-491e-bd52-1b6f465ed7a2" {
		t.Errorf("upper case: got %q, %v", got, err)
	}
	for _, s := range []string{"", "x", id + "0", id[:35] + "-", id[:35] + "g", "-294a976-ce63-491e-bd52-1b6f465ed7a2"} {
		if _, err := ParseID(s); err == nil || err.Error() != "Invalid UUID string: "+s {
			t.Errorf("ParseID(%q): got %v", s, err)
		}
	}
}
