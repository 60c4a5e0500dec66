package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// frailDisk is a disk of which a power cut leaves only what was made durable:
// of a file what was there at its last Sync, of a folder the names at its last
// syncFolder. What is removed is taken to be gone at once, the worst case. A
// step can be made to fail.
type frailDisk struct {
	disk
	mu      sync.Mutex
	names   map[string]*frailFile // as the process sees them
	durable map[string]*frailFile // as they are after a power cut
	steps   []string
	fail    int               // the number of the step that fails; 0: none
	before  func(step string) // called before each step, when not nil
}

type frailFile struct {
	bodyFile
	disk    *frailDisk
	written bytes.Buffer
	synced  int
}

func newFrailDisk(s *Store) *frailDisk {
	d := &frailDisk{names: map[string]*frailFile{}, durable: map[string]*frailFile{}}
	s.files = d
	return d
}

// step notes a step and tells whether it fails.
func (d *frailDisk) step(name string) error {
	if d.before != nil {
		d.before(name)
	}
	d.steps = append(d.steps, name)
	if len(d.steps) == d.fail {
		return fmt.Errorf("%s: %w", name, syscall.ENOSPC)
	}
	return nil
}

func (d *frailDisk) create(path string) (bodyFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("create"); err != nil {
		return nil, err
	}
	f, err := d.disk.create(path)
	if err != nil {
		return nil, err
	}
	d.names[path] = &frailFile{bodyFile: f, disk: d}
	return d.names[path], nil
}

func (f *frailFile) Write(p []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.step("write"); err != nil {
		return 0, err
	}
	f.written.Write(p)
	return f.bodyFile.Write(p)
}

func (f *frailFile) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.step("sync file"); err != nil {
		return err
	}
	f.synced = f.written.Len()
	return nil
}

func (f *frailFile) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return errors.Join(f.disk.step("close"), f.bodyFile.Close())
}

func (d *frailDisk) rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("rename"); err != nil {
		return err
	}
	d.names[to] = d.names[from]
	delete(d.names, from)
	return d.disk.rename(from, to)
}

func (d *frailDisk) remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("remove"); err != nil {
		return err
	}
	delete(d.names, path)
	maps.DeleteFunc(d.durable, func(name string, _ *frailFile) bool { return name == path })
	return d.disk.remove(path)
}

func (d *frailDisk) syncFolder(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("sync folder"); err != nil {
		return err
	}
	d.durable = maps.Clone(d.names)
	return nil
}

