package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// Bounds of one group of operations.
const (
	groupOps   = 256
	groupBytes = 16 << 20
)

// operation is one piece of work for the writer: a change, or a function.
type operation struct {
	change *change
	fn     func(*writer) error
	result chan error  // gets the result, when not nil
	done   func(error) // is told the result, when not nil
	always func()      // is called behind the transaction, whatever becomes of it
	err    error
}

// writer owns the connection that writes and everything that must fit to what is
// in the database: leases, counters, backlog marks. Only its goroutine uses it.
//
// An operation may be applied more than once before it is committed, so while
// it is applied it changes nothing but the database, and leaves what shall
// happen then in after, accepts, wakes, unlinks and undo.
type writer struct {
	s   *Store
	log *slog.Logger
	c   *conn
	st  [statementCount]*stmt
	now func() time.Time

	times *queueClock

	lastItem, lastMessage, lastMail int64 // ids given out; never used again
	lastTime                        int64 // of clock

	known    map[string]*queueState
	urls     map[repository.URL]int64
	leased   map[int64]*lease
	budget   int64
	used     int64
	reready  []*lease // cancelled items whose removal did not get through
	dirty    bool     // the current operation has written something
	scratch  scratch
	after    []func()
	undo     []func()
	accepts  []accept
	wakes    map[string]bool
	unlinks  []string
	wrote    bool // the current transaction has something to commit
	failing  bool // the last commit of something failed
	groups   int
	warned   time.Time
	sweep    chan string
	swept    chan struct{}
	finished chan struct{}
}

