package repositorytest

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// fullMail has something odd in every field.
func fullMail() *container.Mail {
	m := newMail("full", "Bob@example.org", "bob@example.org", "bob@example.org", `"a b\"c@d"@example.org`)
	m.Recipients = append(m.Recipients, container.Address{Local: "grüße", Domain: "bücher.example"}, container.Address{Local: "postmaster", Domain: "192.0.2.1"})
	m.State, m.ErrorMessage = "transport", "line one\nline \x00 two\t\"quoted\""
	m.RemoteHost, m.RemoteAddr = "mx.example.net", "2001:db8::1"
	m.LastUpdated = time.Unix(1_700_000_000, 123456789)
	m.Set("s", "text \u2028 <&>")
	m.Set("i", int32(-7))
	m.Set("l", int64(1)<<60)
	m.Set("b", true)
	m.Set("d", 1.5)
	m.Set("t", time.Unix(1_600_000_000, 5000).UTC())
	m.Set("bytes", []byte{0, 1, 255})
	m.Set("list", []container.Value{"a", int32(1), []container.Value{}})
	m.Set("map", map[string]container.Value{"x": "y"})
	m.Set("foreign", container.RawValue(`{"serializer":"OtherSerializer","value":{"a":1}}`))
	m.AddRecipientHeader(m.Recipients[0], "X-One", "1")
	m.AddRecipientHeader(m.Recipients[0], "X-One", "2")
	return m
}

func fieldsSurvive(t *testing.T, f *fixture) {
	full, bare := fullMail(), newMail("bare")
	bare.Sender, bare.Recipients, bare.Message = container.Address{}, nil, container.NewMessage(nil, nil)
	u := repository.URL{Protocol: "file", Path: "var/mail/x"}
	for _, m := range []*container.Mail{full, bare} {
		f.must(f.s.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: m.Clone(), Queue: "spool"}, {Mail: m.Clone(), Repository: u.String()}}}))
		it := f.leaseOne("spool")
		f.sameMail(it.Mail, m)
		stored, err := f.s.Mail(t.Context(), repository.Ref{URL: u, Key: m.Name})
		f.must(err)
		f.sameMail(stored, m)
	}
}

func (f *fixture) sameMail(got, want *container.Mail) {
	f.t.Helper()
	attributes := func(m *container.Mail) string {
		var b strings.Builder
		for _, k := range []string{"s", "i", "l", "b", "d", "t", "bytes", "list", "map", "foreign"} {
			fmt.Fprintf(&b, "%s: %#v\n", k, m.Attributes[k])
		}
		return b.String()
	}
	text := func(m *container.Mail) string {
		return fmt.Sprintf("%q %q %q %q %q %q %q %q %v %v %d %d\n%s", m.ID, m.Name, m.Sender, m.Recipients, m.State, m.ErrorMessage, m.RemoteHost,
			m.RemoteAddr, m.RecipientHeaders, m.LastUpdated.UnixNano(), len(m.Attributes), m.Message.Size(), attributes(m)) + f.content(&m.Message)
	}
	if g, w := text(got), text(want); g != w {
		f.t.Errorf("got mail\n%s\nwant\n%s", g, w)
	}
}

// foreignBody is a body that the store does not know.
type foreignBody struct{ container.BytesBody }

func bodiesSurvive(t *testing.T, f *fixture) {
	for _, size := range []int{0, 1, 16 << 10, 128 << 10, 128<<10 + 1, 700_000} {
		data := bytes.Repeat([]byte("0123456789\r\n"), size/12+1)[:size]
		for name, body := range map[string]container.Body{
			"intake": f.newBody(data), "bytes": container.BytesBody(data), "foreign": &foreignBody{data},
		} {
			if got := f.bodyOf(body); !bytes.Equal(got, data) || body.Size() != int64(size) {
				t.Errorf("%s body of %d octets: got %d, size %d", name, size, len(got), body.Size())
			}
			m := newMail(name)
			m.Message = container.NewMessage([]byte("Subject: x\r\n"), body)
			f.must(f.s.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "spool"}, {Mail: m.Clone(), Queue: "other"}}}))
			it, other := f.leaseOne("spool"), f.leaseOne("other")
			f.done(it)
			if got := f.bodyOf(other.Mail.Message.Body()); !bytes.Equal(got, data) || other.Mail.Message.Body().Size() != int64(size) {
				t.Errorf("stored %s body of %d octets: got %d, size %d", name, size, len(got), other.Mail.Message.Body().Size())
			}
			f.done(other)
		}
	}
	w := f.s.NewBody()
	_, err := w.Write(make([]byte, 300_000))
	f.must(err)
	w.Abort()
	w.Abort()
}

