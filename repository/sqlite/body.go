package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

const (
	// inlineLimit is the largest body kept in memory at intake, and in the row.
	inlineLimit = 128 << 10
	firstBuffer = 16 << 10
)

// bodyBuffers are buffers of firstBuffer octets; most bodies fit in one.
type bodyBuffers struct{ pool sync.Pool }

func (p *bodyBuffers) get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, firstBuffer)
}

func (p *bodyBuffers) put(b []byte) {
	if cap(b) == firstBuffer {
		p.pool.Put(&b)
	}
}

// bodyWriter takes in a body: memory first, a file beyond inlineLimit.
type bodyWriter struct {
	store  *Store
	buf    []byte
	file   bodyFile
	size   int64
	err    error
	over   bool
	inside bool // it comes from a mail that is here
}

// NewBody begins the intake of a body; see repository.BodyWriter. At most
// 128 KiB of it are in memory, whatever its size.
func (s *Store) NewBody() repository.BodyWriter {
	return &bodyWriter{store: s, buf: s.buffers.get()}
}

// Write implements io.Writer. After an error every call returns that error.
func (w *bodyWriter) Write(p []byte) (int, error) {
	switch {
	case w.over:
		return 0, errors.New("write to a body that is finished")
	case w.err != nil:
		return 0, w.err
	}
	if w.file == nil && len(w.buf)+len(p) > inlineLimit {
		if w.err = w.spill(); w.err != nil {
			return 0, w.err
		}
	}
	w.size += int64(len(p))
	if w.file == nil {
		w.grow(len(p))
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if len(w.buf)+len(p) <= cap(w.buf) {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if w.err = w.mayWrite(); w.err == nil {
		w.err = w.flush()
	}
	if w.err == nil {
		if len(p) < cap(w.buf) {
			w.buf = append(w.buf, p...)
		} else if _, err := w.file.Write(p); err != nil {
			w.err = fmt.Errorf("write message body: %w", err)
		}
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// grow makes room for n more octets, doubling up to inlineLimit.
func (w *bodyWriter) grow(n int) {
	size := cap(w.buf)
	if len(w.buf)+n <= size {
		return
	}
	for size < len(w.buf)+n {
		size *= 2
	}
	next := append(make([]byte, 0, min(size, inlineLimit)), w.buf...)
	w.store.buffers.put(w.buf)
	w.buf = next
}

// spill moves what is in memory to a new file, and goes on there.
func (w *bodyWriter) spill() error {
	if err := w.mayWrite(); err != nil {
		return err
	}
	name := filepath.Join(w.store.bodies, rand.Text()+tmpSuffix)
	w.store.fresh.add(filepath.Base(name))
	f, err := w.store.files.create(name)
	if err != nil {
		w.store.fresh.remove(filepath.Base(name))
		return fmt.Errorf("create file for message body: %w", err)
	}
	w.file = f
	if err := w.flush(); err != nil {
		return err
	}
	w.store.buffers.put(w.buf)
	w.buf = make([]byte, 0, 32<<10)
	return nil
}

// mayWrite returns an error when the rest of the disk is not for this body.
func (w *bodyWriter) mayWrite() error {
	if w.inside {
		return nil
	}
	if err := w.store.room.check(); err != nil {
		return fmt.Errorf("store message body: %w", err)
	}
	return nil
}

func (w *bodyWriter) flush() error {
	if _, err := w.file.Write(w.buf); err != nil {
		return fmt.Errorf("write message body: %w", err)
	}
	w.buf = w.buf[:0]
	return nil
}

// Finish returns the body. A large one is on disk then, with its name.
func (w *bodyWriter) Finish() (container.Body, error) {
	if w.over {
		return nil, errors.New("body is finished already")
	}
	if w.err != nil {
		w.Abort()
		return nil, w.err
	}
	if w.file != nil {
		return w.finishFile()
	}
	w.over = true
	b := w.buf
	w.buf = nil
	if cap(b)-len(b) > cap(b)/4 {
		exact := make([]byte, len(b))
		copy(exact, b)
		w.store.buffers.put(b)
		b = exact
	}
	return container.BytesBody(b), nil
}

func (w *bodyWriter) finishFile() (container.Body, error) {
	err := w.flush()
	if err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		w.Abort()
		return nil, fmt.Errorf("make message body durable: %w", err)
	}
	tmp := w.file.Name()
	path := tmp[:len(tmp)-len(tmpSuffix)]
	w.store.fresh.add(filepath.Base(path))
	err = w.file.Close()
	if err == nil {
		err = w.store.files.rename(tmp, path)
	}
	if err == nil {
		err = w.store.files.syncFolder(w.store.bodies)
	}
	if err != nil {
		w.store.fresh.remove(filepath.Base(path))
		_ = w.store.files.remove(path) // whichever of the two names it has
		w.Abort()
		return nil, fmt.Errorf("make message body durable: %w", err)
	}
	w.store.fresh.remove(filepath.Base(tmp))
	w.over, w.buf, w.file = true, nil, nil
	return w.store.freshBody(path, w.size), nil
}

// Abort throws away what was written.
func (w *bodyWriter) Abort() {
	if w.over {
		return
	}
	w.over = true
	w.store.buffers.put(w.buf)
	w.buf = nil
	if w.file != nil {
		name := w.file.Name()
		// The file is going away: what closing it says does not matter. One that
		// cannot be removed now is removed at the next start.
		_ = w.file.Close()
		_ = w.store.files.remove(name)
		w.store.fresh.remove(filepath.Base(name))
		w.file = nil
	}
}

const tmpSuffix = ".tmp"

// fileBody is a body in a file of the store. row is the message row that has
// it, 0 while there is none.
type fileBody struct {
	store *Store
	path  string
	size  int64
	row   *atomic.Int64
}

// freshBody returns a body that no row has yet. When it is dropped without
// having got one, because the change failed or was never made, so is its file.
func (s *Store) freshBody(path string, size int64) *fileBody {
	b := &fileBody{store: s, path: path, size: size, row: new(atomic.Int64)}
	row, fresh, files := b.row, s.fresh, s.files
	runtime.AddCleanup(b, func(path string) {
		if row.Load() == 0 {
			_ = files.remove(path) // else removed at the next start
			fresh.remove(filepath.Base(path))
		}
	}, path)
	return b
}

// Size returns the number of octets.
func (b *fileBody) Size() int64 { return b.size }

// Open opens the file. A file that is not whole is an error: nobody must send
// half of a mail.
func (b *fileBody) Open() (io.ReadCloser, error) {
	f, err := os.Open(b.path)
	if err != nil {
		return nil, fmt.Errorf("open message body: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() != b.size {
		err = fmt.Errorf("%s has %d octets, want %d", b.path, info.Size(), b.size)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open message body: %w", err)
	}
	return &fileReader{File: f, body: b}, nil
}

// fileReader keeps the body from being dropped while it is read.
type fileReader struct {
	*os.File
	body *fileBody
}

// dbBody is a body in a row, read when it is wanted.
type dbBody struct {
	store *Store
	row   int64
	size  int64
}

// Size returns the number of octets.
func (b *dbBody) Size() int64 { return b.size }

// Open reads the body. ErrNotFound: its last mail has left the store.
func (b *dbBody) Open() (io.ReadCloser, error) {
	var data []byte
	err := b.store.readBody.QueryRowContext(context.Background(), b.row).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		err = repository.ErrNotFound
	}
	if err == nil && int64(len(data)) != b.size {
		err = fmt.Errorf("it has %d octets, want %d", len(data), b.size)
	}
	if err != nil {
		return nil, fmt.Errorf("read message body %d: %w", b.row, err)
	}
	return container.BytesBody(data).Open()
}

// bodyKey tells bodies apart: the same key is the same content. The zero key is
// that of a body which cannot be compared.
type bodyKey struct {
	first *byte
	n     int
	body  container.Body
}

func keyOf(b container.Body) bodyKey {
	if t, ok := b.(container.BytesBody); ok {
		if len(t) == 0 {
			return bodyKey{}
		}
		return bodyKey{first: &t[0], n: len(t)}
	}
	if reflect.ValueOf(b).Comparable() {
		return bodyKey{body: b}
	}
	return bodyKey{}
}
