package sqlite

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/mailetd/mailetd/repository"
)

const itemFill = "queue, destination, priority, state, ready_at, enqueued_at, attempts"

// fill adds n rows to a table, without a message of their own.
func fill(t testing.TB, s *Store, n int, columns, table, values string) {
	t.Helper()
	must(t, s.do(context.Background(), func(w *writer) error {
		return w.c.exec(fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO %s (%s, mail_id, name, sender, recipients, proc_state, error, remote_host, remote_addr, updated, message)
			SELECT %s, 'id', 'name' || i, 'a@example.org', '["b@example.org"]', 'root', '', '', '', 0, 1 FROM n`, n, table, columns, values))
	}))
}

// peakHeap returns by how much the heap grew while f ran, garbage that was not
// collected yet included.
func peakHeap(f func()) int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, peak := int64(m.HeapAlloc), int64(0)
	done, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			runtime.ReadMemStats(&m)
			peak = max(peak, int64(m.HeapAlloc)-before)
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	f()
	close(done)
	<-ended
	return peak
}

// BenchmarkBacklog leases from a queue with a backlog of a million items: those
// of one destination that is full, those of 5000 others, and delayed ones; and
// reads the first page of a repository of a million mails.
func BenchmarkBacklog(b *testing.B) {
	s := openTest(b, b.TempDir())
	ctx := context.Background()
	put(b, s, "q", testMail("m", nil))
	put(b, s, "r", testMail("m", nil))
	must(b, s.CreateRepository(ctx, repository.URL{Protocol: "file", Path: "x"}))
	fill(b, s, 900_000, itemFill, "queue_item", "'q', 'full.example', 0, 0, i, i, 0")
	fill(b, s, 50_000, itemFill, "queue_item", "'q', 'd' || (i % 5000) || '.example', 0, 0, i, i, 0")
	fill(b, s, 50_000, itemFill, "queue_item", "'q', 'd' || (i % 5000) || '.example', 0, 3, 4000000000000000000 + i, i, 0")
	fill(b, s, 1_000_000, "repository, key", "repository_mail", "1, 'name' || i")
	must(b, s.do(ctx, func(w *writer) error { w.lastItem, w.lastMail = 2_000_000, 2_000_000; return nil }))

	lease := func(b *testing.B, r repository.LeaseRequest) {
		for b.Loop() {
			l, err := s.Lease(ctx, r)
			must(b, err)
			b.StopTimer()
			must(b, s.Release(ctx, l.Items))
			b.StartTimer()
		}
	}
	b.Run("order", func(b *testing.B) { lease(b, repository.LeaseRequest{Queue: "q", Limit: 20}) })
	b.Run("turns", func(b *testing.B) {
		lease(b, repository.LeaseRequest{Queue: "q", Limit: 20, After: "e", PerDestination: func(d string) int {
			if d == "full.example" {
				return 0
			}
			return 2
		}})
	})
	b.Run("all-full", func(b *testing.B) {
		lease(b, repository.LeaseRequest{Queue: "q", Limit: 20, PerDestination: func(string) int { return 0 }})
	})
	b.Run("size", func(b *testing.B) {
		for b.Loop() {
			_, err := s.QueueSize(ctx, "q")
			must(b, err)
		}
	})
	b.Run("keys", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Keys(ctx, repository.URL{Protocol: "file", Path: "x"}, repository.MailFilter{}, 0, 100)
			must(b, err)
		}
	})
	b.Run("keys-offset", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Keys(ctx, repository.URL{Protocol: "file", Path: "x"}, repository.MailFilter{}, 900_000, 100)
			must(b, err)
		}
	})
	b.Run("browse", func(b *testing.B) {
		for b.Loop() {
			must(b, s.BrowseQueue(ctx, "q", repository.QueueFilter{}, 100, func(repository.QueueEntry) error { return nil }))
		}
	})
}

// TestListingMemory: listings of a long queue and a long repository hold a page
// in memory, not the whole.
func TestListingMemory(t *testing.T) {
	rows := 100_000
	if testing.Short() {
		rows = 50_000
	}
	s := openTest(t, t.TempDir())
	ctx := context.Background()
	u := repository.URL{Protocol: "file", Path: "x"}
	must(t, s.CreateRepository(ctx, u))
	put(t, s, "q", testMail("m", nil))
	fill(t, s, rows, itemFill, "queue_item", "'q', 'd' || (i % 5000) || '.example', 0, (i % 2) * 3, 4000000000000000000 + i, i, 0")
	fill(t, s, rows, "repository, key", "repository_mail", "1, 'name' || i")
	must(t, s.do(ctx, func(w *writer) error { w.lastItem, w.lastMail = int64(2*rows), int64(2*rows); return nil }))

	seen := 0
	visit := func(repository.QueueEntry) error { seen++; return nil }
	for name, list := range map[string]func(limit int) error{
		"browse": func(limit int) error { return s.BrowseQueue(ctx, "q", repository.QueueFilter{}, limit, visit) },
		"browse with a filter that selects nothing": func(limit int) error {
			nobody := "nobody@example.org"
			if limit == 0 {
				seen += rows
			}
			return s.BrowseQueue(ctx, "q", repository.QueueFilter{Recipient: &nobody}, limit, visit)
		},
		"keys": func(limit int) error {
			cursor, until := int64(0), int64(0)
			for {
				keys, next, last, err := s.KeysAfter(ctx, u, cursor, until, 100)
				if err != nil || len(keys) == 0 || limit != 0 {
					return err
				}
				cursor, until = next, last
				seen += len(keys)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, list(1)) // what the first call prepares is not counted
			seen = 0
			if peak := peakHeap(func() { must(t, list(0)) }); peak > 16<<20 {
				t.Errorf("%d rows took %d octets of memory", rows, peak)
			}
			if seen < rows {
				t.Errorf("saw %d rows, want %d", seen, rows)
			}
		})
	}
}
