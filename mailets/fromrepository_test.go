package mailets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/sqlite"
)

// flaky is a store that refuses some changes.
type flaky struct {
	*sqlite.Store
	refuse func(repository.Change) error
}

func (f *flaky) Commit(ctx context.Context, c repository.Change) error {
	if err := f.refuse(c); err != nil {
		return err
	}
	return f.Store.Commit(ctx, c)
}

func (f *flaky) CommitAsync(c repository.Change, done func(error)) {
	if err := f.refuse(c); err != nil {
		done(err)
		return
	}
	f.Store.CommitAsync(c, done)
}

// respoolRig is a store with a repository of n mails and a respooler over it.
type respoolRig struct {
	store *flaky
	r     *respooler
	url   repository.URL
	log   *strings.Builder
}

func newRespoolRig(t *testing.T, dir string, n int) *respoolRig {
	t.Helper()
	s, err := sqlite.Open(dir, sqlite.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	g := &respoolRig{store: &flaky{s, func(repository.Change) error { return nil }}, url: repository.URL{Protocol: "file", Path: "var/mail/error"}, log: &strings.Builder{}}
	g.r = newRespooler(Services{Queues: g.store, Repositories: s, Log: slog.New(slog.NewTextHandler(g.log, nil))})
	g.r.pause = 0
	var mails []container.Entry
	for i := range n {
		m := testMail("bob@example.com")
		m.Name = fmt.Sprintf("mail%03d", i)
		mails = append(mails, container.Entry{Mail: m, Repository: g.url.String()})
	}
	g.commit(t, mails...)
	return g
}

func (g *respoolRig) commit(t *testing.T, e ...container.Entry) {
	t.Helper()
	if err := g.store.Store.Commit(t.Context(), repository.Change{Entries: e}); err != nil {
		t.Fatal(err)
	}
}

// trigger lets the mailet with these parameters serve a mail.
func (g *respoolRig) trigger(t *testing.T, params string) {
	t.Helper()
	ma := mustLoad(t, testRegistry(t), "FromRepository", "<repositoryPath>"+g.url.String()+"</repositoryPath>"+params)
	m := testMail("respool@example.com")
	out := serve(t, ma, m)
	if m.State != container.StateGhost {
		t.Errorf("the trigger is in state %s", m.State)
	}
	g.commit(t, out.Entries()...)
}

// spooled returns how often each mail is in the spool.
func (g *respoolRig) spooled(t *testing.T, state string) map[string]int {
	t.Helper()
	out := map[string]int{}
	l, err := g.store.Lease(t.Context(), repository.LeaseRequest{Queue: container.SpoolQueue, Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range l.Items {
		out[it.Mail.Name]++
		from, _ := it.Mail.Attributes.Bool("FromRepository")
		by, _ := it.Mail.Attributes.Bool(container.AttrSentByMailet)
		if !from || !by || it.Mail.State != state {
			t.Errorf("%s: state %s, attributes %v", it.Mail.Name, it.Mail.State, it.Mail.Attributes)
		}
	}
	return out
}

func (g *respoolRig) check(t *testing.T, state string, mails, left int) {
	t.Helper()
	got := g.spooled(t, state)
	if len(got) != mails {
		t.Errorf("%d mails are in the spool, want %d", len(got), mails)
	}
	for name, n := range got {
		if n != 1 {
			t.Errorf("%s is in the spool %d times", name, n)
		}
	}
	if n, err := g.store.RepositorySize(t.Context(), g.url); err != nil || n != int64(left) {
		t.Errorf("the repository has %d mails, %v; want %d", n, err, left)
	}
	if n, err := g.store.QueueSize(t.Context(), respoolQueue); err != nil || n != 0 {
		t.Errorf("%d triggers are left, %v", n, err)
	}
}

// drain works until nothing is left to do, through errors of the store.
func (g *respoolRig) drain(t *testing.T) {
	t.Helper()
	for range 1000 {
		if _, err := g.r.empty(t.Context()); err == nil {
			return
		}
	}
	t.Fatal("no end of errors")
}

var errFull = errors.New("disk full")

func TestFromRepository(t *testing.T) {
	for _, tc := range []struct {
		name, params, state string
		left                int
		refuse              func(repository.Change) error
	}{
		{"keep", "", "root", 250, nil},
		{"delete", "<delete>true</delete><processor>again</processor>", "again", 0, nil},
		{"keep, every second step fails", "", "root", 250, every(2)},
		{"delete, every second step fails", "<delete>true</delete>", "root", 0, every(2)},
		{"keep, only single mails are stored", "", "root", 250, func(c repository.Change) error {
			if len(c.Entries) > 2 {
				return errFull
			}
			return nil
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newRespoolRig(t, t.TempDir(), 250)
			g.trigger(t, tc.params)
			if tc.refuse != nil {
				g.store.refuse = tc.refuse
			}
			g.drain(t)
			g.check(t, tc.state, 250, tc.left)
		})
	}
}

func every(n int32) func(repository.Change) error {
	var calls atomic.Int32
	return func(repository.Change) error {
		if calls.Add(1)%n == 0 {
			return errFull
		}
		return nil
	}
}

// A process that dies at any step leaves every mail in the spool once in the end.
func TestFromRepositoryCrash(t *testing.T) {
	for _, params := range []string{"", "<delete>true</delete>"} {
		for died := range 4 {
			t.Run(fmt.Sprint(params, died), func(t *testing.T) {
				dir := t.TempDir()
				g := newRespoolRig(t, dir, 250)
				g.trigger(t, params)
				steps := 0
				g.store.refuse = func(c repository.Change) error {
					if c.Done != nil {
						steps++
					}
					if steps > died {
						return repository.ErrClosed
					}
					return nil
				}
				if _, err := g.r.empty(t.Context()); err == nil && died < 4 {
					t.Fatal("it did not die")
				}
				if err := g.store.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
				left := 250
				if params != "" {
					left = 0
				}
				g = newRespoolRig(t, dir, 0)
				g.drain(t)
				g.check(t, "root", 250, left)
			})
		}
	}
}

// What comes back into the repository while it is respooled is not taken again.
func TestFromRepositoryComeBack(t *testing.T) {
	g := newRespoolRig(t, t.TempDir(), 120)
	g.trigger(t, "<delete>true</delete>")
	back := 0
	g.store.refuse = func(c repository.Change) error {
		if c.Done != nil && back < 5 {
			back++
			m := testMail("bob@example.com")
			m.Name = fmt.Sprintf("mail%03d", back)
			return g.store.Store.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: m, Repository: g.url.String()}}})
		}
		return nil
	}
	g.drain(t)
	g.check(t, "root", 120, back)
}

