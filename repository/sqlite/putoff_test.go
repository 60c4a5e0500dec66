package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// putOff puts leased items back with a delay, as a delivery that failed does.
func putOff(t testing.TB, s *Store, d time.Duration, items ...*repository.Item) {
	t.Helper()
	for _, it := range items {
		it.Start()
		must(t, s.Commit(context.Background(), repository.Change{Done: it, Entries: []container.Entry{
			{Mail: it.Mail.Clone(), Queue: it.Queue, Destination: it.Destination, Delay: d}}}))
	}
}

// putMany puts n mails into a queue at once.
func putMany(t testing.TB, s *Store, queue string, n int) {
	t.Helper()
	var c repository.Change
	for i := range n {
		c.Entries = append(c.Entries, container.Entry{Mail: testMail(fmt.Sprintf("old%d", i), nil), Queue: queue})
	}
	must(t, s.Commit(context.Background(), c))
}

func queueNames(t testing.TB, s *Store, queue string, f repository.QueueFilter) string {
	t.Helper()
	var out []string
	must(t, s.BrowseQueue(context.Background(), queue, f, 0, func(e repository.QueueEntry) error {
		out = append(out, e.Name)
		return nil
	}))
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestRemovePutOff: items that are put off again while a removal is on its way
// have been in the queue since before it; those that are new have not.
func TestRemovePutOff(t *testing.T) {
	s := openTest(t, t.TempDir())
	putMany(t, s, "q", 4*pageRows)
	began := false
	_, err := s.RemoveFromQueue(context.Background(), "q", repository.QueueFilter{}, func(int64) {
		if began {
			return
		}
		began = true
		l, err := s.Lease(context.Background(), repository.LeaseRequest{Queue: "q", Limit: 20})
		must(t, err)
		if len(l.Items) != 20 {
			t.Errorf("%d items are left to be put off, want 20", len(l.Items))
		}
		putOff(t, s, time.Hour, l.Items...)
		put(t, s, "q", testMail("new", nil))
	})
	must(t, err)
	if got := queueNames(t, s, "q", repository.QueueFilter{}); got != "new" {
		t.Errorf("got %q, want new alone", got)
	}
	wantSound(t, s)
}

// TestSince: a mail is in a queue since it entered it, however often it is put
// off. What else comes of an item is new.
func TestSince(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s, err := Open(t.TempDir(), Options{Logger: quiet(), Now: func() time.Time { return now }})
	must(t, err)
	closeAfter(t, s)
	first := now
	put(t, s, "q", testMail("m", nil))
	for range 3 {
		it := leaseAll(t, s, "q")[0]
		if !it.Enqueued.Equal(first) {
			t.Errorf("enqueued at %v, want %v", it.Enqueued, first)
		}
		now = now.Add(time.Hour)
		putOff(t, s, time.Minute, it)
		now = now.Add(time.Hour)
	}
	it := leaseAll(t, s, "q")[0]
	half, rest := it.Mail.Clone(), it.Mail.Clone()
	half.Name, rest.Name = "half", "rest"
	rest.Message.SetHeader([]byte("Subject: another\r\n"))
	must(t, s.Commit(context.Background(), repository.Change{Done: it, Entries: []container.Entry{
		{Mail: half, Queue: "q", Delay: time.Minute}, {Mail: rest, Queue: "q"},
		{Mail: testMail("notice", nil), Queue: "q"}, {Mail: it.Mail.Clone(), Queue: "other"}}}))
	for queue, want := range map[string]string{"q": "half rest", "other": ""} {
		if got := queueNames(t, s, queue, repository.QueueFilter{EnqueuedBefore: first.Add(time.Minute)}); got != want {
			t.Errorf("queue %s: got old mails %q, want %q", queue, got, want)
		}
	}
	must(t, s.Close(context.Background()))
}
