package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/repository"
)

// TestGroup: in one group, what spoils the transaction fails alone.
func TestGroup(t *testing.T) {
	s := openTest(t, t.TempDir())
	release := make(chan bool)
	var all sync.WaitGroup
	all.Go(func() {
		must(t, s.do(context.Background(), func(*writer) error { <-release; return nil }))
	})
	waitFor(t, "the writer to be busy", func() bool { return len(s.ops) == 0 })
	boom := errors.New("boom")
	results := map[string]error{}
	var mu sync.Mutex
	note := func(name string) func(error) {
		all.Add(1)
		return func(err error) {
			mu.Lock()
			defer mu.Unlock()
			results[name] = err
			all.Done()
		}
	}
	runs := 0
	commit := func(name string) {
		s.CommitAsync(repository.Change{Entries: []container.Entry{{Mail: testMail(name, nil), Queue: "q"}}}, note(name))
	}
	commit("a")
	must(t, s.send(context.Background(), &operation{done: note("bad"), fn: func(w *writer) error {
		runs++
		if _, err := w.write(stInsertQueue, "spoiled"); err != nil {
			return err
		}
		return boom
	}}))
	commit("b")
	must(t, s.send(context.Background(), &operation{done: note("refused"), fn: func(*writer) error { return boom }}))
	// A transaction that the database ends by itself, as it does on some errors.
	must(t, s.send(context.Background(), &operation{done: note("ended"), fn: func(w *writer) error { return errors.Join(boom, w.c.exec("ROLLBACK")) }}))
	commit("c")
	close(release)
	all.Wait()
	for name, err := range results {
		if bad := name == "bad" || name == "refused" || name == "ended"; bad != errors.Is(err, boom) || !bad && err != nil {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	if len(results) != 6 || runs == 0 {
		t.Errorf("got %d results, want 6", len(results))
	}
	if got := itemNames(leaseAll(t, s, "q")); got != "a b c" {
		t.Errorf("got items %q, want a b c", got)
	}
	if n := count(t, s, "SELECT COUNT(*) FROM queue WHERE name = 'spoiled'"); n != 0 {
		t.Error("what the bad operation wrote is there")
	}
}

func itemNames(items []*repository.Item) string {
	var out []string
	for _, it := range items {
		out = append(out, it.Mail.Name)
	}
	return strings.Join(out, " ")
}

// TestFull: a full disk fails what needs room and nothing else, and is over when
// there is room again.
func TestFull(t *testing.T) {
	s := openTest(t, t.TempDir())
	c := &greedy{}
	put(t, s, "q", testMail("first", container.BytesBody(make([]byte, 100_000))))
	s.Consume("q", c)
	limit := func(pages int) {
		must(t, s.do(context.Background(), func(w *writer) error {
			return w.c.query(fmt.Sprintf("PRAGMA max_page_count = %d", pages), func([]value) error { return nil })
		}))
	}
	limit(int(count(t, s, "SELECT page_count FROM pragma_page_count")) + 4)
	first := leaseAll(t, s, "q")[0]
	var all sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	for i := range 30 {
		all.Add(1)
		// The small one gets its place with the consumer before the large one fails.
		s.CommitAsync(repository.Change{Entries: []container.Entry{{Mail: testMail("small", nil), Queue: "q"},
			{Mail: testMail(fmt.Sprint(i), container.BytesBody(make([]byte, 100_000))), Queue: "q"}}}, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed++
			}
			all.Done()
		})
	}
	all.Wait()
	if failed != 30 {
		t.Errorf("%d of 30 changes failed, want all", failed)
	}
	if n := c.open(); n != 0 || c.asked == 0 {
		t.Errorf("%d of %d places stayed reserved", n, c.asked)
	}
	wantSound(t, s)
	must(t, s.Commit(context.Background(), repository.Change{Done: first})) // frees pages
	put(t, s, "q", testMail("fits", container.BytesBody(make([]byte, 50_000))))
	limit(1 << 30)
	must(t, s.Ping(context.Background()))
	put(t, s, "q", testMail("later", container.BytesBody(make([]byte, 100_000))))
	must(t, s.do(context.Background(), func(*writer) error { return nil }))
	if n, err := s.QueueSize(context.Background(), "q"); n != 2 || err != nil {
		t.Errorf("got size %d, %v; want 2", n, err)
	}
}

