// Package task runs the long jobs that webadmin is asked for: one after
// another, in the order in which they were submitted, and only in memory.
//
//	waiting ──────────────► inProgress ──► completed
//	   │                       │     └───► failed
//	   └► canceledRequested ◄──┘
//	             └───────────────────────► canceled
//
// A task must leave its data consistent wherever its context ends: it works in
// steps that are complete in themselves, so that a cancelled task, or one cut
// off by the end of the process, can simply be asked for again. The list of
// tasks is lost when the process ends, as in James's in-memory task manager.
package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Status is the state of a task, spelled as James shows it.
type Status string

// The states of a task.
const (
	Waiting         Status = "waiting"
	InProgress      Status = "inProgress"
	CancelRequested Status = "canceledRequested"
	Completed       Status = "completed"
	Canceled        Status = "canceled"
	Failed          Status = "failed"
)

// Statuses are all of them.
var Statuses = []Status{Waiting, InProgress, CancelRequested, Completed, Canceled, Failed}

// Final reports whether the task is over.
func (s Status) Final() bool { return s == Completed || s == Canceled || s == Failed }

// Errors of Manager.
var (
	ErrNotFound = errors.New("no such task")
	ErrStopped  = errors.New("the task manager has stopped")
	ErrFull     = errors.New("too many tasks are waiting")
)

// Task is one job.
type Task interface {
	// Type is the name of the kind of task, as James shows it.
	Type() string
	// Run does the job. It returns soon after ctx is done. An error, also one
	// about a part of the job, makes the task failed.
	Run(ctx context.Context) error
	// Info returns what there is to say about the progress of the task, for
	// JSON; nil for nothing. It is called at any time, by any goroutine.
	Info(now time.Time) any
}

// Snapshot is a task as it was at one moment. Dates that do not apply are zero.
type Snapshot struct {
	ID, Type  string
	Status    Status
	Host      string // where it was submitted, and runs
	Info      any
	Submitted time.Time
	Started   time.Time
	Completed time.Time
	Canceled  time.Time // when cancellation was asked for
	Failed    time.Time
}

type entry struct {
	Snapshot
	task   Task
	done   chan struct{}
	cancel context.CancelFunc
}

// Limits on what a Manager remembers.
const (
	maxFinished = 10_000
	maxWaiting  = 10_000
)

// Manager runs tasks. It is safe for concurrent use.
type Manager struct {
	host        string
	now         func() time.Time
	log         *slog.Logger
	maxFinished int

	mu       sync.Mutex
	byID     map[string]*entry
	order    []*entry // by submission; the finished ones come first
	waiting  []*entry
	finished int
	wake     chan struct{}
	stopped  chan struct{}
}

// NewManager returns a manager that shows host as the name of this machine.
func NewManager(host string, now func() time.Time, log *slog.Logger) *Manager {
	return &Manager{
		host: host, now: now, log: log, maxFinished: maxFinished,
		byID: map[string]*entry{}, wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
}

// Submit puts t behind all that were submitted before and returns its id.
func (m *Manager) Submit(t Task) (string, error) {
	e := &entry{task: t, done: make(chan struct{})}
	e.ID, e.Type, e.Status, e.Host = NewID(), t.Type(), Waiting, m.host
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) >= maxWaiting {
		return "", ErrFull
	}
	e.Submitted = m.now()
	m.byID[e.ID] = e
	m.order = append(m.order, e)
	m.waiting = append(m.waiting, e)
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return e.ID, nil
}

// Run runs the tasks until ctx is done; the context of the running one ends
// with it, and Run waits for that task. It may be called once.
func (m *Manager) Run(ctx context.Context) error {
	defer close(m.stopped)
	for {
		e := m.next()
		if e == nil {
			select {
			case <-ctx.Done():
				return nil
			case <-m.wake:
				continue
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		m.run(ctx, e)
	}
}

// next takes the first waiting task, nil when there is none.
func (m *Manager) next() *entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) == 0 {
		return nil
	}
	e := m.waiting[0]
	m.waiting = m.waiting[1:]
	return e
}

// run runs one task to its end.
func (m *Manager) run(ctx context.Context, e *entry) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.mu.Lock()
	if e.Status == CancelRequested {
		m.end(e, Canceled, nil)
		m.mu.Unlock()
		return
	}
	e.Status, e.Started, e.cancel = InProgress, m.now(), cancel
	m.mu.Unlock()

	m.log.Info("task starts", "task", e.ID, "type", e.Type)
	err := protect(ctx, e.task)

	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		m.end(e, Completed, nil)
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		m.end(e, Canceled, nil)
	default:
		m.end(e, Failed, err)
	}
}

// protect runs t; a panic costs this task, not the server.
func protect(ctx context.Context, t Task) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return t.Run(ctx)
}

// end notes the end of e and forgets the oldest tasks beyond the limit. m.mu is
// held.
func (m *Manager) end(e *entry, s Status, err error) {
	now := m.now()
	e.Status, e.cancel = s, nil
	e.Info = e.task.Info(now)
	switch s {
	case Completed:
		e.Completed = now
	case Failed:
		e.Failed = now
	case Canceled:
		if e.Canceled.IsZero() {
			e.Canceled = now
		}
	}
	e.task = nil
	close(e.done)
	m.finished++
	for m.finished > m.maxFinished && m.order[0].Status.Final() {
		delete(m.byID, m.order[0].ID)
		m.order = m.order[1:]
		m.finished--
	}
	if err != nil {
		m.log.Error("task failed", "task", e.ID, "type", e.Type, "err", err)
		return
	}
	m.log.Info("task ended", "task", e.ID, "type", e.Type, "status", string(s))
}

// snapshot returns e as it is. m.mu is held.
func (m *Manager) snapshot(e *entry) Snapshot {
	s := e.Snapshot
	if e.task != nil {
		s.Info = e.task.Info(m.now())
	}
	return s
}

// Get returns a task, or ErrNotFound.
func (m *Manager) Get(id string) (Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.byID[id]
	if !ok {
		return Snapshot{}, ErrNotFound
	}
	return m.snapshot(e), nil
}

// List returns all tasks that keep says yes to, the newest submission first.
func (m *Manager) List(keep func(Snapshot) bool) []Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Snapshot
	for _, e := range slices.Backward(m.order) {
		if keep(e.Snapshot) {
			out = append(out, m.snapshot(e))
		}
	}
	return out
}

// Cancel asks a task to end. A finished or unknown one is left alone. A waiting
// one is passed over when its turn comes.
func (m *Manager) Cancel(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.byID[id]
	if !ok || e.Status != Waiting && e.Status != InProgress {
		return
	}
	e.Status, e.Canceled = CancelRequested, m.now()
	if e.cancel != nil {
		e.cancel()
	}
}

// Await returns the task once it is over. Errors: ErrNotFound, ErrStopped when
// the manager stops first, or that of ctx.
func (m *Manager) Await(ctx context.Context, id string) (Snapshot, error) {
	m.mu.Lock()
	e, ok := m.byID[id]
	m.mu.Unlock()
	if !ok {
		return Snapshot{}, ErrNotFound
	}
	var err error
	select {
	case <-e.done:
	case <-ctx.Done():
		err = ctx.Err()
	case <-m.stopped:
		err = ErrStopped
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.Status.Final() {
		return m.snapshot(e), nil
	}
	return Snapshot{}, err
}
