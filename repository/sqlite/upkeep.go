package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	logMax     = 256 << 20 // octets of write-ahead log that are too much
	watchEvery = 64        // groups between two looks at it
	warnEvery  = time.Minute
)

// Stats are figures for metrics and tests.
type Stats struct {
	Commits    int64 // transactions
	Operations int64 // changes and other work in them
	Waiting    int   // operations in front of the writer
	Leased     int64 // items in the hands of this process
	Memory     int64 // octets of message held for them
	LogBytes   int64 // size of the write-ahead log when it was looked at last
}

type counters struct{ commits, operations, leased, memory, logBytes atomic.Int64 }

func (c *counters) commit(w *writer, n int) {
	c.commits.Add(1)
	c.operations.Add(int64(n))
	c.leased.Store(int64(len(w.leased)))
	c.memory.Store(w.used)
}

// Stats returns the figures of now. It costs nothing.
func (s *Store) Stats() Stats {
	return Stats{Commits: s.stats.commits.Load(), Operations: s.stats.operations.Load(), Waiting: len(s.ops),
		Leased: s.stats.leased.Load(), Memory: s.stats.memory.Load(), LogBytes: s.stats.logBytes.Load()}
}

// Ping reports whether the store can be read and written and has room for new
// mails, for the health check. While the last commit has failed it tries a write of its own.
func (s *Store) Ping(ctx context.Context) error {
	op := &operation{result: make(chan error, 1), fn: func(w *writer) error {
		if !w.failing {
			return nil
		}
		w.dirty, w.wrote = true, true
		return w.c.exec(fmt.Sprintf("PRAGMA application_id = %d", applicationID)) // writes, though it is the same
	}}
	if err := s.send(ctx, op); err != nil {
		return fmt.Errorf("ping store: %w", err)
	}
	select {
	case err := <-op.result:
		if err != nil {
			return fmt.Errorf("write to store: %w", err)
		}
	case <-ctx.Done():
		return fmt.Errorf("the writer of the store does not answer: %w", ctx.Err())
	}
	var one int
	if err := s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM queue").Scan(&one); err != nil {
		return fmt.Errorf("read from store: %w", err)
	}
	return s.room.check()
}

// watchLog looks at the size of the write-ahead log now and then. A reader that
// takes its time keeps it from being used again from the start.
func (w *writer) watchLog() {
	if w.groups++; w.groups%watchEvery != 0 {
		return
	}
	w.checkLog(logMax)
}

// checkLog writes the log back by force when it is larger than limit.
func (w *writer) checkLog(limit int64) {
	path := filepath.Join(w.s.dir, databaseName+"-wal")
	info, err := os.Stat(path) // not opened: closing it would drop SQLite's locks
	if err != nil {
		return
	}
	w.s.stats.logBytes.Store(info.Size())
	if info.Size() <= limit {
		return
	}
	busy := int64(1)
	// A short wait: nobody can commit meanwhile.
	err = errors.Join(w.c.exec("PRAGMA busy_timeout = 100"), w.c.query("PRAGMA wal_checkpoint(TRUNCATE)", func(row []value) error {
		busy = asInt(row[0])
		return nil
	}), w.c.exec("PRAGMA busy_timeout = 10000"))
	if err == nil && busy == 0 {
		w.s.stats.logBytes.Store(0)
		return
	}
	if now := time.Now(); now.Sub(w.warned) > warnEvery {
		w.warned = now
		w.log.Warn("the write-ahead log of the store grows: a long read holds it, or the disk is in trouble", "bytes", info.Size(), "err", err)
	}
}

// unlink removes a body file that has lost its row.
func (w *writer) unlink(path string) {
	defer w.s.fresh.remove(filepath.Base(path))
	if err := w.s.keeper.remove(w.s.files, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.log.Warn("remove body file; the next start tries again", "err", err)
	}
}

// Housekeep removes body files that no mail refers to and no intake is about to
// use, and returns their number. Open does it too; while the store works there
// is nothing to be found, unless files could not be removed before.
func (s *Store) Housekeep(ctx context.Context) (int, error) {
	// Files of rows that the writer is removing now are its business.
	if err := s.do(ctx, func(*writer) error { return nil }); err != nil {
		return 0, err
	}
	return s.housekeep(ctx)
}

