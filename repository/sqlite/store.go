package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/repository"
)

var (
	_ repository.Queues       = (*Store)(nil)
	_ repository.QueueAdmin   = (*Store)(nil)
	_ repository.Repositories = (*Store)(nil)
	_ local.Storage           = (*Store)(nil)
)

// Options of a store. The zero value is good.
type Options struct {
	// Logger gets what an operator should know; nil: slog.Default.
	Logger *slog.Logger
	// MemoryBudget bounds, in octets, the message bodies of items that were
	// handed over and not done yet; beyond it bodies are read from the database
	// when wanted. 0: 32 MiB.
	MemoryBudget int64
	// Reserve is how many octets of free space new mails leave on the disk: the
	// store needs some to get rid of what it has. 0: 32 MiB; less: none.
	Reserve int64
	// Now is the clock, for tests; nil: time.Now.
	Now func() time.Time
	// Steady is a clock beside Now that nobody sets, for tests; nil: that of the
	// machine, or Now when there is one.
	Steady func() time.Duration
}

// Store is an open data folder. Its methods may be called by several goroutines
// at once.
type Store struct {
	log    *slog.Logger
	dir    string
	bodies string // folder
	lock   *os.File

	files    fileSystem
	room     room
	buffers  bodyBuffers
	fresh    *freshFiles
	keeper   *keeper
	read     *sql.DB
	readBody *sql.Stmt
	deniedBy *sql.Stmt
	locals   localCache
	said     saidCache

	w       *writer
	ops     chan *operation
	sending sync.RWMutex // held for reading while something is put into ops
	closed  bool
	stats   counters
	told    atomic.Pointer[func(took time.Duration)] // of each transaction

	unburiedMu sync.Mutex
	unburied   []unburied

	closing  sync.Once
	closeErr error
}

const (
	pageSize       = 8192
	walPages       = 16 << 20 / pageSize
	waitingMax     = 1024
	readers        = 4
	defaultBudget  = 32 << 20
	defaultReserve = 32 << 20
	databaseName   = "mailetd.db"
	lockName       = "mailetd.lock"
	bodyFolderName = "bodies"
)

// Open opens the store in folder dir, which is made if it is missing, and takes
// it for this process. What a process that died held leased becomes ready
// again, and body files that no mail refers to are removed.
func Open(dir string, opts Options) (*Store, error) {
	s, err := open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("open store in %s: %w", dir, err)
	}
	return s, nil
}

func open(dir string, opts Options) (_ *Store, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{log: opts.Logger, dir: dir, bodies: filepath.Join(dir, bodyFolderName),
		files: disk{}, fresh: &freshFiles{names: map[string]bool{}}, ops: make(chan *operation, waitingMax)}
	s.room.free = func() (uint64, error) { return freeSpace(s.dir) }
	if s.room.reserve = defaultReserve; opts.Reserve != 0 {
		s.room.reserve = uint64(max(opts.Reserve, 0))
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if err := os.MkdirAll(s.bodies, 0o700); err != nil {
		return nil, err
	}
	if s.lock, err = lockFolder(filepath.Join(dir, lockName)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.lock.Close()
		}
	}()
	if s.keeper, err = openKeeper(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.keeper.lock.Close()
		}
	}()
	c, err := openDatabase(filepath.Join(dir, databaseName))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	return s, s.start(c, opts)
}

// openDatabase opens the connection that writes and brings the schema up to
// date.
func openDatabase(path string) (_ *conn, err error) {
	// SQLite would let others read it, if the folder does.
	if err := createPrivate(path); err != nil {
		return nil, err
	}
	c, err := openConn(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			c.close()
			err = fmt.Errorf("%s: %w", path, err)
		}
	}()
	setup := fmt.Sprintf(`PRAGMA page_size = %d; PRAGMA auto_vacuum = NONE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
		PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %d; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;
		PRAGMA foreign_keys = OFF`, pageSize, walPages, 64<<20)
	if err := c.exec(setup); err != nil {
		return nil, err
	}
	// A file system without shared memory would leave WAL mode off, silently.
	mode := ""
	if err := c.query("PRAGMA journal_mode", func(row []value) error { mode = asText(row[0]); return nil }); err != nil {
		return nil, err
	}
	level, err := c.pragma("synchronous")
	if err != nil {
		return nil, err
	}
	if mode != "wal" || level != 2 {
		return nil, fmt.Errorf("journal mode is %q and synchronous %d, want wal and 2: the data folder needs a local file system", mode, level)
	}
	return c, migrate(c, migrations)
}

