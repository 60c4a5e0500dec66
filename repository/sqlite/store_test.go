package sqlite

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/repositorytest"
)

// quiet drops what tests provoke.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// openTest opens a store that is checked and closed when the test is over.
func openTest(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, s)
	return s
}

func closeAfter(t testing.TB, s *Store) {
	t.Cleanup(func() {
		if !s.closed {
			wantSound(t, s)
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// wantSound fails when the store contradicts itself.
func wantSound(t testing.TB, s *Store) {
	t.Helper()
	must(t, s.do(context.Background(), func(*writer) error { return nil }))
	faults, err := s.Check(context.Background())
	must(t, err)
	for _, f := range faults {
		t.Error("check:", f)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	repositorytest.Run(t, func(t *testing.T, dir string, now func() time.Time) repositorytest.Store {
		s, err := Open(dir, Options{Logger: quiet(), Now: now})
		must(t, err)
		return checked{s, t}
	})
}

// checked looks for contradictions before it closes.
type checked struct {
	*Store
	t *testing.T
}

func (c checked) Close(ctx context.Context) error {
	if !c.closed {
		wantSound(c.t, c.Store)
	}
	return c.Store.Close(ctx)
}

func testMail(name string, body container.Body) *container.Mail {
	m := container.NewMail(container.MustAddress("a@example.org"), []container.Address{container.MustAddress("b@example.org")},
		container.NewMessage([]byte("Subject: "+name+"\r\n"), body))
	m.Name = name
	return m
}

func put(t testing.TB, s *Store, queue string, mails ...*container.Mail) {
	t.Helper()
	for _, m := range mails {
		must(t, s.Commit(context.Background(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: queue}}}))
	}
}

func leaseAll(t testing.TB, s *Store, queue string) []*repository.Item {
	t.Helper()
	l, err := s.Lease(context.Background(), repository.LeaseRequest{Queue: queue, Limit: 1000})
	must(t, err)
	return l.Items
}

// count returns the number that a query finds.
func count(t testing.TB, s *Store, query string) int64 {
	t.Helper()
	list, err := column[int64](context.Background(), s.read, query)
	must(t, err)
	return list[0]
}