func order(t *testing.T, f *fixture) {
	f.put("spool", 0, "1", "2", "3")
	first := f.lease("spool", 2)
	f.wantNames(first.Items, "1 2")
	if !first.More {
		t.Error("More is false, one item is left")
	}
	f.put("spool", 0, "4")
	rest := f.lease("spool", 10)
	f.wantNames(rest.Items, "3 4")
	if rest.More || !rest.Next.IsZero() {
		t.Errorf("got More %v, Next %v of an empty queue", rest.More, rest.Next)
	}
	f.done(rest.Items[1], first.Items[1], rest.Items[0], first.Items[0]) // out of order
	f.wantSize("spool", 0)
}

func leasedOnce(t *testing.T, f *fixture) {
	const n = 60
	for i := range n {
		f.put("spool", 0, fmt.Sprint(i))
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				l, err := f.s.Lease(t.Context(), repository.LeaseRequest{Queue: "spool", Limit: 3})
				if err != nil {
					t.Error(err)
				}
				if len(l.Items) == 0 {
					return
				}
				mu.Lock()
				for _, it := range l.Items {
					seen[it.Mail.Name]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != n {
		t.Errorf("got %d of %d items", len(seen), n)
	}
	for name, times := range seen {
		if times != 1 {
			t.Errorf("item %s was leased %d times", name, times)
		}
	}
}

func sameName(t *testing.T, f *fixture) {
	f.put("spool", 0, "twin", "twin")
	l := f.lease("spool", 10)
	f.wantNames(l.Items, "twin twin")
	f.done(l.Items[0])
	f.wantSize("spool", 1)
	f.must(f.s.Release(t.Context(), l.Items[1:]))
	f.wantNames(f.lease("spool", 10).Items, "twin")
}

func delays(t *testing.T, f *fixture) {
	f.put("spool", time.Hour, "hour")
	f.put("spool", time.Minute, "minute")
	f.put("spool", math.MaxInt64, "never")
	f.put("spool", 0, "now")
	f.put("spool", -time.Hour, "past")
	l := f.lease("spool", 10)
	f.wantNames(l.Items, "now past")
	if want := f.clock.Now().Add(time.Minute); l.Next.Sub(want).Abs() > time.Second {
		t.Errorf("got Next %v, want about %v", l.Next, want)
	}
	f.clock.add(time.Minute - time.Second)
	f.wantNames(f.lease("spool", 10).Items, "")
	f.clock.add(2 * time.Second)
	f.wantNames(f.lease("spool", 10).Items, "minute")
	f.clock.add(time.Hour)
	f.wantNames(f.lease("spool", 10).Items, "hour")
	f.clock.add(50 * 365 * 24 * time.Hour)
	f.wantNames(f.lease("spool", 10).Items, "")
}

func snapshots(t *testing.T, f *fixture) {
	m := newMail("before")
	m.Set("a", []byte("before"))
	done := make(chan error, 1)
	f.s.CommitAsync(repository.Change{Entries: []container.Entry{{Mail: m, Queue: "spool"}}}, func(err error) { done <- err })
	f.must(<-done)
	m.Name, m.State, m.Recipients[0] = "after", "after", container.MustAddress("after@example.org")
	m.Attributes["a"].([]byte)[0] = 'X'
	m.Message.SetHeader([]byte("Subject: after\r\n"))
	got := f.leaseOne("spool").Mail
	value, _ := got.Attributes["a"].([]byte)
	if got.Name != "before" || got.State == "after" || got.Recipients[0].Local == "after" || string(value) != "before" || strings.Contains(f.content(&got.Message), "after") {
		t.Errorf("the stored mail changed with the object: %+v", got)
	}
}

func priorities(t *testing.T, f *fixture) {
	put := func(name string, priority container.Value) {
		m := newMail(name)
		if priority != nil {
			m.Set(container.AttrPriority, priority)
		}
		f.must(f.s.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "spool", Destination: "d"}}}))
	}
	put("low", int32(-3))
	put("normal1", nil)
	put("high1", int32(5))
	put("text", "9")
	put("huge", int32(1000))
	put("nine", int32(9))
	put("high2", int32(5))
	const want = "huge nine high1 high2 normal1 text low"
	l := f.lease("spool", 10)
	f.wantNames(l.Items, want)
	f.must(f.s.Release(t.Context(), l.Items))
	l, err := f.s.Lease(t.Context(), repository.LeaseRequest{Queue: "spool", Limit: 10, PerDestination: func(string) int { return 10 }})
	f.must(err)
	f.wantNames(l.Items, want)
}

