package task

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"
)

// once is a task that must not be begun twice.
type once struct{ fake }

func (once) Once() {}

// killed returns what a process that was killed at this moment leaves behind.
func (s *shelf) killed() *shelf {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &shelf{rows: slices.Clone(s.rows)}
}

// always makes tasks that note that they ran.
func always(ran chan<- string) func(string, json.RawMessage) (Task, error) {
	return func(kind string, params json.RawMessage) (Task, error) {
		if string(params) == "null" || len(params) == 0 {
			return nil, errors.New("it had begun")
		}
		return fake{func(context.Context) error { ran <- kind + string(params); return nil }}, nil
	}
}

// TestKilledInEachPhase takes what is stored at a moment for what a killed process
// left: a task that can be repeated is, one that cannot is only if it had not
// begun.
func TestKilledInEachPhase(t *testing.T) {
	for _, tc := range []struct {
		name      string
		task      func(run func(context.Context) error) Task
		atRun     Status // of a task that was killed while it ran
		atWaiting Status
	}{
		{"repeatable", func(run func(context.Context) error) Task { return fake{run} }, Completed, Completed},
		{"once", func(run func(context.Context) error) Task { return once{fake{run}} }, Failed, Completed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &shelf{}
			m, end := life(t, s, fresh)
			running, goOn := make(chan struct{}), make(chan struct{})
			id, err := m.Submit(tc.task(func(context.Context) error { close(running); <-goOn; return nil }))
			if err != nil {
				t.Fatal(err)
			}
			waiting, err := m.Submit(tc.task(func(context.Context) error { return nil }))
			if err != nil {
				t.Fatal(err)
			}
			<-running
			left := s.killed()
			close(goOn)
			if _, err := m.Await(t.Context(), waiting); err != nil {
				t.Fatal(err)
			}
			end()
			for when, shelf := range map[string]*shelf{"while it ran": left, "at the end": s.killed()} {
				wantID, wantWaiting := tc.atRun, tc.atWaiting
				if when == "at the end" {
					wantID, wantWaiting = Completed, Completed
				}
				again, stop := life(t, shelf, always(make(chan string, 10)))
				for id, want := range map[string]Status{id: wantID, waiting: wantWaiting} {
					if got, err := again.Await(t.Context(), id); err != nil || got.Status != want {
						t.Errorf("%s: got %v, %v, want %v", when, got.Status, err, want)
					}
				}
				stop()
			}
		})
	}
}

// TestOnceIsNotRunUnstored: if it cannot be noted that the task begins, a crash
// would begin it again.
func TestOnceIsNotRunUnstored(t *testing.T) {
	s := &shelf{}
	m, end := life(t, s, fresh)
	defer end()
	running, goOn := make(chan struct{}), make(chan struct{})
	submit(t, m, func(context.Context) error { close(running); <-goOn; return nil })
	id, err := m.Submit(once{fake{func(context.Context) error { t.Error("it ran"); return nil }}})
	if err != nil {
		t.Fatal(err)
	}
	<-running
	s.mu.Lock()
	s.err = errors.New("disk full")
	s.mu.Unlock()
	close(goOn)
	if got, err := m.Await(t.Context(), id); err != nil || got.Status != Failed {
		t.Errorf("got %v, %v", got.Status, err)
	}
}

// TestOrderOutlivesAClockThatGoesBack: tasks are submitted while the clock is set
// back, and run in their order in the next process.
func TestOrderOutlivesAClockThatGoesBack(t *testing.T) {
	s := &shelf{}
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	m := NewManager("mx1", func() time.Time { at = at.Add(-time.Hour); return at }, slog.New(slog.DiscardHandler))
	if err := m.Restore(t.Context(), s, fresh); err != nil {
		t.Fatal(err)
	}
	var want []string
	for range 5 {
		id, err := m.Submit(fake{})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, id)
	}
	slices.SortFunc(s.rows, func(a, b row) int { return a.submitted.Compare(b.submitted) }) // as the store gives them
	again := NewManager("mx1", time.Now, slog.New(slog.DiscardHandler))
	if err := again.Restore(t.Context(), s, always(make(chan string, 9))); err != nil {
		t.Fatal(err)
	}
	later, err := again.Submit(fake{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for e := again.next(); e != nil; e = again.next() {
		got = append(got, e.ID)
	}
	if len(again.order) != len(want)+1 || again.order[0].ID != want[0] {
		t.Error("the list is in another order")
	}
	if want = append(want, later); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestErrorOfTheShutdown: a store that is closed says so in its own words.
func TestErrorOfTheShutdown(t *testing.T) {
	s := &shelf{}
	m, end := life(t, s, fresh)
	running := make(chan struct{})
	id := submit(t, m, func(ctx context.Context) error {
		close(running)
		<-ctx.Done()
		return errors.New("interrupted")
	})
	<-running
	end()
	m, end = life(t, s, always(make(chan string, 1)))
	defer end()
	if got, err := m.Await(t.Context(), id); err != nil || got.Status != Completed {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestCanceledTaskThatCannotBeMade: a task that was cancelled and died is
// cancelled, whether it could go on or not.
func TestCanceledTaskThatCannotBeMade(t *testing.T) {
	s := &shelf{rows: []row{{id: "a", kind: "x", status: "canceledRequested", details: `{}`}}}
	m, end := life(t, s, fresh)
	defer end()
	if got, err := m.Await(t.Context(), "a"); err != nil || got.Status != Canceled || got.Canceled.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
	if s.rows[0].status != "canceled" {
		t.Errorf("stored: %+v", s.rows[0])
	}
}

// deaf is a shelf that takes no notes: the real one is quicker.
type deaf struct{ *shelf }

func (deaf) PutTask(context.Context, string, string, string, time.Time, []byte) error { return nil }
func (deaf) ForgetTasks(context.Context, []string) error                              { return nil }

// TestTenThousandTasks: as many as may wait, and as many that are over, come back.
func TestTenThousandTasks(t *testing.T) {
	s := &shelf{}
	for i := range maxWaiting + maxFinished + 5 {
		r := row{id: NewID(), kind: "x", status: string(Completed), submitted: time.Unix(int64(i), 0), details: `{"params":{}}`}
		if i >= maxFinished+5 {
			r.status = string(Waiting)
		}
		s.rows = append(s.rows, r)
	}
	ran := make(chan string, maxWaiting)
	last := s.rows[len(s.rows)-1].id
	m := NewManager("mx1", time.Now, slog.New(slog.DiscardHandler))
	if err := m.Restore(t.Context(), deaf{s}, always(ran)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if got, err := m.Await(t.Context(), last); err != nil || got.Status != Completed || len(ran) != maxWaiting {
		t.Errorf("got %v, %v after %d", got.Status, err, len(ran))
	}
}
