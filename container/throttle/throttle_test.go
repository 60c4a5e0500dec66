package throttle

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

var (
	home  = netip.MustParseAddr("192.0.2.1")
	other = netip.MustParseAddr("192.0.2.2")
)

func limiter() (*Limiter, *clock) {
	c := &clock{time.Unix(1_000_000, 0)}
	return New(c.now), c
}

// fail notes n different wrong passwords and returns the last block.
func fail(l *Limiter, addr netip.Addr, user string, n int) (block time.Duration) {
	for i := range n {
		block = l.Failed(addr, user, fmt.Sprint(l.now().UnixNano(), addr, i), Default())
	}
	return block
}

func TestAddress(t *testing.T) {
	l, c := limiter()
	if b := fail(l, home, "bob", 9); b != 0 || l.Blocked(home) != 0 {
		t.Fatalf("9 failures: blocked for %v", b)
	}
	for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		n := 10
		if i == 0 {
			n = 1
		}
		if got := fail(l, home, "bob", n); got != want || l.Blocked(home) != want {
			t.Fatalf("block %d: got %v, blocked for %v, want %v", i, got, l.Blocked(home), want)
		}
		if l.Blocked(other) != 0 {
			t.Fatal("another address is blocked")
		}
		c.t = c.t.Add(want - time.Second)
		if got := l.Blocked(home); got != time.Second {
			t.Fatalf("a second before the end: got %v", got)
		}
		c.t = c.t.Add(time.Second)
		if got := l.Blocked(home); got != 0 {
			t.Fatalf("at the end: got %v", got)
		}
	}
	c.t = c.t.Add(2*time.Hour + time.Second)
	if got := fail(l, home, "bob", 10); got != time.Minute {
		t.Errorf("long after: blocked for %v, want as at first", got)
	}
}

func TestWindow(t *testing.T) {
	l, c := limiter()
	for range 50 {
		if b := fail(l, home, "", 1); b != 0 {
			t.Fatal("one failure every two minutes is too much")
		}
		c.t = c.t.Add(2 * time.Minute)
	}
}

func TestSameCredentials(t *testing.T) {
	l, _ := limiter()
	for range 100 {
		if l.Failed(home, "bob", "old password", Default()) != 0 {
			t.Fatal("the same credentials over and over block")
		}
	}
	if d := l.Delay("bob", Default()); d != 0 {
		t.Errorf("and delay for %v", d)
	}
	for i := range 10 {
		if got := l.Failed(home, "bob", "", Default()); (got != 0) != (i == 8) {
			t.Fatalf("unknown credentials, failure %d: got %v", i+1, got)
		}
	}
}

func TestIPv6(t *testing.T) {
	l, _ := limiter()
	for i := range 10 {
		l.Failed(netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)), "", "", Default())
	}
	if l.Blocked(netip.MustParseAddr("2001:db8::ffff%eth0")) == 0 || l.Blocked(netip.MustParseAddr("2001:db8:0:1::1")) != 0 {
		t.Error("want the /64 blocked, and nothing else")
	}
	fail(l, home, "", 10)
	if l.Blocked(netip.MustParseAddr("::ffff:192.0.2.1")) == 0 {
		t.Error("an IPv4 address written as IPv6 is not blocked")
	}
	l.Failed(netip.Addr{}, "", "", Default()) // must not panic
}

func TestUser(t *testing.T) {
	l, c := limiter()
	for i := range 5 {
		if d := l.Delay("Bob", Default()); d != 0 {
			t.Fatalf("after %d failures: delay %v", i, d)
		}
		fail(l, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), "bob", 1)
	}
	for _, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second} {
		if d := l.Delay("BOB", Default()); d != want {
			t.Fatalf("got %v, want %v", d, want)
		}
		l.Failed(other, "bob", "", Default())
	}
	if l.Delay("alice", Default()) != 0 || l.Delay("", Default()) != 0 {
		t.Error("others wait, too")
	}
	c.t = c.t.Add(11 * time.Minute)
	if d := l.Delay("bob", Default()); d != 0 {
		t.Errorf("later: %v", d)
	}
}

func TestSucceeded(t *testing.T) {
	l, _ := limiter()
	fail(l, home, "bob", 9)
	l.Succeeded(home, "Bob")
	if d := l.Delay("bob", Default()); d != 0 {
		t.Errorf("the user waits %v", d)
	}
	if fail(l, home, "bob", 9) != 0 {
		t.Error("failures before the success count")
	}
	fail(l, other, "alice", 8)
	fail(l, other, "mallory", 1)
	l.Succeeded(other, "mallory")
	if fail(l, other, "alice", 1) == 0 {
		t.Error("who has an account of his own guesses on")
	}
}

func TestOff(t *testing.T) {
	l, _ := limiter()
	off := Limits{Window: time.Minute, Block: time.Minute, MaxBlock: time.Hour}
	for range 100 {
		if l.Failed(home, "bob", "", off) != 0 || l.Delay("bob", off) != 0 {
			t.Fatal("limits that are off act")
		}
	}
	if len(l.addrs)+len(l.users) != 0 {
		t.Error("something is remembered")
	}
}

// TestBounded: however many addresses there are, memory is bounded, and who has
// expired goes first.
func TestBounded(t *testing.T) {
	l, c := limiter()
	for i := range 3 * maxEntries {
		if i == maxEntries {
			c.t = c.t.Add(time.Hour)
		}
		l.Failed(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), fmt.Sprint(i), "", Default())
	}
	if len(l.addrs) > maxEntries || len(l.users) > maxEntries {
		t.Errorf("%d addresses, %d users remembered", len(l.addrs), len(l.users))
	}
}
