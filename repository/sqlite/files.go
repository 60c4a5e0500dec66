package sqlite

import (
	"errors"
	"io"
	"os"
	"sync"
)

// fileSystem is what body files need of a file system. There is one; tests put
// another in front of it, which fails, or loses what was not made durable.
type fileSystem interface {
	create(path string) (bodyFile, error)
	rename(from, to string) error
	remove(path string) error
	syncFolder(path string) error // makes the names in a folder durable
}

// bodyFile is a file that is being written; see os.File.
type bodyFile interface {
	io.Writer
	Name() string
	Sync() error
	Close() error
}

// disk is the file system of the machine.
type disk struct{}

func (disk) create(path string) (bodyFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err // not f: a nil *os.File would be a bodyFile
	}
	return f, nil
}

func (disk) rename(from, to string) error { return os.Rename(from, to) }
func (disk) remove(path string) error     { return os.Remove(path) }

func (disk) syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// freshFiles are the files that no row names, but that are in hand: a row may
// soon name them, or they are being removed.
type freshFiles struct {
	mu    sync.Mutex
	names map[string]bool
}

func (f *freshFiles) add(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names[name] = true
}

func (f *freshFiles) remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.names, name)
}

func (f *freshFiles) has(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.names[name]
}
