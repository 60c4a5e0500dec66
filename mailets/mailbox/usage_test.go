package mailbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

func TestUsage(t *testing.T) {
	s, root := testStore(t)
	now := time.Now().Add(time.Hour) // all folders are settled
	u := NewUsage()
	u.now = func() time.Time { return now }
	layout, err := NewLayout(root, DefaultPattern)
	if err != nil {
		t.Fatal(err)
	}
	u.Add(layout)
	u.Add(layout)
	want := func(what string, count, size int64) {
		t.Helper()
		if got, err := u.Use(t.Context(), "bob", "example.com"); err != nil || got != (local.MailboxUse{Count: count, Size: size}) {
			t.Errorf("%s: got %v, %v, want %d and %d", what, got, err, count, size)
		}
	}
	want("no mailbox", 0, 0)
	if got, err := u.Use(t.Context(), "", "example.com"); err != nil || got.Count != 0 {
		t.Errorf("an impossible name: %v, %v", got, err)
	}
	box := filepath.Join(root, "example.com/bob")
	m := testMessage()
	if err := s.Deliver(m); err != nil {
		t.Fatal(err)
	}
	if files := files(t, root); len(files) == 0 {
		t.Fatal("nothing delivered")
	}
	want("one message", 1, 40)
	m.Folder, m.ID, m.Seen = "A/B", "2", true
	if err := s.Deliver(m); err != nil {
		t.Fatal(err)
	}
	want("a folder", 2, 80)
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(box, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("cur/1.foreign.host:2,S", "12345")
	put("cur/1.foreign.host,W=9,S=7:2,", "")
	put("cur/1.x,S=many", "123")
	put("cur/.hidden", "12345")
	put("tmp/1.half", "12345")
	want("names of others", 5, 95)
	put("maildirsize", "1000S\n80 2\n")
	m.ID = "3"
	if err := s.Deliver(m); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(box, "maildirsize")); err != nil || string(got) != "1000S\n80 2\n40 1\n" {
		t.Errorf("maildirsize has %q, %v", got, err)
	}
	want("three", 6, 135)
	if len(u.folders) == 0 {
		t.Error("no folder is remembered")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	put("new/1.y,S=1", "1")
	if _, err := u.Use(ended, "bob", "example.com"); err == nil {
		t.Error("a reader that nobody waits for goes on")
	}
}

// What took long to measure is good for a while; a folder that changed just now
// is read again.
func TestUsageKept(t *testing.T) {
	root := t.TempDir()
	layout, err := NewLayout(root, DefaultPattern)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "d/u/new")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	now, each := time.Now(), 10*time.Millisecond
	u := NewUsage()
	u.now = func() time.Time { now = now.Add(each); return now }
	u.Add(layout)
	count := func() int64 {
		t.Helper()
		got, err := u.Use(t.Context(), "u", "d")
		if err != nil {
			t.Error(err)
		}
		return got.Count
	}
	put("a,S=1")
	if count() != 1 || len(u.folders) != 0 {
		t.Errorf("a folder changed just now is remembered: %v", u.folders)
	}
	put("b,S=1")
	if n := count(); n != 1 {
		t.Errorf("got %d at once, want what was measured", n)
	}
	each = time.Minute
	if n := count(); n != 2 {
		t.Errorf("got %d after a while", n)
	}
}

func BenchmarkUsage(b *testing.B) {
	root := b.TempDir()
	layout, _ := NewLayout(root, DefaultPattern)
	dir := filepath.Join(root, "d/u/cur")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	for i := range 10000 {
		name := filepath.Join(dir, time.Unix(int64(i), 0).UTC().Format("20060102150405")+".x.host,S=1000:2,S")
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for _, changed := range []bool{true, false} {
		b.Run(map[bool]string{true: "10000 changed", false: "10000 unchanged"}[changed], func(b *testing.B) {
			u := NewUsage()
			u.Add(layout)
			now := time.Now().Add(time.Hour)
			u.now = func() time.Time { now = now.Add(time.Minute); return now }
			for b.Loop() {
				if changed {
					clear(u.folders)
				}
				if _, err := u.Use(b.Context(), "u", "d"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Who owns a mailbox may put anything in the place of maildirsize: nothing outside
// of the mailbox is written to, and nobody waits.
func TestMaildirsizeIsSomethingElse(t *testing.T) {
	for name, make := range map[string]func(path, outside string) error{
		"link":   func(path, outside string) error { return os.Symlink(outside, path) },
		"hard":   func(path, outside string) error { return os.Link(outside, path) },
		"pipe":   func(path, _ string) error { return syscall.Mkfifo(path, 0o600) },
		"folder": func(path, _ string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			s, root := testStore(t)
			m := testMessage()
			if err := s.Deliver(m); err != nil {
				t.Fatal(err)
			}
			outside := filepath.Join(t.TempDir(), "precious")
			if err := os.WriteFile(outside, []byte("data\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(root, "example.com", "bob", "maildirsize")
			if err := make(path, outside); err != nil {
				t.Fatal(err)
			}
			m.ID = "2"
			done := goDeliver(s, m)
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Error("the delivery waits for a reader of the pipe")
			}
			if got, err := os.ReadFile(outside); err != nil || string(got) != "data\n" {
				t.Errorf("a file outside has %q, %v", got, err)
			}
			if n := len(files(t, filepath.Join(root, "example.com", "bob", "new"))); n != 2 {
				t.Errorf("%d messages, want 2", n)
			}
		})
	}
}

func goDeliver(s *Store, m *Message) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.Deliver(m) }()
	return done
}

// A large mailbox is not read by everybody who asks at the same time, and nobody
// waits longer than it is wanted.
func TestUsageMeasuredOnce(t *testing.T) {
	root := t.TempDir()
	layout, err := NewLayout(root, DefaultPattern)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "d/u/new"), 0o700); err != nil {
		t.Fatal(err)
	}
	const asking = 10
	u := NewUsage()
	u.Add(layout)
	base := time.Now()
	var clock atomic.Int64 // seconds
	var arrived, measures atomic.Int32
	all, begun := make(chan struct{}), make(chan struct{}, asking)
	u.now = func() time.Time {
		if arrived.Add(1) == asking {
			close(all)
		}
		return base.Add(time.Duration(clock.Load()) * time.Second)
	}
	u.measure = func(context.Context, string) (local.MailboxUse, error) {
		measures.Add(1)
		begun <- struct{}{}
		<-all
		clock.Store(1) // it took a second
		return local.MailboxUse{Count: 7, Size: 70}, nil
	}
	var wg sync.WaitGroup
	ask := func() {
		if got, err := u.Use(t.Context(), "u", "d"); err != nil || got.Count != 7 {
			t.Errorf("got %v, %v", got, err)
		}
	}
	wg.Go(ask)
	<-begun
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := u.Use(ended, "u", "d"); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not want to wait got %v", err)
	}
	for range asking - 2 {
		wg.Go(ask)
	}
	wg.Wait()
	if n := measures.Load(); n != 1 {
		t.Errorf("the mailbox was read %d times, want once", n)
	}
	if len(u.busy) != 0 {
		t.Error("it is still being measured")
	}
}