// greedy takes everything.
type greedy struct {
	mu       sync.Mutex
	asked    int
	reserved int
	items    []*repository.Item
}

func (g *greedy) Reserve(string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	g.reserved++
	return true
}
func (g *greedy) Unreserve(string) { g.mu.Lock(); defer g.mu.Unlock(); g.reserved-- }
func (g *greedy) Wake()            {}
func (g *greedy) Accept(it *repository.Item) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.items = append(g.items, it)
}
func (g *greedy) open() int { g.mu.Lock(); defer g.mu.Unlock(); return g.reserved }

// TestBudget: beyond the budget bodies stay in the database, and read the same.
func TestBudget(t *testing.T) {
	s, err := Open(t.TempDir(), Options{Logger: quiet(), MemoryBudget: 25_000})
	must(t, err)
	closeAfter(t, s)
	c := &greedy{}
	s.Consume("q", c)
	for i := range 4 {
		put(t, s, "q", testMail(fmt.Sprint(i), container.BytesBody(bytes.Repeat([]byte{byte('a' + i)}, 10_000))))
	}
	must(t, s.do(context.Background(), func(*writer) error { return nil }))
	if n := s.Stats().Memory; n > 25_000 {
		t.Errorf("%d octets are in memory, the budget is 25000", n)
	}
	inMemory := 0
	for i, it := range c.items {
		if _, ok := it.Mail.Message.Body().(container.BytesBody); ok {
			inMemory++
		}
		var b bytes.Buffer
		if _, err := it.Mail.Message.WriteTo(&b); err != nil || b.Len() != int(it.Mail.Message.Size()) || b.Bytes()[b.Len()-1] != byte('a'+i) {
			t.Errorf("item %d: %d octets, %v", i, b.Len(), err)
		}
	}
	if inMemory != 2 {
		t.Errorf("%d bodies are in memory, want 2", inMemory)
	}
	for _, it := range c.items {
		must(t, s.Commit(context.Background(), repository.Change{Done: it}))
	}
	must(t, s.do(context.Background(), func(*writer) error { return nil }))
	if st := s.Stats(); st.Memory != 0 || st.Leased != 0 {
		t.Errorf("got %+v after everything is done", st)
	}
	wantEmpty(t, s)
}

// TestSharing counts rows: one body, one row for each header.
func TestSharing(t *testing.T) {
	for _, size := range []int{1000, 300_000} {
		s := openTest(t, t.TempDir())
		c := &greedy{}
		s.Consume("spool", c)
		w := s.NewBody()
		_, err := w.Write(make([]byte, size))
		must(t, err)
		body, err := w.Finish()
		must(t, err)
		m := testMail("m", body)
		must(t, s.Commit(context.Background(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "spool"}}}))
		must(t, s.do(context.Background(), func(*writer) error { return nil }))
		it := c.items[0]
		edited := it.Mail.Clone()
		edited.Message.SetHeader([]byte("Subject: edited\r\n"))
		must(t, s.Commit(context.Background(), repository.Change{Done: it, Entries: []container.Entry{
			{Mail: it.Mail.Clone(), Queue: "a"}, {Mail: it.Mail.Clone(), Queue: "b"}, {Mail: edited.Clone(), Queue: "c"}, {Mail: edited.Clone(), Repository: "file://x"}}}))
		wantSound(t, s)
		for query, want := range map[string]int64{
			"SELECT COUNT(*) FROM message": 2, "SELECT COUNT(*) FROM message WHERE base IS NULL": 1,
			"SELECT id FROM queue_item WHERE queue = 'a'": it.ID, // taken over, not made anew
			"SELECT COUNT(*) FROM queue_item":             3,
		} {
			if got := count(t, s, query); got != want {
				t.Errorf("size %d: %s: got %d, want %d", size, query, got, want)
			}
		}
		for _, queue := range []string{"a", "b", "c"} {
			for _, it := range leaseAll(t, s, queue) {
				must(t, s.Commit(context.Background(), repository.Change{Done: it}))
			}
		}
		wantSound(t, s)
		if n := count(t, s, "SELECT COUNT(*) FROM message"); n != 2 {
			t.Errorf("size %d: %d messages are left with a repository mail, want 2", size, n)
		}
		_, err = s.ClearRepository(context.Background(), repository.URL{Protocol: "file", Path: "x"}, nil)
		must(t, err)
		wantEmpty(t, s)
	}
}

