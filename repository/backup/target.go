package backup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// storeName is the file that makes a data folder one.
const storeName = "mailetd.db"

// target is the folder that an archive becomes.
type target struct {
	dir  string
	part string      // folder that takes the files until all are there
	was  fs.FileInfo // of dir, nil when it is missing
	// inside is set when part is below dir, because dir cannot be replaced.
	inside bool
}

// newTarget looks at dir, which a symbolic link may name, and makes part.
func newTarget(dir string) (*target, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	} else if !gone(err) {
		return nil, err
	}
	t := &target{dir: dir}
	if t.was, err = os.Stat(dir); err != nil && !gone(err) {
		return nil, err
	}
	if t.was != nil {
		if err := t.lookInto(); err != nil {
			return nil, err
		}
	}
	if t.inside {
		t.part, err = os.MkdirTemp(dir, "restore-")
		return t, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	t.part, err = os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".restore-")
	return t, err
}

// lookInto finds out whether dir is empty and whether it can be replaced. A mount
// point has another name for a moment only if it is none; nor can folders be
// replaced whose parent we may not write.
func (t *target) lookInto() error {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return err
	}
	top := slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "lost+found" }) // of a file system
	if len(entries) > 1 || len(entries) == 1 && !top {
		return errors.New("the folder is not empty; move away what is there, or name another one with -data")
	}
	probe := t.dir + ".restore"
	if top || os.Rename(t.dir, probe) != nil {
		t.inside = true
		return nil
	}
	return os.Rename(probe, t.dir)
}

// finish makes dir of part.
func (t *target) finish() error {
	if err := t.owners(); err != nil {
		return err
	}
	if t.inside {
		return t.fill()
	}
	if err := os.Remove(t.dir); err != nil && !gone(err) {
		return err
	}
	if err := os.Rename(t.part, t.dir); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(t.dir))
}

// fill moves everything into dir, the database last: without it nothing else
// counts. What was moved goes away again when something cannot be.
func (t *target) fill() (err error) {
	entries, err := os.ReadDir(t.part)
	if err != nil {
		return err
	}
	var moved []string
	defer func() {
		for _, path := range moved {
			if err != nil {
				err = errors.Join(err, os.RemoveAll(path))
			}
		}
	}()
	names := []string{}
	for _, e := range entries {
		if e.Name() != storeName {
			names = append(names, e.Name())
		}
	}
	for _, name := range append(names, storeName) {
		to := filepath.Join(t.dir, name)
		if err := os.Rename(filepath.Join(t.part, name), to); err != nil {
			return err
		}
		moved = append(moved, to)
	}
	return errors.Join(os.Remove(t.part), syncFolder(t.dir))
}

// owners gives the folders that the archive says nothing about to the owner of the
// store, and the data folder the owner and mode that it had. Only root can.
func (t *target) owners() error {
	store, err := os.Lstat(filepath.Join(t.part, storeName))
	if err != nil {
		return err
	}
	top := store
	if t.was != nil {
		if err := os.Chmod(t.part, t.was.Mode().Perm()); err != nil {
			return err
		}
		top = t.was
	}
	for path, as := range map[string]fs.FileInfo{t.part: top, filepath.Join(t.part, "bodies"): store} {
		st, ok := as.Sys().(*syscall.Stat_t)
		if !ok || os.Geteuid() != 0 {
			continue
		}
		if err := os.Lchown(path, int(st.Uid), int(st.Gid)); err != nil && !gone(err) {
			return err
		}
	}
	return nil
}
