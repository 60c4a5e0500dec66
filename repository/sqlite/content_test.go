package sqlite

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// largeBody is a body in a file that no row names yet.
func largeBody(t *testing.T, s *Store, size int) container.Body {
	t.Helper()
	w := s.NewBody()
	_, err := w.Write(make([]byte, size))
	must(t, err)
	b, err := w.Finish()
	must(t, err)
	return b
}

// TestOneFileTwoChanges: one body, committed by two changes of one group, is
// stored once. Were it twice, the first to be done with would take the file away.
func TestOneFileTwoChanges(t *testing.T) {
	s := openTest(t, t.TempDir())
	body := largeBody(t, s, 300_000)
	release := hold(t, s)
	var all sync.WaitGroup
	note := func(err error) {
		if err != nil {
			t.Error(err)
		}
		all.Done()
	}
	all.Add(3)
	// An operation that spoils the transaction: everything is applied twice.
	s.CommitAsync(repository.Change{Entries: []container.Entry{{Mail: testMail("first", body), Queue: "first"}}}, note)
	must(t, s.send(context.Background(), &operation{done: func(error) { all.Done() }, fn: func(w *writer) error {
		if _, err := w.write(stInsertQueue, "spoiled"); err != nil {
			return err
		}
		return io.ErrUnexpectedEOF
	}}))
	s.CommitAsync(repository.Change{Entries: []container.Entry{{Mail: testMail("second", body), Queue: "second"}}}, note)
	release()
	all.Wait()
	wantSound(t, s)
	must(t, s.Commit(context.Background(), repository.Change{Done: leaseAll(t, s, "first")[0]}))
	it := leaseAll(t, s, "second")[0]
	must(t, s.do(context.Background(), func(*writer) error { return nil }))
	if n, err := it.Mail.Message.WriteTo(io.Discard); err != nil || n != it.Mail.Message.Size() {
		t.Errorf("got %d octets of %d, %v", n, it.Mail.Message.Size(), err)
	}
	must(t, s.Commit(context.Background(), repository.Change{Done: it}))
	wantEmpty(t, s)
}

// TestFileRefused: a body whose first change is not committed can be committed
// by another one.
func TestFileRefused(t *testing.T) {
	s := openTest(t, t.TempDir())
	body := largeBody(t, s, 300_000)
	refuseCommits(s, true)
	if err := s.Commit(context.Background(), repository.Change{Entries: []container.Entry{{Mail: testMail("m", body), Queue: "q"}}}); err == nil {
		t.Fatal("the commit did not fail")
	}
	refuseCommits(s, false)
	put(t, s, "q", testMail("m", body))
	wantSound(t, s)
	must(t, s.Commit(context.Background(), repository.Change{Done: leaseAll(t, s, "q")[0]}))
	wantEmpty(t, s)
}

// TestHalfBody: a body that is not whole is an error, never half a message.
func TestHalfBody(t *testing.T) {
	s, err := Open(t.TempDir(), Options{Logger: quiet()})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close(context.Background())) })
	put(t, s, "q", testMail("file", largeBody(t, s, 300_000)), testMail("row", container.BytesBody("body\r\n")))
	name := files(t, s)[0]
	must(t, os.Truncate(filepath.Join(s.bodies, name), 200_000))
	must(t, s.do(context.Background(), func(w *writer) error { return w.c.exec("UPDATE message SET data = 'bo' WHERE data IS NOT NULL") }))
	for _, it := range leaseAll(t, s, "q") {
		if n, err := it.Mail.Message.WriteTo(io.Discard); err == nil {
			t.Errorf("%s: read %d octets of %d without an error", it.Mail.Name, n, it.Mail.Message.Size())
		}
	}
	faults, err := s.Check(context.Background())
	must(t, err)
	if len(faults) != 2 {
		t.Errorf("got faults %q, want two", faults)
	}
}