// TestGone: a mail whose remembered row is gone is stored again, or refused when
// its content is gone as well.
func TestGone(t *testing.T) {
	s := openTest(t, t.TempDir())
	m := testMail("m", container.BytesBody("body\r\n"))
	u := repository.URL{Protocol: "file", Path: "x"}
	store := func(m *container.Mail) error {
		return s.Commit(context.Background(), repository.Change{Entries: []container.Entry{{Mail: m, Repository: u.String()}}})
	}
	must(t, store(m))
	ref := repository.Ref{URL: u, Key: "m"}
	lazy, err := s.Mail(context.Background(), ref)
	must(t, err)
	must(t, s.Commit(context.Background(), repository.Change{From: &ref}))
	if err := store(lazy); !errors.Is(err, repository.ErrNotFound) {
		t.Errorf("got error %v, want ErrNotFound", err)
	}
	must(t, store(m))
	again, err := s.Mail(context.Background(), ref)
	must(t, err)
	var b bytes.Buffer
	if _, err := again.Message.WriteTo(&b); err != nil || b.String() != "Subject: m\r\n\r\nbody\r\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

// TestFiles: body files live as long as somebody may want them.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{Logger: quiet()})
	must(t, err)
	intake := func() (repository.BodyWriter, container.Body) {
		w := s.NewBody()
		_, err := w.Write(make([]byte, 300_000))
		must(t, err)
		b, err := w.Finish()
		must(t, err)
		return w, b
	}
	_, kept := intake()
	put(t, s, "q", testMail("kept", kept))
	writing := s.NewBody()
	_, err = writing.Write(make([]byte, 300_000))
	must(t, err)
	_, pending := intake()
	must(t, os.WriteFile(filepath.Join(s.bodies, "ORPHAN"), []byte("x"), 0o600))
	n, err := s.Housekeep(context.Background())
	must(t, err)
	if n != 1 || len(files(t, s)) != 3 {
		t.Errorf("removed %d files, left %v", n, files(t, s))
	}
	runtime.KeepAlive(pending)
	writing.Abort()
	pending = nil // nobody can commit it any more
	waitFor(t, "a forgotten body to be removed", func() bool { runtime.GC(); return len(files(t, s)) == 1 })
	wantSound(t, s)
	must(t, s.Close(context.Background()))
	must(t, os.WriteFile(filepath.Join(s.bodies, "LEFT.tmp"), []byte("x"), 0o600))
	s = openTest(t, dir)
	if got := files(t, s); len(got) != 1 {
		t.Errorf("got files %v after a start, want one", got)
	}
	must(t, s.Commit(context.Background(), repository.Change{Done: leaseAll(t, s, "q")[0]}))
	wantEmpty(t, s)
}

