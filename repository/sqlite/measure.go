package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// OnTransaction lets f be told from now on how long each transaction of the
// writer took. The writer waits for f.
func (s *Store) OnTransaction(f func(took time.Duration)) { s.told.Store(&f) }

// QueueState is what a queue holds.
type QueueState struct {
	Queue                  string
	Ready, Delayed, Leased int64
	Oldest                 time.Time // when what came first came into the queue; zero: it is empty
}

// QueueStates returns the state of every queue. It reads indexes only: a queue of
// a million items costs a tenth of a second.
func (s *Store) QueueStates(ctx context.Context) ([]QueueState, error) {
	names, err := s.Queues(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]QueueState, len(names))
	for i, name := range names {
		if out[i], err = s.queueState(ctx, name); err != nil {
			return nil, fmt.Errorf("state of queue %s: %w", name, err)
		}
	}
	return out, nil
}

// queueState counts. What came first has the smallest id, or else became ready
// first: what comes out of another queue keeps its id.
func (s *Store) queueState(ctx context.Context, queue string) (QueueState, error) {
	q := QueueState{Queue: queue}
	var first, ready *int64
	for _, part := range []struct {
		n       *int64
		columns string
		where   string
	}{
		{&q.Ready, "MIN(ready_at)", "INDEXED BY queue_item_ready WHERE queue = ? AND state = 0"},
		{&q.Delayed, "NULL", "INDEXED BY queue_item_delayed WHERE queue = ? AND state = 3"},
		{&q.Leased, "NULL", "INDEXED BY queue_item_leased WHERE state = 1 AND queue = ?"},
	} {
		var id, at *int64
		query := "SELECT COUNT(*), MIN(id), " + part.columns + " FROM queue_item " + part.where
		if err := s.read.QueryRowContext(ctx, query, queue).Scan(part.n, &id, &at); err != nil {
			return q, err
		}
		if id != nil && (first == nil || *id < *first) {
			first = id
		}
		if at != nil {
			ready = at
		}
	}
	if first == nil {
		return q, nil
	}
	since, err := column[int64](ctx, s.read, "SELECT COALESCE(since, enqueued_at) FROM queue_item WHERE id = ?", *first)
	if ready != nil {
		since = append(since, *ready)
	}
	if err == nil && len(since) > 0 { // it may have left meanwhile
		q.Oldest = s.w.times.wall(slices.Min(since))
	}
	return q, err
}

// Room is what the store takes on the disk, in octets.
type Room struct {
	Database int64
	Log      int64 // the write-ahead log
	Bodies   int64 // files of large messages; -1: there are too many to look at in time
	Free     int64 // what is left for the process
}

// Room looks at the files of the store. What there was no time for when ctx ends
// is no error.
func (s *Store) Room(ctx context.Context) (Room, error) {
	var r Room
	for name, n := range map[string]*int64{databaseName: &r.Database, databaseName + "-wal": &r.Log} {
		if info, err := os.Stat(filepath.Join(s.dir, name)); err == nil { // without opening it, which would drop its locks
			*n = info.Size()
		}
	}
	var err error
	if r.Bodies, err = folderBytes(ctx, s.bodies); err != nil {
		return r, fmt.Errorf("look at body files: %w", err)
	}
	free, err := s.room.free()
	if err != nil {
		return r, fmt.Errorf("free space: %w", err)
	}
	r.Free = int64(min(free, 1<<62))
	return r, nil
}

// folderPart is how many files are looked at between two looks at a context: so
// many are in memory, however large the folder is.
const folderPart = 1000

// folderBytes returns what the files in a folder hold, -1 when ctx ends before.
func folderBytes(ctx context.Context, path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	total := int64(0)
	for {
		if ctx.Err() != nil {
			return -1, nil
		}
		entries, err := f.ReadDir(folderPart)
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() { // else it was removed meanwhile
				total += info.Size()
			}
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