func asyncOrder(t *testing.T, f *fixture) {
	const n = 300
	var wg sync.WaitGroup
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint(i))
		wg.Add(1)
		f.s.CommitAsync(repository.Change{Entries: []container.Entry{{Mail: newMail(fmt.Sprint(i)), Queue: "spool"}}}, func(err error) {
			if err != nil {
				t.Error(err)
			}
			wg.Done()
		})
	}
	wg.Wait()
	f.wantNames(f.lease("spool", n).Items, strings.Join(want, " "))
}

func doneOnce(t *testing.T, f *fixture) {
	f.put("spool", 0, "a")
	it := f.leaseOne("spool")
	next := func() []container.Entry { return []container.Entry{{Mail: it.Mail.Clone(), Queue: "outgoing"}} }
	f.must(f.s.Commit(t.Context(), repository.Change{Done: it, Entries: next()}))
	f.wantErr(f.s.Commit(t.Context(), repository.Change{Done: it, Entries: next()}), repository.ErrNotLeased)
	f.wantErr(f.s.Bury(t.Context(), it, "late"), repository.ErrNotLeased)
	f.must(f.s.Release(t.Context(), []*repository.Item{it}))
	f.wantSize("spool", 0)
	f.wantSize("outgoing", 1)

	// Two at the same time: one wins.
	moved := f.leaseOne("outgoing")
	results := make(chan error, 2)
	for range 2 {
		f.s.CommitAsync(repository.Change{Done: moved, Entries: []container.Entry{{Mail: newMail("again"), Queue: "spool"}}}, func(err error) { results <- err })
	}
	f.must(<-results)
	f.wantErr(<-results, repository.ErrNotLeased)
	f.wantSize("spool", 1)

	// A released item belongs to whoever leases it next.
	f.put("outgoing", 0, "b")
	old := f.leaseOne("outgoing")
	f.must(f.s.Release(t.Context(), []*repository.Item{old}))
	fresh := f.leaseOne("outgoing")
	f.wantErr(f.s.Commit(t.Context(), repository.Change{Done: old}), repository.ErrNotLeased)
	f.done(fresh)
}

func allOrNothing(t *testing.T, f *fixture) {
	u := repository.URL{Protocol: "file", Path: "var/mail/x"}
	f.put("spool", 0, "a")
	it := f.leaseOne("spool")
	missing := repository.Change{Done: it, From: &repository.Ref{URL: u, Key: "nobody"}, Entries: []container.Entry{{Mail: newMail("b"), Queue: "outgoing"}}}
	f.wantErr(f.s.Commit(t.Context(), missing), repository.ErrNotFound)
	f.wantSize("spool", 1)
	_, err := f.s.QueueSize(t.Context(), "outgoing")
	f.wantErr(err, repository.ErrNotFound)
	if err := f.s.Commit(t.Context(), repository.Change{Done: it, Entries: []container.Entry{{Mail: newMail("b"), Queue: "spool"}, {Mail: newMail("c"), Repository: "no url"}}}); err == nil {
		t.Error("a bad repository URL was accepted")
	}
	f.wantSize("spool", 1)
	f.must(f.s.Commit(t.Context(), repository.Change{Done: it, Entries: []container.Entry{
		{Mail: it.Mail.Clone(), Queue: "outgoing"}, {Mail: newMail("b"), Queue: "spool"}, {Mail: newMail("c"), Repository: u.String()}}}))
	f.wantSize("spool", 1)
	f.wantSize("outgoing", 1)
	keys, err := f.s.Keys(t.Context(), u, repository.MailFilter{}, 0, 0)
	f.must(err)
	if fmt.Sprint(keys) != "[c]" {
		t.Errorf("got keys %v, want [c]", keys)
	}
}

func releaseAndBury(t *testing.T, f *fixture) {
	f.put("spool", 0, "a", "b", "c")
	l := f.lease("spool", 3)
	f.must(f.s.Release(t.Context(), l.Items[:2]))
	f.must(f.s.Bury(t.Context(), l.Items[2], "nothing to be done"))
	f.wantSize("spool", 2)
	again := f.lease("spool", 3)
	f.wantNames(again.Items, "a b")
	if it := again.Items[0]; it.Mail.Redelivered || it.Attempts != 0 {
		t.Errorf("a released item has %d attempts, Redelivered %v", it.Attempts, it.Mail.Redelivered)
	}
}