// createPrivate makes an empty file for the database, which its owner alone can
// read, unless there is a file. SQLite gives the mode to the log as well.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// start makes everything that lives as long as the store does.
func (s *Store) start(c *conn, opts Options) (err error) {
	if s.w, err = newWriter(s, c, opts); err != nil {
		return err
	}
	if err := s.w.recover(); err != nil {
		return fmt.Errorf("take back what was leased: %w", err)
	}
	if err := s.w.expireResponses(); err != nil {
		return fmt.Errorf("forget answers that are long over: %w", err)
	}
	if err := s.openReaders(); err != nil {
		return err
	}
	if _, err := s.housekeep(context.Background()); err != nil {
		s.read.Close()
		return err
	}
	if err := errors.Join(s.files.syncFolder(s.dir), s.files.syncFolder(filepath.Dir(s.dir))); err != nil {
		s.read.Close()
		return fmt.Errorf("make data folder durable: %w", err)
	}
	s.w.start()
	return nil
}

func (s *Store) openReaders() (err error) {
	path := filepath.Join(s.dir, databaseName)
	s.read, err = sql.Open("sqlite3", dsn(path, "mode=ro&_query_only=1&_busy_timeout=10000"))
	if err != nil {
		return err
	}
	n := max(readers, runtime.GOMAXPROCS(0))
	s.read.SetMaxOpenConns(n)
	s.read.SetMaxIdleConns(n)
	s.readBody, err = s.read.Prepare("SELECT data FROM message WHERE id = ?")
	if err == nil {
		s.deniedBy, err = s.read.Prepare(deniedBy)
	}
	if err != nil {
		s.read.Close()
	}
	return err
}

// Close takes no more work, finishes what was handed in, writes everything
// into the database file and gives the folder free. When ctx ends before that,
// Close returns and the rest happens at the next Open. Leased items stay leased:
// release what was not begun before closing.
func (s *Store) Close(ctx context.Context) error {
	s.closing.Do(func() { s.closeErr = s.close(ctx) })
	return s.closeErr
}

func (s *Store) close(ctx context.Context) error {
	// Those that wait for a place in front of the writer get it first. When the
	// disk hangs nobody does: then this goroutine ends with the process.
	go func() {
		s.sending.Lock()
		defer s.sending.Unlock()
		s.closed = true
		close(s.ops)
	}()
	select {
	case <-s.w.finished:
	case <-ctx.Done():
		return fmt.Errorf("close store: %w", ctx.Err())
	}
	err := errors.Join(s.readBody.Close(), s.deniedBy.Close(), s.read.Close())
	err = errors.Join(err, s.w.close(), s.keeper.lock.Close(), s.lock.Close())
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// send hands op to the writer. It waits for a place; ctx ends only that wait.
func (s *Store) send(ctx context.Context, op *operation) error {
	s.sending.RLock()
	defer s.sending.RUnlock()
	if s.closed {
		return repository.ErrClosed
	}
	select {
	case s.ops <- op:
		return nil
	default:
	}
	select {
	case s.ops <- op:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do lets the writer run fn inside its transaction, and returns what became of
// it. fn may run more than once: what it does besides SQL must be undone or
// repeatable, see writer.
func (s *Store) do(ctx context.Context, fn func(*writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	op := &operation{fn: fn, result: make(chan error, 1)}
	if err := s.send(ctx, op); err != nil {
		return err
	}
	return <-op.result
}
