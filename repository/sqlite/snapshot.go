package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// While a snapshot is taken, by whatever process, no body file goes away: who
// takes it holds an exclusive lock on a file of the data folder, and the store
// removes bodies under a shared one. What it could not remove meanwhile goes
// later, at the latest at the next Open. The lock ends with the process.

const (
	snapshotLockName = "mailetd.snapshot"
	snapshotName     = "snapshot.tmp"
)

// keeper removes body files when no snapshot is being taken.
type keeper struct {
	lock *os.File

	mu   sync.Mutex
	kept []string // what was to be removed during a snapshot
}

// openKeeper also removes what a snapshot that was killed has left behind.
func openKeeper(dir string) (*keeper, error) {
	f, err := os.OpenFile(filepath.Join(dir, snapshotLockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of snapshots: %w", err)
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil { // else one is under way
		defer syscall.Flock(int(f.Fd()), syscall.LOCK_UN) //nolint:errcheck // cannot fail on an open file
		if err := removeCopy(filepath.Join(dir, snapshotName)); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return &keeper{lock: f}, nil
}

// removeCopy removes a copy of the database, whole or not.
func removeCopy(path string) error {
	for _, name := range []string{path, path + "-journal"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the rest of an earlier snapshot: %w", err)
		}
	}
	return nil
}

// lockWait bounds the wait for another snapshot.
const lockWait = 10 * time.Second

// retried is how many files that were kept are removed with each further one.
const retried = 16

// remove removes path and some that were kept before, or keeps it for later. The
// lock is of the whole process: so one removal happens at a time.
func (k *keeper) remove(files fileSystem, path string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := syscall.Flock(int(k.lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		k.kept = append(k.kept, path)
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock against snapshots: %w", err)
	}
	defer syscall.Flock(int(k.lock.Fd()), syscall.LOCK_UN) //nolint:errcheck // cannot fail on an open file
	err = files.remove(path)
	for range retried {
		n := len(k.kept)
		if n == 0 {
			break
		}
		if e := files.remove(k.kept[n-1]); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
		k.kept = k.kept[:n-1]
	}
	return err
}

// Snapshot shows the store in folder dir as it is at one moment: its database
// and every body file that the database names, one after another, under the
// names that they have in the folder. The store may be open, in this process or
// in another. visit must not keep the file. The database is copied beside the
// original first: there must be room for it.
func Snapshot(ctx context.Context, dir string, visit func(name string, f *os.File) error) error {
	dir, err := filepath.Abs(dir) // for the URLs of databases
	if err != nil {
		return err
	}
	original, err := os.Stat(filepath.Join(dir, databaseName))
	if err != nil {
		return fmt.Errorf("there is no store to take a snapshot of: %w", err)
	}
	lock, err := lockSnapshot(ctx, dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	copied := filepath.Join(dir, snapshotName)
	if err := removeCopy(copied); err != nil {
		return err
	}
	defer removeCopy(copied) //nolint:errcheck // the next Open or Snapshot tries again
	if err := copyDatabase(ctx, filepath.Join(dir, databaseName), copied); err != nil {
		return err
	}
	if err := sameOwner(original, copied, lock.Name()); err != nil {
		return err
	}
	if err := show(copied, databaseName, visit); err != nil {
		return err
	}
	return eachBody(ctx, copied, func(name string) error {
		in := filepath.Join(bodyFolderName, name)
		return show(filepath.Join(dir, in), in, visit)
	})
}

// sameOwner gives files that root has made to the owner of the database, who could
// not open them else.
func sameOwner(original fs.FileInfo, paths ...string) error {
	st, ok := original.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	for _, path := range paths {
		if err := os.Lchown(path, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return nil
}

// lockSnapshot waits for a removal that is under way, or a while for another
// snapshot.
func lockSnapshot(ctx context.Context, dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, snapshotLockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if errors.Is(err, syscall.EWOULDBLOCK) && ctx.Err() == nil {
			<-tick.C
			continue
		}
		return nil, errors.Join(fmt.Errorf("lock %s: %w; another backup may be under way", f.Name(), err), f.Close())
	}
}

func show(path, name string, visit func(string, *os.File) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	defer f.Close()
	return visit(name, f)
}

// roomForCopy returns an error when so many octets leave too little of the disk
// for the server, which needs some even to remove a mail.
func roomForCopy(need int64, free func() (uint64, error)) error {
	have, err := free()
	if err != nil {
		return nil //nolint:nilerr // some file systems do not tell: whoever writes will see
	}
	if want := uint64(need) + 2*defaultReserve; have < want {
		return fmt.Errorf("the disk has %d MiB left, and the copy of the database needs %d: %w", have>>20, want>>20, syscall.ENOSPC)
	}
	return nil
}

// copyDatabase writes the database at from, as it is at one moment, to the file
// to, which must not exist.
func copyDatabase(ctx context.Context, from, to string) error {
	if err := createPrivate(to); err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", dsn(from, "mode=rw&_busy_timeout=10000"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var need int64
	const size = "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
	if err := db.QueryRowContext(ctx, size).Scan(&need); err != nil {
		return fmt.Errorf("look at the size of the database: %w", err)
	}
	if err := roomForCopy(need, func() (uint64, error) { return freeSpace(filepath.Dir(to)) }); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	return nil
}

// eachBody visits the names of the body files that the database at path knows.
func eachBody(ctx context.Context, path string, visit func(name string) error) error {
	db, err := sql.Open("sqlite3", dsn(path, "mode=ro&immutable=1"))
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "SELECT DISTINCT path FROM message WHERE path IS NOT NULL")
	if err != nil {
		return fmt.Errorf("list body files: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return fmt.Errorf("list body files: %w", err)
		}
		if err := visit(name); err != nil {
			return err
		}
	}
	return rows.Err()
}
