package sqlite

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// brokenClock is a clock that can be set.
type brokenClock struct {
	wall   time.Time
	steady time.Duration
}

func (c *brokenClock) pass(d time.Duration) { c.wall, c.steady = c.wall.Add(d), c.steady+d }

func (c *brokenClock) set(d time.Duration) { c.wall = c.wall.Add(d) }

func (c *brokenClock) open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{Logger: quiet(), Now: func() time.Time { return c.wall }, Steady: func() time.Duration { return c.steady }})
	must(t, err)
	closeAfter(t, s)
	return s
}

// next looks at a queue as a scheduler does.
func next(t *testing.T, s *Store) time.Time {
	t.Helper()
	l, err := s.Lease(context.Background(), repository.LeaseRequest{Queue: "q", Limit: 10})
	must(t, err)
	if len(l.Items) > 0 {
		t.Errorf("items %s before their time", itemNames(l.Items))
	}
	return l.Next
}

// TestClockSet: delays take as long as they were meant to, however the clock is
// set while the process runs.
func TestClockSet(t *testing.T) {
	const day = 24 * time.Hour
	for _, tc := range []struct {
		name string
		set  []time.Duration // what is done to the clock, a minute apart
		want time.Duration   // how long a delay of an hour takes, from the first minute on
	}{
		{"not at all", nil, time.Hour},
		{"a little", []time.Duration{-time.Second}, time.Hour + time.Second},
		{"an hour back", []time.Duration{-time.Hour}, time.Hour},
		{"years back", []time.Duration{-2000 * day}, time.Hour},
		{"back in steps", []time.Duration{-day, -day, -time.Hour}, time.Hour},
		{"back, and right again", []time.Duration{-day, day}, time.Hour},
		{"back, and half of it right again", []time.Duration{-day, day / 2}, time.Hour},
		// Time may have passed while the machine slept.
		{"forward", []time.Duration{30 * time.Minute}, 30 * time.Minute},
		{"forward, and right again", []time.Duration{30 * time.Minute, -30 * time.Minute}, 30 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &brokenClock{wall: time.Unix(1_800_000_000, 0)}
			s := c.open(t, t.TempDir())
			must(t, s.Commit(context.Background(), repository.Change{Entries: []container.Entry{
				{Mail: testMail("before", nil), Queue: "q", Delay: time.Hour}}}))
			passed := time.Duration(0)
			for _, d := range tc.set {
				next(t, s)
				c.pass(time.Minute)
				passed += time.Minute
				c.set(d)
			}
			if got := next(t, s); got.Sub(c.wall) != tc.want-passed {
				t.Errorf("the delay is over in %v, want %v", got.Sub(c.wall), tc.want-passed)
			}
			must(t, s.Commit(context.Background(), repository.Change{Entries: []container.Entry{
				{Mail: testMail("behind", nil), Queue: "q", Delay: tc.want - passed + time.Minute}}}))
			c.pass(tc.want - passed - 1)
			next(t, s)
			c.pass(1)
			if got := itemNames(leaseAll(t, s, "q")); got != "before" {
				t.Errorf("got %q at the end of the delay, want before", got)
			}
			c.pass(time.Minute)
			if got := itemNames(leaseAll(t, s, "q")); got != "behind" {
				t.Errorf("got %q a minute later, want behind", got)
			}
			must(t, s.Close(context.Background()))
		})
	}
}

// TestClockSetAndListed: what operators see goes with the clock as it is set.
func TestClockSetAndListed(t *testing.T) {
	c := &brokenClock{wall: time.Unix(1_800_000_000, 0)}
	s := c.open(t, t.TempDir())
	must(t, s.Commit(context.Background(), repository.Change{Entries: []container.Entry{
		{Mail: testMail("old", nil), Queue: "q", Delay: time.Hour}}}))
	c.pass(10 * time.Minute)
	c.set(-1000 * time.Hour)
	put(t, s, "q", testMail("new", nil))
	now := c.wall
	for _, tc := range []struct {
		before time.Duration
		want   string
	}{{-11 * time.Minute, ""}, {-9 * time.Minute, "old"}, {time.Minute, "new old"}} {
		if got := queueNames(t, s, "q", repository.QueueFilter{EnqueuedBefore: now.Add(tc.before)}); got != tc.want {
			t.Errorf("entered before %v: got %q, want %q", tc.before, got, tc.want)
		}
	}
	must(t, s.BrowseQueue(context.Background(), "q", repository.QueueFilter{}, 0, func(e repository.QueueEntry) error {
		if want := now.Add(50 * time.Minute); e.Name == "old" && !e.Next.Equal(want) {
			t.Errorf("ready at %v, want %v", e.Next, want)
		}
		return nil
	}))
	must(t, s.Close(context.Background()))
}

// TestClockSetAndRestart: after a restart nothing waits for longer than it was
// meant to in all.
func TestClockSetAndRestart(t *testing.T) {
	c := &brokenClock{wall: time.Unix(1_800_000_000, 0)}
	dir := t.TempDir()
	s := c.open(t, dir)
	put(t, s, "q", testMail("again", nil))
	putMany(t, s, "other", 1001) // the item that is put off is not among the latest ones
	c.pass(time.Hour)
	putOff(t, s, time.Hour, leaseAll(t, s, "q")...)
	c.set(-30 * time.Minute)
	must(t, s.Commit(context.Background(), repository.Change{Entries: []container.Entry{
		{Mail: testMail("new", nil), Queue: "q", Delay: time.Hour}}}))
	must(t, s.Close(context.Background()))
	s = c.open(t, dir)
	c.pass(time.Hour)
	if got := itemNames(leaseAll(t, s, "q")); got != "again new" {
		t.Errorf("got %q an hour later, want again new", got)
	}
	must(t, s.Close(context.Background()))
}

// TestClockSetAnyhow: however the clock is set and the process started again, no
// item is lost, and none waits for longer than the longest delay from the last
// start on.
func TestClockSetAnyhow(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		upTo := func(d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }
		c := &brokenClock{wall: time.Unix(1_800_000_000, 0)}
		dir := t.TempDir()
		s := c.open(t, dir)
		want := 0
		for range 40 {
			switch r.IntN(6) {
			case 0, 1:
				want++
				must(t, s.Commit(context.Background(), repository.Change{Entries: []container.Entry{
					{Mail: testMail("m", nil), Queue: "q", Delay: upTo(time.Hour)}}}))
			case 2:
				putOff(t, s, upTo(time.Hour), leaseAll(t, s, "q")...)
			case 3:
				c.pass(upTo(10 * time.Minute))
			case 4:
				c.set(upTo([]time.Duration{4 * time.Second, time.Hour, 40 * 365 * 24 * time.Hour}[r.IntN(3)]) * time.Duration(1-2*r.IntN(2)))
			case 5:
				must(t, s.Close(context.Background()))
				s = c.open(t, dir)
			}
		}
		c.pass(time.Hour + time.Minute + time.Duration(jumpMin))
		if got := len(leaseAll(t, s, "q")); got != want {
			t.Errorf("seed %d: %d items an hour later, want %d", seed, got, want)
		}
		must(t, s.Close(context.Background()))
	}
}