// cut makes a data folder as a power cut would leave it now. d.mu is held.
func (d *frailDisk) cut(t *testing.T, s *Store) string {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, bodyFolderName), 0o700))
	for path, f := range d.durable {
		must(t, os.WriteFile(filepath.Join(dir, bodyFolderName, filepath.Base(path)), f.written.Bytes()[:f.synced], 0o600))
	}
	// SQLite flushes its log at every commit: TestSynchronous. Reading the files
	// drops its locks, which no other process wants here.
	for _, name := range []string{databaseName, databaseName + "-wal"} {
		data, err := os.ReadFile(filepath.Join(s.dir, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return dir
}

// TestPowerCut cuts the power before every step that large bodies take: what was
// promised is there and whole, and nothing else is.
func TestPowerCut(t *testing.T) {
	s := openTest(t, t.TempDir())
	d := newFrailDisk(s)
	type moment struct{ dir, step, promised string }
	var moments []moment
	promised := map[string]bool{}
	snapshot := func(step string) {
		moments = append(moments, moment{d.cut(t, s), step, strings.Join(slices.Sorted(maps.Keys(promised)), " ")})
	}
	d.before = snapshot
	for _, name := range []string{"streamed", "converted"} {
		body := container.Body(container.BytesBody(make([]byte, 200_000)))
		if name == "streamed" {
			body = largeBody(t, s, 200_000)
		}
		put(t, s, "q", testMail(name, body))
		promised[name] = true
		d.mu.Lock()
		snapshot("behind the commit of " + name)
		d.mu.Unlock()
	}
	for _, it := range leaseAll(t, s, "q") {
		d.mu.Lock()
		delete(promised, it.Mail.Name)
		d.mu.Unlock()
		left := len(files(t, s))
		must(t, s.Commit(context.Background(), repository.Change{Done: it}))
		waitFor(t, "the file to be removed", func() bool { return len(files(t, s)) < left })
	}
	d.mu.Lock()
	d.before = nil
	d.mu.Unlock()
	for i, m := range moments {
		after := openTest(t, m.dir)
		wantSound(t, after)
		found := map[string]bool{}
		for _, it := range leaseAll(t, after, "q") {
			found[it.Mail.Name] = true
			if n, err := it.Mail.Message.WriteTo(io.Discard); err != nil || n != it.Mail.Message.Size() {
				t.Errorf("cut %d, before %s: %s has %d octets of %d, %v", i, m.step, it.Mail.Name, n, it.Mail.Message.Size(), err)
			}
		}
		if got := strings.Join(slices.Sorted(maps.Keys(found)), " "); got != m.promised {
			t.Errorf("cut %d, before %s: got mails %q, want %q", i, m.step, got, m.promised)
		}
	}
	if got := strings.Join(slices.Compact(d.steps), ", "); !strings.HasPrefix(got, "create, write, sync file, close, rename, sync folder, create") {
		t.Errorf("got steps %s", got)
	}
}

// TestFileSteps lets every step of the intake of a large body fail: the error
// says so, nothing is left behind, and the next body is fine.
func TestFileSteps(t *testing.T) {
	s := openTest(t, t.TempDir())
	d := newFrailDisk(s)
	largeBody(t, s, 400_000)
	d.mu.Lock()
	steps := slices.Clone(d.steps)
	d.mu.Unlock()
	// Bodies that nobody holds are removed by and by: not while steps are counted.
	swept := func(behind string) {
		waitFor(t, "forgotten bodies to be removed behind "+behind, func() bool {
			runtime.GC()
			s.fresh.mu.Lock()
			defer s.fresh.mu.Unlock()
			return len(s.fresh.names) == 0 && len(files(t, s)) == 0
		})
	}
	swept("the first body")
	for i, step := range steps {
		d.mu.Lock()
		d.steps, d.fail = nil, i+1
		d.mu.Unlock()
		w := s.NewBody()
		var err error
		for range 40 {
			if _, err = w.Write(make([]byte, 10_000)); err != nil {
				break
			}
		}
		if err == nil {
			_, err = w.Finish()
		}
		w.Abort()
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "message body") {
			t.Errorf("step %d, %s: got error %v", i, step, err)
		}
		d.mu.Lock()
		d.fail = 0
		d.mu.Unlock()
		swept(step)
		put(t, s, "q", testMail("m", largeBody(t, s, 400_000)))
		must(t, s.Commit(context.Background(), repository.Change{Done: leaseAll(t, s, "q")[0]}))
		wantEmpty(t, s)
		swept("the next body")
	}
}

// TestIntakeMemory: a body of 50 MB goes in and comes out without being in memory.
func TestIntakeMemory(t *testing.T) {
	s := openTest(t, t.TempDir())
	const size, part, bound = 50 << 20, 32 << 10, 2 << 20
	chunk := make([]byte, part)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := s.NewBody()
	for range size / part {
		_, err := w.Write(chunk)
		must(t, err)
	}
	body, err := w.Finish()
	must(t, err)
	put(t, s, "q", testMail("m", body))
	it := leaseAll(t, s, "q")[0]
	n, err := it.Mail.Message.WriteTo(io.Discard)
	must(t, err)
	must(t, s.Commit(context.Background(), repository.Change{Done: it}))
	runtime.ReadMemStats(&after)
	// All that was allocated, not what is left of it: no garbage collection can
	// make this look better.
	if got := after.TotalAlloc - before.TotalAlloc; got > bound || n < size {
		t.Errorf("%d octets in and %d out took %d octets of memory, want at most %d", size, n, got, bound)
	}
}
