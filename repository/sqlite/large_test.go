package sqlite

import (
	"context"
	"fmt"
	"testing"

	"github.com/mailetd/mailetd/repository"
)

// BenchmarkBacklog leases from a queue with a backlog of a million items: those
// of one destination that is full, those of 5000 others, and delayed ones; and
// reads the first page of a repository of a million mails.
func BenchmarkBacklog(b *testing.B) {
	s := openTest(b, b.TempDir())
	ctx := context.Background()
	fill := func(n int, columns, table, values string) {
		must(b, s.do(ctx, func(w *writer) error {
			return w.c.exec(fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
				INSERT INTO %s (%s, mail_id, name, sender, recipients, proc_state, error, remote_host, remote_addr, updated, message)
				SELECT %s, 'id', 'name' || i, 'a@example.org', '["b@example.org"]', 'root', '', '', '', 0, 1 FROM n`, n, table, columns, values))
		}))
	}
	put(b, s, "q", testMail("m", nil))
	put(b, s, "r", testMail("m", nil))
	must(b, s.CreateRepository(ctx, repository.URL{Protocol: "file", Path: "x"}))
	const item = "queue, destination, priority, state, ready_at, enqueued_at, attempts"
	fill(900_000, item, "queue_item", "'q', 'full.example', 0, 0, i, i, 0")
	fill(50_000, item, "queue_item", "'q', 'd' || (i % 5000) || '.example', 0, 0, i, i, 0")
	fill(50_000, item, "queue_item", "'q', 'd' || (i % 5000) || '.example', 0, 3, 4000000000000000000 + i, i, 0")
	fill(1_000_000, "repository, key", "repository_mail", "1, 'name' || i")
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
