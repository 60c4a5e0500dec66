package sqlite

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

func TestGreylist(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s, err := Open(dir, Options{Logger: quiet()})
	must(t, err)
	now := time.UnixMilli(1e12)
	a := local.Triplet{Network: "192.0.2.0/24", Sender: "a@far.test", Recipient: "bob@here.test"}
	b := local.Triplet{Network: a.Network, Recipient: a.Recipient} // null sender
	one := local.Greylisted{First: now, Last: now, Until: now.Add(time.Hour)}
	two := local.Greylisted{First: now, Last: now.Add(time.Minute), Passed: 1, Until: now.Add(2 * time.Hour)}
	must(t, s.PutGreylisted(ctx, a, one))
	must(t, s.PutGreylisted(ctx, b, one))
	must(t, s.PutGreylisted(ctx, a, two))
	must(t, s.Close(ctx))

	s = openTest(t, dir)
	check := func(tr local.Triplet, want local.Greylisted, wantKnown bool) {
		t.Helper()
		if got, known, err := s.Greylisted(ctx, tr); got != want || known != wantKnown || err != nil {
			t.Errorf("%v: got %v, %v, %v, want %v", tr, got, known, err, want)
		}
	}
	check(a, two, true)
	check(b, one, true)
	check(local.Triplet{Network: "192.0.2.0/24", Sender: "a@far.test", Recipient: "carol@here.test"}, local.Greylisted{}, false)
	for _, step := range []struct {
		after time.Duration
		max   int
		want  int
	}{{time.Hour - time.Millisecond, 10, 0}, {time.Hour, 10, 1}, {time.Hour, 10, 0}} {
		if n, err := s.ForgetGreylisted(ctx, now.Add(step.after), step.max); n != step.want || err != nil {
			t.Errorf("after %v: forgot %d, %v, want %d", step.after, n, err, step.want)
		}
	}
	check(a, two, true)
	check(b, local.Greylisted{}, false)
	must(t, s.PutGreylisted(ctx, b, one))
	if n, err := s.ForgetGreylisted(ctx, now.Add(3*time.Hour), 1); n != 1 || err != nil {
		t.Errorf("forgot %d of at most 1, %v", n, err)
	}
	check(b, local.Greylisted{}, false)
	check(a, two, true)
}

func BenchmarkGreylisted(b *testing.B) {
	s, err := Open(b.TempDir(), Options{Logger: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close(context.Background())
	t := local.Triplet{Network: "192.0.2.0/24", Sender: "a@far.test", Recipient: "bob@here.test"}
	if err := s.PutGreylisted(context.Background(), t, local.Greylisted{}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, known, err := s.Greylisted(context.Background(), t); !known || err != nil {
			b.Fatal(known, err)
		}
	}
}

// TestGreylistBusyWriter: who waits for the writer for too long goes on without it.
func TestGreylistBusyWriter(t *testing.T) {
	s := openTest(t, t.TempDir())
	entered, release, done := make(chan bool), make(chan bool), make(chan error)
	go func() {
		done <- s.do(context.Background(), func(*writer) error {
			entered <- true
			<-release
			return nil
		})
	}()
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := s.PutGreylisted(ctx, local.Triplet{Network: "192.0.2.0/24"}, local.Greylisted{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	release <- true
	must(t, <-done)
}