// A trigger for a repository that is gone, or from a repository, does nothing.
func TestFromRepositoryNothing(t *testing.T) {
	g := newRespoolRig(t, t.TempDir(), 0)
	g.trigger(t, "")
	g.drain(t)
	if !strings.Contains(g.log.String(), "repository not respooled") {
		t.Errorf("the log says:\n%s", g.log)
	}
	ma := mustLoad(t, testRegistry(t), "FromRepository", "<repositoryPath>file://a</repositoryPath>")
	m := testMail("respool@example.com")
	m.Set("FromRepository", true)
	if out := serve(t, ma, m); out.Len() != 0 || m.State != container.StateGhost {
		t.Errorf("a trigger from a repository: %d entries, state %s", out.Len(), m.State)
	}
}

// Run wakes up for a trigger and ends with its context; a second one waits.
func TestFromRepositoryRun(t *testing.T) {
	g := newRespoolRig(t, t.TempDir(), 3)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for range 2 {
		go func() { ended <- g.r.Run(ctx) }()
	}
	done := make(chan struct{})
	g.store.refuse = func(c repository.Change) error {
		if c.Done != nil && len(c.Entries) == 0 {
			close(done)
		}
		return nil
	}
	g.trigger(t, "")
	<-done
	if queue, ok := g.r.Consuming(); queue != "from-repository" || !ok {
		t.Errorf("Consuming: %s, %t", queue, ok)
	}
	stop()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	g.check(t, "root", 3, 3)
}
