// Package task runs the long jobs that webadmin is asked for: one after
// another, in the order in which they were submitted.
//
//	waiting ──────────────► inProgress ──► completed
//	   │                       │     └───► failed
//	   └► canceledRequested ◄──┘
//	             └───────────────────────► canceled
//
// A task must leave its data consistent wherever its context ends: it works in
// steps that are complete in themselves, so that a cancelled task can simply be
// asked for again. With a Storage the list outlives the process: what was over
// is still shown, and what was waiting or running when the process ended waits
// again, under the same id, made anew from its Params.
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
	// Params returns, for JSON, what another process needs to make the task again
	// and to go on where it was. It is called at any time, by any goroutine.
	Params() any
}

// Once is a task that must not be begun a second time, such as one that removes
// all there is: mails have come since. A restart that cuts it off makes it failed.
type Once interface {
	Task
	Once()
}

func isOnce(t Task) bool {
	_, ok := t.(Once)
	return ok
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
	seq    int64 // counts submissions, whatever the clock does
	begun  bool  // Run was called, or is about to be
	task   Task  // nil when it is over
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
	storage     Storage // nil: only in memory

	keeping  sync.Mutex // held from the look at a task until it is stored; before mu
	mu       sync.Mutex
	byID     map[string]*entry
	order    []*entry // by submission; the finished ones come first
	waiting  []*entry
	finished int
	last     int64 // entry.seq given last
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
	e.ID, e.Type, e.Status, e.Host, e.Submitted = NewID(), t.Type(), Waiting, m.host, m.now()
	if !m.number(e) {
		return "", ErrFull
	}
	if err := m.keep(e); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(e)
	return e.ID, nil
}

// number gives e its place behind all others, or reports that there is none.
func (m *Manager) number(e *entry) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) >= maxWaiting {
		return false
	}
	m.last++
	e.seq = m.last
	return true
}

// add puts e behind all others. m.mu is held.
func (m *Manager) add(e *entry) {
	m.byID[e.ID] = e
	m.order = append(m.order, e)
	if e.Status.Final() {
		m.finished++
		return
	}
	m.waiting = append(m.waiting, e)
	select {
	case m.wake <- struct{}{}:
	default:
	}
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

// run runs one task to its end, or to that of ctx: then it waits for the next
// process.
func (m *Manager) run(ctx context.Context, e *entry) {
	taskCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !m.begin(e, cancel) {
		return
	}
	m.log.Info("task starts", "task", e.ID, "type", e.Type)
	err := m.watched(taskCtx, e)
	m.mu.Lock()
	switch {
	case err == nil:
		m.end(e, Completed, nil)
	case ctx.Err() != nil && m.storage != nil && e.Status != CancelRequested: // whatever the error: what it uses ends, too
		e.Status, e.Started, e.cancel = Waiting, time.Time{}, nil
		m.log.Info("task is interrupted and goes on after the next start", "task", e.ID, "type", e.Type, "err", err)
	case taskCtx.Err() == nil || !errors.Is(err, taskCtx.Err()):
		m.end(e, Failed, err)
	default:
		m.end(e, Canceled, nil)
	}
	m.mu.Unlock()
	m.keepOrWarn(e)
	m.forget()
}

// begin notes that e runs. It reports false when e was cancelled before, or is a
// task to be begun once of which that cannot be noted: then it is over.
func (m *Manager) begin(e *entry, cancel context.CancelFunc) bool {
	m.mu.Lock()
	t := e.task
	canceled := e.Status == CancelRequested
	if canceled {
		m.end(e, Canceled, nil)
	} else {
		e.Status, e.Started, e.begun, e.cancel = InProgress, m.now(), true, cancel
	}
	m.mu.Unlock()
	err := m.keep(e)
	if err != nil && !canceled && isOnce(t) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.end(e, Failed, err)
		return false
	}
	m.warn(e, err)
	return !canceled
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

// end notes the end of e. m.mu is held.
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
	if e := m.requestCancel(id); e != nil {
		m.keepOrWarn(e)
	}
}

// requestCancel returns the task that is now to end, nil for none.
func (m *Manager) requestCancel(id string) *entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.byID[id]
	if !ok || e.Status != Waiting && e.Status != InProgress {
		return nil
	}
	e.Status, e.Canceled = CancelRequested, m.now()
	if e.cancel != nil {
		e.cancel()
	}
	return e
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