func newWriter(s *Store, c *conn, opts Options) (*writer, error) {
	w := &writer{s: s, log: s.log, c: c, now: opts.Now, times: newQueueClock(opts), budget: opts.MemoryBudget,
		known: map[string]*queueState{}, urls: map[repository.URL]int64{}, leased: map[int64]*lease{},
		wakes: map[string]bool{}, sweep: make(chan string, 1024), swept: make(chan struct{}), finished: make(chan struct{})}
	if w.now == nil {
		w.now = time.Now
	}
	if w.budget == 0 {
		w.budget = defaultBudget
	}
	for i, text := range statements {
		var err error
		if w.st[i], err = c.prepare(text); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// start begins the work; it ends when ops is closed and empty.
func (w *writer) start() {
	go func() {
		defer close(w.swept)
		for path := range w.sweep {
			w.unlink(path)
		}
	}()
	go func() {
		defer close(w.finished)
		w.run()
		close(w.sweep)
		<-w.swept
	}()
}

func (w *writer) close() error {
	err := w.c.exec("PRAGMA wal_checkpoint(TRUNCATE)")
	for _, st := range w.st {
		err = errors.Join(err, st.s.Close())
	}
	return errors.Join(err, w.c.close())
}

func (w *writer) run() {
	var group []*operation
	for op := range w.s.ops {
		group = w.gather(append(group[:0], op))
		began := time.Now()
		w.process(group)
		if tell := w.s.told.Load(); tell != nil {
			(*tell)(time.Since(began))
		}
		clear(group)
		w.watchLog()
	}
}

// gather adds what is waiting, up to the bounds of a group. It lets others run
// once before it looks: those that the last commit answered are about to hand
// in their next operation, and a larger group costs less for each.
func (w *writer) gather(group []*operation) []*operation {
	runtime.Gosched()
	size := 0
	for len(group) < groupOps && size < groupBytes {
		select {
		case op, ok := <-w.s.ops:
			if !ok {
				return group
			}
			if op.change != nil {
				size += op.change.size
			}
			group = append(group, op)
		default:
			return group
		}
	}
	return group
}

// process applies a group in one transaction and answers. An operation that
// spoils the transaction is taken out, and the others are applied again.
func (w *writer) process(group []*operation) {
	for _, op := range group {
		op.err = nil
	}
	todo := group
	for len(todo) > 0 {
		bad, err := w.attempt(todo)
		if err == nil {
			break
		}
		w.rollback()
		if bad < 0 {
			w.failing = true
			w.log.Error("commit to the store failed", "operations", len(todo), "err", err)
			for _, op := range todo {
				op.err = fmt.Errorf("commit: %w", err)
			}
			break
		}
		todo[bad].err = err
		rest := make([]*operation, 0, len(todo)-1)
		todo = append(append(rest, todo[:bad]...), todo[bad+1:]...)
	}
	w.settle(group)
}

// attempt applies the operations and commits. When that fails it returns the
// index of the operation to blame, -1 when it is none of them.
func (w *writer) attempt(group []*operation) (bad int, err error) {
	w.wrote = false
	w.watchClock()
	if _, err := w.st[stBegin].exec(); err != nil {
		return -1, err
	}
	if err := w.makeReadyAgain(); err != nil {
		return -1, err
	}
	for i, op := range group {
		undo, accepts := len(w.undo), len(w.accepts)
		after, unlinks := len(w.after), len(w.unlinks)
		w.dirty = false
		op.err = w.apply(op)
		if op.err == nil {
			continue
		}
		if w.dirty || !w.c.inTransaction() {
			return i, op.err
		}
		// It was refused before it wrote anything.
		w.undoFrom(undo)
		w.accepts, w.after, w.unlinks = w.accepts[:accepts], w.after[:after], w.unlinks[:unlinks]
	}
	if _, err := w.st[stCommit].exec(); err != nil {
		return -1, err
	}
	if w.wrote {
		w.failing = false
	}
	return 0, nil
}

func (w *writer) apply(op *operation) error {
	if op.change != nil {
		return w.applyChange(op.change)
	}
	return op.fn(w)
}

// write runs a statement that changes something.
func (w *writer) write(i int, args ...value) (int64, error) {
	w.dirty = true
	n, err := w.st[i].exec(args...)
	w.wrote = w.wrote || n > 0
	return n, err
}

func (w *writer) rollback() {
	if w.c.inTransaction() {
		if err := w.c.exec("ROLLBACK"); err != nil {
			w.log.Error("roll back", "err", err)
		}
	}
	w.undoFrom(0)
	w.accepts, w.after, w.unlinks = w.accepts[:0], w.after[:0], w.unlinks[:0]
	clear(w.wakes) // nothing became ready
}

func (w *writer) undoFrom(n int) {
	for i := len(w.undo) - 1; i >= n; i-- {
		w.undo[i]()
	}
	clear(w.undo[n:])
	w.undo = w.undo[:n]
}

// settle does what was to happen behind the commit, and answers.
func (w *writer) settle(group []*operation) {
	for _, f := range w.after {
		f()
	}
	for _, op := range group {
		if op.always != nil {
			op.always()
		}
	}
	w.s.stats.commit(w, len(group))
	for _, op := range group {
		if op.result != nil {
			op.result <- op.err
		}
		if op.done != nil {
			op.done(op.err)
		}
	}
	for _, a := range w.accepts {
		a.consumer.Accept(a.item)
	}
	for queue := range w.wakes {
		if q := w.known[queue]; q != nil && q.consumer != nil {
			q.consumer.Wake()
		}
	}
	for _, path := range w.unlinks {
		w.s.fresh.add(filepath.Base(path))
		select {
		case w.sweep <- path:
		default:
			w.unlink(path)
		}
	}
	clear(w.wakes)
	clear(w.after)
	clear(w.undo)
	clear(w.accepts)
	w.after, w.undo, w.accepts, w.unlinks = w.after[:0], w.undo[:0], w.accepts[:0], w.unlinks[:0]
}

// Commit applies c durably before it returns; see repository.Queues. A context
// that ends while the change is in the writer's hands does not stop it: the
// result is the true one. Errors: ErrNotLeased, ErrNotFound, ErrClosed.
func (s *Store) Commit(ctx context.Context, c repository.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ch, err := s.prepare(c)
	if err != nil {
		return err
	}
	op := &operation{change: ch, result: make(chan error, 1)}
	if err := s.send(ctx, op); err != nil {
		return err
	}
	return <-op.result
}

// CommitAsync applies c in the order of the calls; see repository.Queues. It
// waits while too much is waiting already. done is called by the writer, so it
// must not call the store; nil: nobody wants to know, an error is logged.
func (s *Store) CommitAsync(c repository.Change, done func(error)) {
	if done == nil {
		done = func(err error) {
			if err != nil {
				s.log.Error("change of the store failed", "err", err)
			}
		}
	}
	ch, err := s.prepare(c)
	if err != nil {
		done(err)
		return
	}
	if err := s.send(context.Background(), &operation{change: ch, done: done}); err != nil {
		done(err)
	}
}

// scratch is what applying one change needs to remember.
type scratch struct {
	seen    []seenMessage
	release []int64
}

// seenMessage is a message that this change has a row for already.
type seenMessage struct {
	header *byte
	length int
	body   bodyKey
	ref    *storedRef
}

type accept struct {
	consumer repository.Consumer
	item     *repository.Item
	mail     *container.Mail // as in the entry
}