// TestUnreadable: a row that cannot be read does not block the queue.
func TestUnreadable(t *testing.T) {
	s := openTest(t, t.TempDir())
	put(t, s, "q", testMail("bad", nil), testMail("good", nil))
	must(t, s.do(context.Background(), func(w *writer) error { return w.c.exec("UPDATE queue_item SET attributes = '{' WHERE name = 'bad'") }))
	if got := itemNames(leaseAll(t, s, "q")); got != "good" {
		t.Errorf("got items %q, want good", got)
	}
	dead, err := s.Dead(context.Background())
	must(t, err)
	if dead["q"] != 1 {
		t.Errorf("got dead items %v, want one in q", dead)
	}
	must(t, s.do(context.Background(), func(w *writer) error { return w.c.exec("UPDATE queue_item SET attributes = NULL") }))
	if n, err := s.Revive(context.Background(), "q"); n != 1 || err != nil {
		t.Errorf("revived %d, %v", n, err)
	}
	if got := itemNames(leaseAll(t, s, "q")); got != "bad" {
		t.Errorf("got items %q, want bad", got)
	}
}

// TestPlans: no statement of the writer, and no page of a listing, looks at a
// whole table or sorts.
func TestPlans(t *testing.T) {
	s := openTest(t, t.TempDir())
	plans := append([]string{readyPage, delayedPage, leasedPage, nextPriority, mailIDs}, statements[stInsertMessage:]...)
	for _, q := range plans {
		must(t, s.do(context.Background(), func(w *writer) error {
			return w.c.query("EXPLAIN QUERY PLAN "+q, func(row []value) error {
				if d := asText(row[3]); strings.Contains(d, "TEMP B-TREE") || strings.HasPrefix(d, "SCAN") {
					t.Errorf("%s: %s", d, q)
				}
				return nil
			})
		}))
	}
}

// TestConcurrent has many goroutines do everything at once, for -race.
func TestConcurrent(t *testing.T) {
	s := openTest(t, t.TempDir())
	var mails, workers sync.WaitGroup
	under := make(chan struct{}, 200)
	fail := func(err error) { t.Error(err) }
	spool := &pipe{s: s, to: "outgoing", items: make(chan *repository.Item, cap(under)), fail: fail}
	out := &pipe{s: s, items: make(chan *repository.Item, cap(under)), under: under, done: &mails, fail: fail}
	s.Consume("spool", spool)
	s.Consume("outgoing", out)
	for range 3 {
		workers.Go(spool.run)
		workers.Go(out.run)
	}
	const n = 50
	mails.Add(8 * n)
	for range 8 {
		workers.Go(func() {
			for i := range n {
				under <- struct{}{}
				m, err := benchMail(s, make([]byte, 1+i*4000), i)
				if err == nil {
					err = s.Commit(context.Background(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "spool"}}})
				}
				if err != nil {
					t.Error(err)
				}
				if _, err := s.QueueSize(context.Background(), "spool"); err != nil && !errors.Is(err, repository.ErrNotFound) {
					t.Error(err)
				}
			}
		})
	}
	mails.Wait()
	close(spool.items)
	close(out.items)
	workers.Wait()
	wantEmpty(t, s)
}

func TestClosed(t *testing.T) {
	s := openTest(t, t.TempDir())
	put(t, s, "q", testMail("m", nil))
	done := make(chan error, 1)
	s.CommitAsync(repository.Change{Entries: []container.Entry{{Mail: testMail("n", nil), Queue: "q"}}}, func(err error) { done <- err })
	must(t, s.Close(context.Background()))
	must(t, <-done)
	s.CommitAsync(repository.Change{}, func(err error) { done <- err })
	for name, err := range map[string]error{"CommitAsync": <-done, "Ping": s.Ping(context.Background()), "CreateQueue": s.CreateQueue(context.Background(), "x")} {
		if !errors.Is(err, repository.ErrClosed) {
			t.Errorf("%s: got error %v, want ErrClosed", name, err)
		}
	}
	s.Consume("q", nil)
	must(t, s.Close(context.Background()))
}

