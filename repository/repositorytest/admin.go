package repositorytest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

func (f *fixture) browse(queue string, q repository.QueueFilter, limit int) string {
	f.t.Helper()
	var out []string
	f.must(f.s.BrowseQueue(f.t.Context(), queue, q, limit, func(e repository.QueueEntry) error {
		name := e.Name
		if !e.Next.IsZero() {
			name += fmt.Sprintf("+%d", int(e.Next.Sub(f.clock.Now()).Round(time.Second).Seconds()))
		}
		out = append(out, name)
		return nil
	}))
	return strings.Join(out, " ")
}

func (f *fixture) wantBrowse(queue string, q repository.QueueFilter, limit int, want string) {
	f.t.Helper()
	if got := f.browse(queue, q, limit); got != want {
		f.t.Errorf("queue %s lists %q, want %q", queue, got, want)
	}
}

func sizes(t *testing.T, f *fixture) {
	_, err := f.s.QueueSize(t.Context(), "nowhere")
	f.wantErr(err, repository.ErrNotFound)
	f.must(f.s.CreateQueue(t.Context(), "b"))
	f.must(f.s.CreateQueue(t.Context(), "b"))
	f.must(f.s.CreateQueue(t.Context(), "a"))
	list, err := f.s.Queues(t.Context())
	f.must(err)
	if fmt.Sprint(list) != "[a b]" {
		t.Errorf("got queues %v, want [a b]", list)
	}
	f.put("a", 0, "1", "2")
	f.put("a", time.Hour, "3")
	f.lease("a", 1)
	f.wantSize("a", 3) // ready, leased and delayed
	f.wantSize("b", 0)
}

func browse(t *testing.T, f *fixture) {
	f.put("q", 20*time.Second, "d20")
	f.put("q", 10*time.Second, "d10")
	for i := range 450 { // several pages
		f.put("q", 0, fmt.Sprint(i))
	}
	m := newMail("urgent")
	m.Set(container.AttrPriority, int32(3))
	f.must(f.s.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "q"}}}))
	f.wantNames(f.lease("q", 2).Items, "urgent 0")
	all := strings.Fields(f.browse("q", repository.QueueFilter{}, 0))
	if len(all) != 451 || all[0] != "1" || all[448] != "449" || all[449] != "d10+10" || all[450] != "d20+20" {
		t.Errorf("got %d entries, %v ... %v", len(all), all[:3], all[len(all)-3:])
	}
	f.wantBrowse("q", repository.QueueFilter{}, 2, "1 2")
	yes, no, name := true, false, "7"
	f.wantBrowse("q", repository.QueueFilter{Delayed: &yes}, 0, "d10+10 d20+20")
	f.wantBrowse("q", repository.QueueFilter{Delayed: &no}, 1, "1")
	f.wantBrowse("q", repository.QueueFilter{Name: &name}, 0, "7")
	stop := fmt.Errorf("stop")
	f.wantErr(f.s.BrowseQueue(t.Context(), "q", repository.QueueFilter{}, 0, func(repository.QueueEntry) error { return stop }), stop)
	f.wantErr(f.s.BrowseQueue(t.Context(), "nowhere", repository.QueueFilter{}, 0, nil), repository.ErrNotFound)
	// The store can be changed from within a listing.
	f.must(f.s.BrowseQueue(t.Context(), "q", repository.QueueFilter{}, 1, func(repository.QueueEntry) error { f.put("q", 0, "new"); return nil }))
}

func flush(t *testing.T, f *fixture) {
	_, err := f.s.FlushQueue(t.Context(), "nowhere")
	f.wantErr(err, repository.ErrNotFound)
	f.put("q", 20*time.Second, "d20")
	f.put("q", 0, "now")
	f.put("q", 10*time.Second, "d10")
	c := &consumer{}
	f.s.Consume("q", c)
	f.settle()
	_, before := c.counts()
	n, err := f.s.FlushQueue(t.Context(), "q")
	f.must(err)
	f.settle()
	if _, after := c.counts(); n != 2 || after == before {
		t.Errorf("flushed %d, want 2; wakes before %d, after %d", n, before, after)
	}
	f.put("q", 0, "late")
	f.wantBrowse("q", repository.QueueFilter{}, 0, "now d10 d20 late")
	f.wantNames(f.lease("q", 9).Items, "now d10 d20 late")
}

