package sqlite

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// TestCancelledAndRefused: an item that was taken from its holder to be removed,
// and whose removal is not committed, is in its queue again.
func TestCancelledAndRefused(t *testing.T) {
	s := openTest(t, t.TempDir())
	put(t, s, "q", testMail("m", nil))
	it := leaseAll(t, s, "q")[0]
	refuseCommits(s, true)
	err := s.do(context.Background(), func(w *writer) error { _, err := w.removeItem("q", it.ID, w.clock()); return err })
	if err == nil {
		t.Fatal("the commit did not fail")
	}
	if it.Start() {
		t.Fatal("the holder can start on an item that was cancelled")
	}
	if err := s.Commit(context.Background(), repository.Change{}); err == nil {
		t.Fatal("the commit did not fail")
	}
	refuseCommits(s, false)
	items := leaseAll(t, s, "q")
	if itemNames(items) != "m" {
		t.Fatalf("got items %q, want m", itemNames(items))
	}
	if n, err := s.RemoveFromQueue(context.Background(), "q", repository.QueueFilter{}, nil); n != 1 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	wantEmpty(t, s)
	if st := s.Stats(); st.Leased != 0 || st.Memory != 0 {
		t.Errorf("got %+v with nothing in the store", st)
	}
}

// TestCancelledTwice: the same when the removal is applied again behind an
// operation that spoiled its group.
func TestCancelledTwice(t *testing.T) {
	s := openTest(t, t.TempDir())
	put(t, s, "q", testMail("m", nil))
	it := leaseAll(t, s, "q")[0]
	release := hold(t, s)
	removed := make(chan int64, 1)
	go func() {
		var n int64
		err := s.do(context.Background(), func(w *writer) error {
			n = 0
			ok, err := w.removeItem("q", it.ID, w.clock())
			if ok {
				n++
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		removed <- n
	}()
	waitFor(t, "the removal to be handed in", func() bool { return len(s.ops) == 1 })
	for range 2 {
		must(t, s.send(context.Background(), &operation{fn: func(w *writer) error {
			_, err := w.write(stInsertQueue, "spoiled")
			return errors.Join(errors.New("boom"), err)
		}}))
	}
	release()
	if n := <-removed; n != 1 {
		t.Errorf("removed %d, want 1", n)
	}
	wantEmpty(t, s)
	must(t, s.do(context.Background(), func(*writer) error { return nil }))
	if st := s.Stats(); st.Leased != 0 {
		t.Errorf("got %+v with nothing in the store", st)
	}
}

// TestPingWrites: while commits fail the store is ill, also when there is
// something between that needs no write.
func TestPingWrites(t *testing.T) {
	s := openTest(t, t.TempDir())
	put(t, s, "spool", testMail("m", nil))
	unlimited := fileLimit(t, 0)
	err := s.Commit(context.Background(), repository.Change{Entries: []container.Entry{{Mail: testMail("n", nil), Queue: "spool"}}})
	if err == nil {
		t.Fatal("the commit did not fail")
	}
	for range 2 {
		if err := s.Ping(context.Background()); err == nil {
			t.Error("the store says that it is well")
		}
		if l, err := s.Lease(context.Background(), repository.LeaseRequest{Queue: "other", Limit: 1}); err != nil || len(l.Items) != 0 {
			t.Errorf("lease of nothing: %v", err)
		}
	}
	unlimited()
	must(t, s.Ping(context.Background()))
	must(t, s.Ping(context.Background()))
}

// TestBuryFails: an unreadable item that could not be set aside is set aside
// later; it does not stay leased.
func TestBuryFails(t *testing.T) {
	s := openTest(t, t.TempDir())
	put(t, s, "q", testMail("bad", nil))
	must(t, s.do(context.Background(), func(w *writer) error {
		return w.c.exec(`UPDATE queue_item SET attributes = '{';
			CREATE TRIGGER full BEFORE UPDATE OF dead_reason ON queue_item BEGIN SELECT RAISE(ABORT, 'full'); END`)
	}))
	leaseAll(t, s, "q")
	must(t, s.do(context.Background(), func(w *writer) error { return w.c.exec("DROP TRIGGER full") }))
	leaseAll(t, s, "q")
	dead, err := s.Dead(context.Background())
	must(t, err)
	if dead["q"] != 1 || s.Stats().Leased != 0 {
		t.Errorf("got dead items %v, %d leased; want one, none", dead, s.Stats().Leased)
	}
}

// TestPrivate: whatever the folder allows, others must not read mails and
// password hashes.
func TestPrivate(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	s := openTest(t, dir)
	put(t, s, "q", testMail("m", largeBody(t, s, 200_000)))
	must(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && path != dir && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	}))
}

// TestLittleRoom: the last space is for the mails that are here.
func TestLittleRoom(t *testing.T) {
	s := openTest(t, t.TempDir())
	ctx := context.Background()
	u := repository.URL{Protocol: "file", Path: "x"}
	put(t, s, "q", testMail("a", nil), testMail("b", nil))
	intake := func(m *container.Mail) error {
		return s.Commit(ctx, repository.Change{Entries: []container.Entry{{Mail: m, Queue: "q"}}})
	}
	before := s.room.free
	set := func(free func() (uint64, error)) {
		s.room.free = free
		s.room.checked.Store(0)
	}
	set(func() (uint64, error) { return 3 << 20, nil })
	for name, err := range map[string]error{"commit": intake(testMail("c", nil)), "ping": s.Ping(ctx)} {
		if !errors.Is(err, errNoRoom) || !strings.Contains(err.Error(), "3 MiB") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	for octets, free := range map[int]uint64{0: 3 << 20, 200_000: 1 << 40} { // full at its beginning, or meanwhile
		set(func() (uint64, error) { return free, nil })
		w := s.NewBody()
		_, err := w.Write(make([]byte, octets))
		must(t, err)
		set(func() (uint64, error) { return 3 << 20, nil })
		if _, err := w.Write(make([]byte, 200_000)); !errors.Is(err, errNoRoom) {
			t.Errorf("large body of which %d octets are written: got error %v", octets, err)
		}
		w.Abort()
	}
	items := leaseAll(t, s, "q")
	if itemNames(items) != "a b" {
		t.Fatalf("got items %q", itemNames(items))
	}
	must(t, s.Commit(ctx, repository.Change{Done: items[0], Entries: []container.Entry{{Mail: items[0].Mail, Repository: u.String()},
		{Mail: testMail("report", container.BytesBody(make([]byte, 200_000))), Queue: "q"}}}))
	must(t, s.Commit(ctx, repository.Change{From: &repository.Ref{URL: u, Key: "a"}, Entries: []container.Entry{{Mail: testMail("a", nil), Queue: "q"}}}))
	must(t, s.Commit(ctx, repository.Change{Done: items[1]}))
	set(func() (uint64, error) { return 0, errors.ErrUnsupported })
	must(t, intake(testMail("unknown", nil)))
	set(before)
	must(t, s.Ping(ctx))
	must(t, intake(testMail("later", nil)))
}

// fileLimit lets this process write no file beyond a size, which fails as it
// does on a full disk, until the function it returns is called.
func fileLimit(t *testing.T, octets uint64) (unlimited func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: octets, Max: before.Max}))
	reset := func() { must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before)) }
	t.Cleanup(reset)
	return reset
}

// TestClockSetBack: an item that was delayed while the clock was wrong does not
// wait for that time to come.
func TestClockSetBack(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1_800_000_000, 0)
	var s *Store
	open := func() {
		if s != nil {
			must(t, s.Close(context.Background()))
		}
		var err error
		s, err = Open(dir, Options{Logger: quiet(), Now: func() time.Time { return now }})
		must(t, err)
	}
	delayed := func(name string) {
		must(t, s.Commit(context.Background(), repository.Change{Entries: []container.Entry{{Mail: testMail(name, nil), Queue: "q", Delay: time.Hour}}}))
	}
	now = now.Add(300 * 24 * time.Hour)
	open()
	delayed("wrong")
	now = now.Add(-300 * 24 * time.Hour)
	for range 2 { // what is right stays right
		open()
		delayed("right")
		if got := itemNames(leaseAll(t, s, "q")); got != "" {
			t.Errorf("got items %q before their time", got)
		}
	}
	now = now.Add(61 * time.Minute)
	if got := itemNames(leaseAll(t, s, "q")); got != "wrong right right" {
		t.Errorf("got items %q, want wrong right right", got)
	}
	must(t, s.Close(context.Background()))
}