func leaseTurns(t *testing.T, f *fixture) {
	f.putTo("outgoing", "a", "a1", "a2", "a3")
	f.putTo("outgoing", "b", "b1")
	f.putTo("outgoing", "c", "c1", "c2")
	f.putTo("outgoing", "", "none")
	one := func(string) int { return 1 }
	after := "a"
	for _, want := range []string{"b1", "c1", "none", "a1", "c2", "a2", "a3"} {
		l, err := f.s.Lease(t.Context(), repository.LeaseRequest{Queue: "outgoing", Limit: 1, PerDestination: one, After: after})
		f.must(err)
		f.wantNames(l.Items, want)
		if len(l.Items) == 1 {
			after = l.Items[0].Destination
		}
	}
	f.wantNames(f.lease("outgoing", 10).Items, "")
}

func leaseCaps(t *testing.T, f *fixture) {
	for i := range 5 {
		f.putTo("outgoing", "down.example", fmt.Sprint("down", i))
	}
	f.putTo("outgoing", "up.example", "up0", "up1", "up2")
	caps := func(destination string) int {
		if destination == "down.example" {
			return 0
		}
		return 2
	}
	l, err := f.s.Lease(t.Context(), repository.LeaseRequest{Queue: "outgoing", Limit: 100, PerDestination: caps, After: "up.example"})
	f.must(err)
	f.wantNames(l.Items, "up0 up1")
	for i := range 700 { // more than one step of any walk
		f.putTo("many", fmt.Sprintf("d%03d.example", i), fmt.Sprint(i))
	}
	last := func(destination string) int {
		if destination == "d699.example" || destination == "d000.example" {
			return 1
		}
		return 0
	}
	l, err = f.s.Lease(t.Context(), repository.LeaseRequest{Queue: "many", Limit: 10, PerDestination: last, After: "d300.example"})
	f.must(err)
	f.wantNames(l.Items, "699 0")
	if l.More {
		t.Error("More is true, but all other destinations are full")
	}
}

func handOver(t *testing.T, f *fixture) {
	c := &consumer{places: 10}
	f.s.Consume("spool", c)
	m := newMail("a")
	f.must(f.s.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "spool", Destination: "d"}}}))
	f.settle()
	items := c.take()
	f.wantNames(items, "a")
	if it := items[0]; it.Destination != "d" || it.Queue != "spool" || it.Attempts != 0 || it.Mail.Redelivered || it.Enqueued.IsZero() {
		t.Errorf("got item %+v", it)
	}
	f.wantNames(f.lease("spool", 10).Items, "") // born leased
	f.wantSize("spool", 1)
	f.done(items[0])
	f.wantSize("spool", 0)

	// A delayed item is not handed over.
	f.put("spool", time.Hour, "later")
	f.settle()
	f.wantNames(c.take(), "")
	if taken, wakes := c.counts(); taken != 1 || wakes == 0 {
		t.Errorf("%d places are taken, want 1; %d wakes", taken, wakes)
	}
}

func handOverKeepsOrder(t *testing.T, f *fixture) {
	c := &consumer{}
	f.s.Consume("spool", c)
	f.put("spool", 0, "1", "2")
	c.set(10)
	f.put("spool", 0, "3") // has places now, but 1 and 2 come first
	f.settle()
	f.wantNames(c.take(), "")
	if _, wakes := c.counts(); wakes < 1 {
		t.Error("nobody was woken")
	}
	f.wantNames(f.lease("spool", 2).Items, "1 2")
	f.put("spool", 0, "4")
	f.settle()
	f.wantNames(c.take(), "")
	f.wantNames(f.lease("spool", 9).Items, "3 4")
	f.put("spool", 0, "5")
	f.settle()
	f.wantNames(c.take(), "5")
}

func handOverUndone(t *testing.T, f *fixture) {
	c := &consumer{places: 10}
	f.s.Consume("spool", c)
	u := repository.URL{Protocol: "file", Path: "x"}
	f.wantErr(f.s.Commit(t.Context(), repository.Change{From: &repository.Ref{URL: u, Key: "k"}, Entries: []container.Entry{{Mail: newMail("a"), Queue: "spool"}}}), repository.ErrNotFound)
	f.settle()
	if taken, _ := c.counts(); taken != 0 {
		t.Errorf("%d places are taken after a change that failed", taken)
	}
	f.wantNames(c.take(), "")
}

func consumerEnds(t *testing.T, f *fixture) {
	c := &consumer{places: 10}
	f.s.Consume("spool", c)
	f.put("spool", 0, "a")
	f.settle()
	f.s.Consume("spool", nil)
	f.put("spool", 0, "b")
	f.settle()
	f.wantNames(c.take(), "a")
	f.wantNames(f.lease("spool", 10).Items, "b")
}
