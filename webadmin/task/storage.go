package task

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Storage keeps tasks beyond the end of the process. Package repository/sqlite
// implements it.
type Storage interface {
	// PutTask adds or replaces a task, durably.
	PutTask(ctx context.Context, id, kind, status string, submitted time.Time, details []byte) error
	// EachTask visits all tasks, the oldest submission first.
	EachTask(ctx context.Context, visit func(id, kind, status string, submitted time.Time, details []byte) error) error
	// ForgetTasks removes tasks.
	ForgetTasks(ctx context.Context, ids []string) error
}

// details is what is stored of a task besides its columns.
type details struct {
	Host      string          `json:"host"`
	Seq       int64           `json:"seq,omitempty"`
	Started   time.Time       `json:"started,omitzero"`
	Completed time.Time       `json:"completed,omitzero"`
	Canceled  time.Time       `json:"canceled,omitzero"`
	Failed    time.Time       `json:"failed,omitzero"`
	Info      json.RawMessage `json:"info,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
}

// keepEvery is how often the progress of a running task is stored.
const keepEvery = 5 * time.Second

// keepTime bounds how long a task waits for the store.
const keepTime = 30 * time.Second

// Restore takes over the tasks of a former process and keeps all further ones in
// storage. What was not over waits again: revive makes it from its type and
// Params. If that is not possible the task is failed. Call it before Run.
func (m *Manager) Restore(ctx context.Context, storage Storage, revive func(kind string, params json.RawMessage) (Task, error)) error {
	m.storage = storage
	var all, over []*entry
	err := storage.EachTask(ctx, func(id, kind, status string, submitted time.Time, text []byte) error {
		e := &entry{done: make(chan struct{})}
		e.ID, e.Type, e.Status, e.Submitted = id, kind, Status(status), submitted
		params := e.read(text)
		if e.Status.Final() {
			close(e.done)
		} else if !m.revive(e, params, revive) {
			over = append(over, e)
		}
		all = append(all, e)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the tasks of the former run: %w", err)
	}
	slices.SortStableFunc(all, func(a, b *entry) int { return cmp.Compare(a.seq, b.seq) }) // the clock may have gone back
	m.mu.Lock()
	for _, e := range all {
		m.add(e)
		m.last = max(m.last, e.seq)
	}
	m.mu.Unlock()
	for _, e := range over {
		m.keepOrWarn(e)
	}
	m.forget()
	return nil
}

// read sets what was stored of e and returns its parameters.
func (e *entry) read(text []byte) json.RawMessage {
	var d details
	if err := json.Unmarshal(text, &d); err != nil {
		return nil // then it cannot be made again, which is said there
	}
	e.Host, e.seq, e.Started, e.Completed, e.Canceled, e.Failed = d.Host, d.Seq, d.Started, d.Completed, d.Canceled, d.Failed
	if d.Info != nil {
		e.Info = d.Info
	}
	return d.Params
}

// revive makes the task of e again and lets it wait. It reports false if that is
// impossible, or e is to be cancelled: then e is over.
func (m *Manager) revive(e *entry, params json.RawMessage, make func(string, json.RawMessage) (Task, error)) bool {
	if e.Status == CancelRequested {
		if e.Status = Canceled; e.Canceled.IsZero() {
			e.Canceled = m.now()
		}
		close(e.done)
		return false
	}
	t, err := make(e.Type, params)
	if err != nil {
		m.log.Error("task cannot go on after the restart", "task", e.ID, "type", e.Type, "err", err)
		e.Status, e.Failed = Failed, m.now()
		close(e.done)
		return false
	}
	e.task = t
	if e.Status == InProgress {
		e.Status, e.Started = Waiting, time.Time{}
	}
	return true
}

// keep stores e as it is now.
func (m *Manager) keep(e *entry) error {
	if m.storage == nil {
		return nil
	}
	m.keeping.Lock()
	defer m.keeping.Unlock()
	m.mu.Lock()
	s, t, begun := m.snapshot(e), e.task, e.begun
	m.mu.Unlock()
	d := details{Host: s.Host, Seq: e.seq, Started: s.Started, Completed: s.Completed, Canceled: s.Canceled, Failed: s.Failed}
	var err error
	if s.Info != nil {
		if d.Info, err = json.Marshal(s.Info); err != nil {
			return fmt.Errorf("store task %s: %w", s.ID, err)
		}
	}
	if t != nil && !(begun && isOnce(t)) {
		if d.Params, err = json.Marshal(t.Params()); err != nil {
			return fmt.Errorf("store task %s: %w", s.ID, err)
		}
	}
	text, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("store task %s: %w", s.ID, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), keepTime)
	defer cancel()
	return m.storage.PutTask(ctx, s.ID, s.Type, string(s.Status), s.Submitted, text)
}

// keepOrWarn is keep for a task that goes on whether it is stored or not: the
// next process would at worst do again what was done.
func (m *Manager) keepOrWarn(e *entry) { m.warn(e, m.keep(e)) }

func (m *Manager) warn(e *entry, err error) {
	if err != nil {
		m.log.Warn("the state of a task is not stored", "task", e.ID, "type", e.Type, "err", err)
	}
}

// watched runs the task of e and stores its progress now and then.
func (m *Manager) watched(ctx context.Context, e *entry) error {
	ended := make(chan error, 1)
	go func() { ended <- protect(ctx, e.task) }()
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			m.keepOrWarn(e)
		}
	}
}

// forget drops the oldest finished tasks beyond the limit.
func (m *Manager) forget() {
	m.mu.Lock()
	var ids []string
	for m.finished > m.maxFinished && m.order[0].Status.Final() {
		ids = append(ids, m.order[0].ID)
		delete(m.byID, m.order[0].ID)
		m.order = m.order[1:]
		m.finished--
	}
	m.mu.Unlock()
	if m.storage == nil || len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), keepTime)
	defer cancel()
	if err := m.storage.ForgetTasks(ctx, slices.Clip(ids)); err != nil {
		m.log.Warn("old tasks are not removed from the store", "tasks", len(ids), "err", err)
	}
}