// TestLog: a reader that keeps the log from being written back is survived, and
// afterwards the log is cut.
func TestLog(t *testing.T) {
	s := openTest(t, t.TempDir())
	put(t, s, "q", testMail("m", nil))
	rows, err := s.read.Query("SELECT id FROM message UNION ALL SELECT id FROM queue_item")
	must(t, err)
	rows.Next()
	put(t, s, "q", testMail("n", container.BytesBody(make([]byte, 100_000))))
	check := func() int64 {
		must(t, s.do(context.Background(), func(w *writer) error { w.after = append(w.after, func() { w.checkLog(0) }); return nil }))
		must(t, s.do(context.Background(), func(*writer) error { return nil }))
		return s.Stats().LogBytes
	}
	if check() == 0 {
		t.Error("the log was cut under a reader")
	}
	must(t, rows.Close())
	if n := check(); n != 0 {
		t.Errorf("the log has %d octets, want 0", n)
	}
	put(t, s, "q", testMail("o", nil))
}

func TestLocal(t *testing.T) {
	s := openTest(t, t.TempDir())
	ctx := context.Background()
	for range 2 {
		must(t, s.AddDomain(ctx, "b.example"))
	}
	must(t, s.AddDomain(ctx, "a.example"))
	list, err := s.Domains(ctx)
	must(t, err)
	list[0] = "changed by the caller"
	must(t, s.RemoveDomain(ctx, "b.example"))
	must(t, s.RemoveDomain(ctx, "b.example"))
	if list, err = s.Domains(ctx); err != nil || fmt.Sprint(list) != "[a.example]" {
		t.Errorf("got domains %v, %v", list, err)
	}
	if _, ok, err := s.User(ctx, "bob"); ok || err != nil {
		t.Errorf("found a user that is not there: %v", err)
	}
	must(t, s.PutUser(ctx, local.User{Name: "bob", Algorithm: "x", Hash: "1"}))
	must(t, s.PutUser(ctx, local.User{Name: "bob", Algorithm: "x", Hash: "2"}))
	for range 2 { // from the database, from memory
		if u, ok, err := s.User(ctx, "bob"); !ok || u.Hash != "2" || err != nil {
			t.Errorf("got user %+v, %v, %v", u, ok, err)
		}
	}
	if users, err := s.Users(ctx); err != nil || fmt.Sprint(users) != "[bob]" {
		t.Errorf("got users %v, %v", users, err)
	}
	must(t, s.RemoveUser(ctx, "bob"))
	if _, ok, _ := s.User(ctx, "bob"); ok {
		t.Error("the user is still there")
	}
	z, a := local.Mapping{Type: local.MapAlias, Target: "z@a.example"}, local.Mapping{Type: local.MapForward, Target: "a@a.example"}
	for _, m := range []local.Mapping{z, a, z} {
		must(t, s.AddMapping(ctx, "x@a.example", m))
	}
	must(t, s.AddMapping(ctx, "w@a.example", a))
	for range 2 {
		if got, err := s.Mappings(ctx, "x@a.example"); err != nil || fmt.Sprint(got) != fmt.Sprint([]local.Mapping{z, a}) {
			t.Errorf("got mappings %v, %v", got, err)
		}
	}
	if got, err := s.SourcesOf(ctx, a); err != nil || fmt.Sprint(got) != "[w@a.example x@a.example]" {
		t.Errorf("got sources %v, %v", got, err)
	}
	must(t, s.RemoveMapping(ctx, "x@a.example", z))
	if got, err := s.AllMappings(ctx); err != nil || len(got) != 2 || len(got["x@a.example"]) != 1 {
		t.Errorf("got mappings %v, %v", got, err)
	}
}

// TestSynchronous: the connection that writes flushes at every commit.
func TestSynchronous(t *testing.T) {
	s := openTest(t, t.TempDir())
	for pragma, want := range map[string]int64{"synchronous": 2, "page_size": pageSize, "wal_autocheckpoint": walPages, "auto_vacuum": 0} {
		must(t, s.do(context.Background(), func(w *writer) error {
			got, err := w.c.pragma(pragma)
			if got != want {
				t.Errorf("%s is %d, want %d", pragma, got, want)
			}
			return err
		}))
	}
	if _, err := s.read.Exec("DELETE FROM queue"); err == nil || errors.Is(err, sql.ErrConnDone) {
		t.Errorf("a reader could write: %v", err)
	}
}