func (s *Store) housekeep(ctx context.Context) (int, error) {
	entries, err := os.ReadDir(s.bodies)
	if err != nil {
		return 0, fmt.Errorf("look for unused body files: %w", err)
	}
	removed := 0
	for _, e := range entries {
		name := e.Name()
		// In this order: a file that is fresh no more has its row by now.
		if !e.Type().IsRegular() || s.fresh.has(name) {
			continue
		}
		used, err := column[int64](ctx, s.read, "SELECT 1 FROM message INDEXED BY message_path WHERE path = ? LIMIT 1", name)
		if err != nil {
			return removed, fmt.Errorf("look for unused body files: %w", err)
		}
		if len(used) > 0 {
			continue
		}
		if err := s.keeper.remove(s.files, filepath.Join(s.bodies, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, fmt.Errorf("remove unused body file: %w", err)
		}
		removed++
	}
	if removed > 0 {
		s.log.Info("removed unused body files", "files", removed)
	}
	return removed, nil
}

// Check looks for contradictions in the store and returns one line for each: a
// message that no mail refers to, a mail without message, a body without file, a
// file without body, damage that SQLite finds. It reads everything, in one go.
func (s *Store) Check(ctx context.Context) ([]string, error) {
	checks := []string{
		`SELECT 'message ' || id || ' has no mail' FROM message AS m WHERE NOT EXISTS (SELECT 1 FROM queue_item WHERE message = m.id)
			AND NOT EXISTS (SELECT 1 FROM repository_mail WHERE message = m.id) AND NOT EXISTS (SELECT 1 FROM message WHERE base = m.id)`,
		`SELECT 'item ' || id || ' has no message' FROM queue_item AS q WHERE NOT EXISTS (SELECT 1 FROM message WHERE id = q.message)`,
		`SELECT 'repository mail ' || id || ' has no message' FROM repository_mail AS r WHERE NOT EXISTS (SELECT 1 FROM message WHERE id = r.message)`,
		`SELECT 'message ' || id || ' has no base' FROM message AS m WHERE base IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM message AS b WHERE b.id = m.base AND b.base IS NULL AND b.size = m.size)`,
		`SELECT 'message ' || id || ' has not exactly one body' FROM message WHERE (base IS NOT NULL) + (data IS NOT NULL) + (path IS NOT NULL) <> 1`,
		`SELECT 'message ' || id || ' has ' || LENGTH(data) || ' octets of ' || size FROM message WHERE LENGTH(data) <> size`,
		`SELECT 'body file ' || path || ' is used by ' || COUNT(*) || ' messages' FROM message WHERE path IS NOT NULL GROUP BY path HAVING COUNT(*) > 1`,
		`SELECT 'database: ' || integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'`,
	}
	var out []string
	for _, q := range checks {
		list, err := column[string](ctx, s.read, q)
		if err != nil {
			return out, fmt.Errorf("check store: %w", err)
		}
		out = append(out, list...)
	}
	files, err := s.checkFiles(ctx)
	return append(out, files...), err
}

func (s *Store) checkFiles(ctx context.Context) (out []string, err error) {
	rows, err := column[string](ctx, s.read, "SELECT path || ' ' || size FROM message WHERE path IS NOT NULL")
	if err != nil {
		return nil, fmt.Errorf("check store: %w", err)
	}
	used := map[string]bool{}
	for _, row := range rows {
		name, size, _ := strings.Cut(row, " ")
		used[name] = true
		info, err := os.Stat(filepath.Join(s.bodies, name))
		switch {
		case err != nil:
			out = append(out, fmt.Sprintf("body file %s: %v", name, err))
		case strconv.FormatInt(info.Size(), 10) != size:
			out = append(out, fmt.Sprintf("body file %s has %d octets of %s", name, info.Size(), size))
		}
	}
	entries, err := os.ReadDir(s.bodies)
	if err != nil {
		return out, fmt.Errorf("check store: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); !used[name] && !s.fresh.has(name) && !strings.HasSuffix(name, tmpSuffix) {
			out = append(out, "body file "+name+" has no message")
		}
	}
	return out, nil
}
