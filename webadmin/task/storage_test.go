package task

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"
)

// shelf is a Storage in memory.
type shelf struct {
	mu   sync.Mutex
	rows []row
	err  error
}

type row struct {
	id, kind, status string
	submitted        time.Time
	details          string
}

func (s *shelf) PutTask(_ context.Context, id, kind, status string, submitted time.Time, details []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	r := row{id, kind, status, submitted, string(details)}
	if i := slices.IndexFunc(s.rows, func(r row) bool { return r.id == id }); i >= 0 {
		s.rows[i] = r
	} else {
		s.rows = append(s.rows, r)
	}
	return nil
}

func (s *shelf) EachTask(_ context.Context, visit func(id, kind, status string, submitted time.Time, details []byte) error) error {
	for _, r := range s.rows {
		if err := visit(r.id, r.kind, r.status, r.submitted, []byte(r.details)); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) ForgetTasks(_ context.Context, ids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = slices.DeleteFunc(s.rows, func(r row) bool { return slices.Contains(ids, r.id) })
	return nil
}

// life runs a manager over a shelf; end stops it.
func life(t *testing.T, s *shelf, revive func(string, json.RawMessage) (Task, error)) (m *Manager, end func()) {
	t.Helper()
	m = NewManager("mx1", time.Now, slog.New(slog.DiscardHandler))
	if err := m.Restore(t.Context(), s, revive); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	return m, func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func fresh(string, json.RawMessage) (Task, error) { return nil, errors.New("nothing is to be made") }

func TestTasksOutliveTheProcess(t *testing.T) {
	s := &shelf{}
	m, end := life(t, s, fresh)
	done := submit(t, m, func(context.Context) error { return nil })
	bad := submit(t, m, func(context.Context) error { return errors.New("no") })
	running := make(chan struct{})
	cut := submit(t, m, func(ctx context.Context) error {
		close(running)
		<-ctx.Done()
		return ctx.Err()
	})
	waiting := submit(t, m, func(context.Context) error { return nil })
	<-running
	first, err := m.Get(done)
	if err != nil {
		t.Fatal(err)
	}
	end()

	var made []string
	again := make(chan struct{}, 2)
	m, end = life(t, s, func(kind string, params json.RawMessage) (Task, error) {
		made = append(made, kind+string(params))
		return fake{func(context.Context) error { again <- struct{}{}; return nil }}, nil
	})
	defer end()
	for _, id := range []string{cut, waiting} {
		got, err := m.Await(t.Context(), id)
		if err != nil || got.Status != Completed || got.Started.IsZero() {
			t.Errorf("task of the former run: got %+v, %v", got, err)
		}
	}
	if want := []string{`fake"fake"`, `fake"fake"`}; !slices.Equal(made, want) || len(again) != 2 {
		t.Errorf("made %q, ran %d, want %q", made, len(again), want)
	}
	got, err := m.Get(done)
	if err != nil || got.Status != Completed || !got.Completed.Equal(first.Completed) || !got.Submitted.Equal(first.Submitted) || got.Host != "mx1" || got.Info == nil {
		t.Errorf("finished task: got %+v, %v, want %+v", got, err, first)
	}
	if got, err := m.Get(bad); err != nil || got.Status != Failed || got.Failed.IsZero() {
		t.Errorf("failed task: got %+v, %v", got, err)
	}
	if list := m.List(func(Snapshot) bool { return true }); len(list) != 4 || list[3].ID != done {
		t.Errorf("list: %+v", list)
	}
}

func TestTaskThatCannotGoOn(t *testing.T) {
	s := &shelf{rows: []row{{id: "a", kind: "clear", status: "inProgress", details: `{"host":"mx1","info":{"remainingCount":3}}`}, {id: "b", kind: "x", status: "waiting", details: "{"}}}
	m, end := life(t, s, fresh)
	defer end()
	for _, id := range []string{"a", "b"} {
		if got, err := m.Await(t.Context(), id); err != nil || got.Status != Failed || got.Failed.IsZero() {
			t.Errorf("%s: got %+v, %v", id, got, err)
		}
	}
	if a, _ := m.Get("a"); string(a.Info.(json.RawMessage)) != `{"remainingCount":3}` {
		t.Errorf("what was known of it: %s", a.Info)
	}
	if s.rows[0].status != "failed" {
		t.Errorf("stored: %+v", s.rows[0])
	}
}

func TestCanceledTaskIsNotMadeAgain(t *testing.T) {
	s := &shelf{rows: []row{{id: "a", kind: "x", status: "canceledRequested", details: `{"params":{}}`}}}
	m, end := life(t, s, func(string, json.RawMessage) (Task, error) {
		return fake{func(context.Context) error { t.Error("it ran"); return nil }}, nil
	})
	defer end()
	if got, err := m.Await(t.Context(), "a"); err != nil || got.Status != Canceled {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTaskThatIsNotStoredIsNotTaken(t *testing.T) {
	s := &shelf{}
	m, end := life(t, s, fresh)
	defer end()
	s.mu.Lock()
	s.err = errors.New("disk full")
	s.mu.Unlock()
	if id, err := m.Submit(fake{func(context.Context) error { t.Error("it ran"); return nil }}); err == nil {
		t.Errorf("task %s was taken", id)
	}
}

func TestOldTasksAreForgottenInTheStoreToo(t *testing.T) {
	s := &shelf{}
	m, end := life(t, s, fresh)
	m.maxFinished = 2
	for range 5 {
		if _, err := m.Await(t.Context(), submit(t, m, func(context.Context) error { return nil })); err != nil {
			t.Fatal(err)
		}
	}
	end()
	if len(s.rows) != 2 {
		t.Errorf("%d tasks are stored, want 2", len(s.rows))
	}
}