func removeFiltered(t *testing.T, f *fixture) {
	put := func(name, sender string, delay time.Duration, rcpts ...string) {
		m := newMail(name, rcpts...)
		m.Sender = container.Address{}
		if sender != "" {
			m.Sender = container.MustAddress(sender)
		}
		f.must(f.s.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "q", Delay: delay}}}))
	}
	text := func(s string) *string { return &s }
	filtered(f)
	put("a", "x@example.org", 0, "1@example.org", "2@example.org")
	put("b", "X@example.org", time.Hour, "3@example.org")
	put("c", "", 0, "2@example.org")
	put("it's", "y@example.org", 0, "4@example.org")
	put("d", "", 0, "5@example.org")
	for _, tc := range []struct {
		filter repository.QueueFilter
		left   string
	}{
		{repository.QueueFilter{Sender: text("X@EXAMPLE.org")}, "a c it's d b+3600"},
		{repository.QueueFilter{Name: text("it's")}, "a c d b+3600"},
		{repository.QueueFilter{Recipient: text("2@example.org"), Sender: text("x@example.org")}, "c d b+3600"},
		{repository.QueueFilter{Sender: text("X@example.org")}, "c d"},
		{repository.QueueFilter{Recipient: text("2@example.org"), Sender: text("<>")}, "d"},
		{repository.QueueFilter{Sender: text("")}, ""},
	} {
		before := int64(len(strings.Fields(f.browse("q", repository.QueueFilter{}, 0))))
		told := int64(0)
		n, err := f.s.RemoveFromQueue(t.Context(), "q", tc.filter, func(n int64) { told = n })
		f.must(err)
		f.wantBrowse("q", repository.QueueFilter{}, 0, tc.left)
		if want := before - int64(len(strings.Fields(tc.left))); n != want || told != want {
			t.Errorf("removed %d, told %d, want %d", n, told, want)
		}
	}
	for i := range 1100 { // several portions
		f.s.CommitAsync(repository.Change{Entries: []container.Entry{{Mail: newMail(fmt.Sprint(i)), Queue: "q"}}}, nil)
	}
	f.settle()
	calls := 0
	n, err := f.s.RemoveFromQueue(t.Context(), "q", repository.QueueFilter{}, func(int64) { calls++ })
	f.must(err)
	if n != 1100 || calls < 2 {
		t.Errorf("removed %d in %d portions, want 1100 in at least 2", n, calls)
	}
	_, err = f.s.RemoveFromQueue(t.Context(), "nowhere", repository.QueueFilter{}, nil)
	f.wantErr(err, repository.ErrNotFound)
}

func removeLeased(t *testing.T, f *fixture) {
	f.put("q", 0, "started", "held")
	l := f.lease("q", 2)
	if !l.Items[0].Start() {
		t.Error("work on a leased item could not begin")
	}
	c := &consumer{places: 1}
	f.s.Consume("q", c)
	f.put("q", 0, "handed")
	f.settle()
	handed := c.take()
	n, err := f.s.RemoveFromQueue(t.Context(), "q", repository.QueueFilter{}, nil)
	f.must(err)
	if n != 2 || len(handed) != 1 || handed[0].Start() || l.Items[1].Start() {
		t.Errorf("removed %d items, want 2; those can be started still", n)
	}
	f.wantSize("q", 1)
	f.wantErr(f.s.Commit(t.Context(), repository.Change{Done: l.Items[1]}), repository.ErrNotLeased)
	f.done(l.Items[0])
	f.wantSize("q", 0)
}

func reopened(t *testing.T, f *fixture) {
	u := repository.URL{Protocol: "cassandra", Path: "var/mail/error"}
	f.must(f.s.CreateRepository(t.Context(), u))
	f.put("q", 0, "1", "2", "3")
	f.put("q", time.Hour, "later")
	f.done(f.leaseOne("q"))
	f.leaseOne("q") // 2, never finished
	f.reopen()
	c := &consumer{places: 10}
	f.s.Consume("q", c)
	f.put("q", 0, "4")
	f.settle()
	f.wantNames(c.take(), "") // there is a backlog
	l := f.lease("q", 10)
	f.wantNames(l.Items, "2 3 4")
	for _, it := range l.Items {
		if again := it.Mail.Name == "2"; it.Mail.Redelivered != again || (it.Attempts == 1) != again {
			t.Errorf("item %s has %d attempts, Redelivered %v", it.Mail.Name, it.Attempts, it.Mail.Redelivered)
		}
	}
	f.done(l.Items...)
	f.wantSize("q", 1)
	list, err := f.s.Repositories(t.Context())
	f.must(err)
	if len(list) != 1 || list[0] != u {
		t.Errorf("got repositories %v, want %v", list, u)
	}
	f.must(f.s.Close(t.Context()))
	f.wantErr(f.s.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: newMail("x"), Queue: "q"}}}), repository.ErrClosed)
}

// filtered puts, lists and removes items by what James has no filter for.
func filtered(f *fixture) {
	for _, domain := range []string{"one.test", "two.test"} {
		m := newMail("to-"+domain, "u@"+domain)
		if m.State = "relay"; domain == "two.test" {
			m.State = "root"
			m.Set("virus", true)
		}
		f.must(f.s.Commit(f.t.Context(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "q", Destination: domain}}}))
	}
	for _, tc := range []struct {
		filter repository.QueueFilter
		want   string
	}{
		{repository.QueueFilter{Host: "ONE.test"}, "to-one.test"},
		{repository.QueueFilter{Host: "three.test"}, ""},
		{repository.QueueFilter{State: "root"}, "to-two.test"},
		{repository.QueueFilter{Attribute: "virus"}, "to-two.test"},
		{repository.QueueFilter{Attribute: "virus=true", Host: "one.test"}, ""},
		{repository.QueueFilter{EnqueuedBefore: time.Unix(1<<33, 0)}, "to-one.test to-two.test"},
		{repository.QueueFilter{EnqueuedBefore: time.Unix(1, 0)}, ""},
		{repository.QueueFilter{EnqueuedAfter: time.Unix(1, 0)}, "to-one.test to-two.test"},
	} {
		f.wantBrowse("q", tc.filter, 0, tc.want)
	}
	for _, filter := range []repository.QueueFilter{{Attribute: "virus=true"}, {Host: "one.test"}} {
		if n, err := f.s.RemoveFromQueue(f.t.Context(), "q", filter, nil); n != 1 || err != nil {
			f.t.Errorf("remove %+v: got %d, %v", filter, n, err)
		}
	}
}
