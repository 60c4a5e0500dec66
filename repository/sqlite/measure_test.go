package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

func TestQueueStates(t *testing.T) {
	now := time.Date(2026, 8, 22, 6, 44, 35, 0, time.UTC)
	s, err := Open(t.TempDir(), Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	told := make(chan time.Duration, 100)
	s.OnTransaction(func(took time.Duration) { told <- took })
	for _, q := range []string{"spool", "outgoing"} {
		if err := s.CreateQueue(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	put := func(delay time.Duration) {
		t.Helper()
		m := container.NewMail(container.MustAddress("a@b.test"), []container.Address{container.MustAddress("c@d.test")},
			container.ParseMessage([]byte("Subject: x\r\n\r\nbody\r\n")))
		if err := s.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "outgoing", Delay: delay}}}); err != nil {
			t.Fatal(err)
		}
	}
	put(time.Hour)
	first := now
	now = now.Add(time.Minute)
	put(0)
	put(0)
	got, err := s.QueueStates(t.Context())
	if err != nil || len(got) != 2 || got[1].Queue != "spool" || got[1] != (QueueState{Queue: "spool"}) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if q := got[0]; q.Queue != "outgoing" || q.Ready != 2 || q.Delayed != 1 || q.Leased != 0 || !q.Oldest.Equal(first) {
		t.Errorf("got %+v", q)
	}
	if r, err := s.Room(t.Context()); err != nil || r.Database == 0 || r.Free == 0 || r.Bodies != 0 {
		t.Errorf("room: got %+v, %v", r, err)
	}
	for range 5 { // two queues and three mails; the last is told of behind its result
		if took := <-told; took < 0 || took > time.Hour {
			t.Errorf("a transaction took %s", took)
		}
	}
}

// TestRoom: any number of body files is counted, in parts, unless the time is over.
func TestRoom(t *testing.T) {
	s := openTest(t, t.TempDir())
	for i := range folderPart + 10 {
		name := filepath.Join(s.bodies, strconv.Itoa(i))
		must(t, os.WriteFile(name, []byte("12345"), 0o600))
		t.Cleanup(func() { os.Remove(name) })
	}
	r, err := s.Room(t.Context())
	if want := int64(5 * (folderPart + 10)); err != nil || r.Bodies != want {
		t.Errorf("got %+v, %v, want bodies of %d", r, err, want)
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := s.Room(late); err != nil || r.Bodies != -1 || r.Database == 0 || r.Free == 0 {
		t.Errorf("too late: got %+v, %v", r, err)
	}
}

// TestOldest: a mail that comes out of another queue late has a small id, and is
// not what is there longest.
func TestOldest(t *testing.T) {
	now := time.Date(2026, 8, 22, 6, 44, 35, 0, time.UTC)
	s, err := Open(t.TempDir(), Options{Logger: quiet(), Now: func() time.Time { return now }})
	must(t, err)
	closeAfter(t, s)
	put(t, s, "spool", testMail("late", nil))
	now = now.Add(time.Minute)
	put(t, s, "outgoing", testMail("early", nil))
	want := now
	now = now.Add(time.Minute)
	it := leaseAll(t, s, "spool")[0]
	it.Start()
	must(t, s.Commit(t.Context(), repository.Change{Done: it, Entries: []container.Entry{{Mail: it.Mail, Queue: "outgoing"}}}))
	got, err := s.QueueStates(t.Context())
	must(t, err)
	if !got[0].Oldest.Equal(want) {
		t.Errorf("got %+v, want the oldest of %v", got, want)
	}
}
