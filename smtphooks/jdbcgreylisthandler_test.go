package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

// memoryGreylist counts writes and fails on demand.
type memoryGreylist struct {
	rows   map[local.Triplet]local.Greylisted
	writes int
	err    error
	hangs  bool
}

func (m *memoryGreylist) Greylisted(ctx context.Context, t local.Triplet) (local.Greylisted, bool, error) {
	if m.hangs {
		<-ctx.Done()
		return local.Greylisted{}, false, ctx.Err()
	}
	g, ok := m.rows[t]
	return g, ok, m.err
}

func (m *memoryGreylist) PutGreylisted(_ context.Context, t local.Triplet, g local.Greylisted) error {
	m.rows[t] = g
	m.writes++
	return m.err
}

func (*memoryGreylist) ForgetGreylisted(context.Context, time.Time, int) (int, error) { return 0, nil }

func greylist(t *testing.T, params string) (*JDBCGreylistHandler, *memoryGreylist, *time.Time) {
	t.Helper()
	store, clock := &memoryGreylist{rows: map[local.Triplet]local.Greylisted{}}, time.Unix(1e9, 0)
	r := &conf.Report{}
	h := newJDBCGreylist(conf.ParseParams("<handler>"+params+"</handler>", r), Services{Greylist: store, Log: slog.New(slog.DiscardHandler)}).(*JDBCGreylistHandler)
	if r.HasErrors() {
		t.Fatal(r.Problems())
	}
	h.now = func() time.Time { return clock }
	return h, store, &clock
}

func (h *JDBCGreylistHandler) ask(ip, from, to string) string {
	s := NewSession("x", netip.MustParseAddr(ip), nil)
	if from != "" {
		s.Tx.Sender = container.MustAddress(from)
	}
	code, _, text := h.Rcpt(context.Background(), s, Recipient{Address: container.MustAddress(to)}).Reply()
	switch {
	case code == 250:
		return "pass"
	case code == 451 && strings.HasPrefix(text, "Temporary rejected: Please"):
		return "new"
	case code == 451 && strings.HasPrefix(text, "Temporary rejected: Reconnect"):
		return "early"
	}
	return fmt.Sprint(code, " ", text)
}

// TestGreylistTimes: a story of one sender, with the writes to the store.
func TestGreylistTimes(t *testing.T) {
	h, store, clock := greylist(t, "<whitelistedNetworks>10.0.0.0/8</whitelistedNetworks>")
	for i, step := range []struct {
		after        time.Duration
		ip, from, to string
		want         string
		writes       int
	}{
		{0, "192.0.2.1", "a@far.test", "bob@here.test", "new", 1},
		{59*time.Minute + 59*time.Second, "192.0.2.1", "A@FAR.test", "Bob@here.test", "early", 1},
		{0, "192.0.2.2", "a@far.test", "bob@here.test", "new", 2},
		{0, "192.0.2.1", "b@far.test", "bob@here.test", "new", 3},
		{0, "192.0.2.1", "a@far.test", "carol@here.test", "new", 4},
		{0, "192.0.2.1", "", "bob@here.test", "new", 5},
		{0, "10.1.1.1", "a@far.test", "bob@here.test", "pass", 5},
		{time.Second, "192.0.2.1", "a@far.test", "bob@here.test", "pass", 6},
		{59 * time.Minute, "192.0.2.1", "a@far.test", "bob@here.test", "pass", 6},
		{time.Minute, "192.0.2.1", "a@far.test", "bob@here.test", "pass", 7},
		{3 * time.Hour, "192.0.2.2", "a@far.test", "bob@here.test", "new", 8}, // never came again in time
		{33 * 24 * time.Hour, "192.0.2.1", "a@far.test", "bob@here.test", "pass", 9},
		{36 * 24 * time.Hour, "192.0.2.1", "a@far.test", "bob@here.test", "new", 10},
		{time.Hour, "192.0.2.1", "a@far.test", "bob@here.test", "pass", 11},
		{-48 * time.Hour, "192.0.2.1", "a@far.test", "bob@here.test", "new", 12}, // the clock is set back
		{time.Hour, "192.0.2.1", "a@far.test", "bob@here.test", "pass", 13},
	} {
		*clock = clock.Add(step.after)
		if got := h.ask(step.ip, step.from, step.to); got != step.want || store.writes != step.writes {
			t.Errorf("step %d: got %s, %d writes; want %s, %d", i, got, store.writes, step.want, step.writes)
		}
	}
}

func TestGreylistNetworks(t *testing.T) {
	for _, tc := range []struct{ params, first, second, want string }{
		{"", "192.0.2.1", "192.0.2.2", "new"},
		{"", "192.0.2.1", "::ffff:192.0.2.1", "early"},
		{"<ipv4Prefix>24</ipv4Prefix>", "192.0.2.1", "192.0.2.2", "early"},
		{"<ipv4Prefix>24</ipv4Prefix>", "192.0.2.1", "192.0.3.1", "new"},
		{"", "2001:db8::1", "2001:db8::2", "early"},
		{"", "2001:db8::1", "2001:db8:0:1::1", "new"},
		{"<ipv6Prefix>128</ipv6Prefix>", "2001:db8::1", "2001:db8::2", "new"},
	} {
		h, _, _ := greylist(t, tc.params)
		h.ask(tc.first, "a@far.test", "bob@here.test")
		if got := h.ask(tc.second, "a@far.test", "bob@here.test"); got != tc.want {
			t.Errorf("%s: %s then %s: got %s, want %s", tc.params, tc.first, tc.second, got, tc.want)
		}
	}
}

// TestGreylistFailure: without store mail goes on, or waits.
func TestGreylistFailure(t *testing.T) {
	for params, want := range map[string]string{"": "pass", "<onFailure>defer</onFailure>": "451 Unable to process request"} {
		h, store, _ := greylist(t, params)
		store.err = errors.New("disk on fire")
		if got := h.ask("192.0.2.1", "a@far.test", "bob@here.test"); got != want {
			t.Errorf("%s: got %s, want %s", params, got, want)
		}
	}
}

// TestGreylistSlowStore: nobody waits for it for long.
func TestGreylistSlowStore(t *testing.T) {
	for params, want := range map[string]string{"": "pass", "<onFailure>defer</onFailure>": "451 Unable to process request"} {
		h, store, _ := greylist(t, params)
		store.hangs, h.patience = true, time.Millisecond
		if got := h.ask("192.0.2.1", "a@far.test", "bob@here.test"); got != want {
			t.Errorf("%s: got %s, want %s", params, got, want)
		}
	}
}

// TestGreylistInherits: a reload does not let a network fill the store anew.
func TestGreylistInherits(t *testing.T) {
	old, _, _ := greylist(t, "")
	old.fresh["192.0.2.1/32"], old.since = maxFreshOfNetwork, old.now()
	h, store, _ := greylist(t, "")
	h.Inherit(old)
	if h.ask("192.0.2.1", "a@far.test", "bob@here.test"); store.writes != 0 {
		t.Errorf("%d written", store.writes)
	}
}

// TestGreylistBounds: one network cannot fill the store, and all together
// cannot either; the latter does not keep mail out.
func TestGreylistBounds(t *testing.T) {
	h, store, clock := greylist(t, "")
	for i := range maxFreshOfNetwork + 10 {
		if got := h.ask("192.0.2.1", fmt.Sprintf("a%d@far.test", i), "bob@here.test"); got != "new" {
			t.Fatal(got)
		}
	}
	if store.writes != maxFreshOfNetwork {
		t.Errorf("%d written", store.writes)
	}
	h.total = maxFresh
	if got := h.ask("192.0.2.2", "a@far.test", "bob@here.test"); got != "pass" || store.writes != maxFreshOfNetwork {
		t.Errorf("when full: %s, %d written", got, store.writes)
	}
	*clock = clock.Add(h.unseen)
	if got := h.ask("192.0.2.1", "new@far.test", "bob@here.test"); got != "new" || store.writes != maxFreshOfNetwork+1 {
		t.Errorf("later: %s, %d written", got, store.writes)
	}
}

// TestGreylistRelaying: own clients and users are never put off.
func TestGreylistRelaying(t *testing.T) {
	h, store, _ := greylist(t, "")
	s := NewSession("x", netip.MustParseAddr("192.0.2.1"), nil)
	s.Relaying = true
	if d := h.Rcpt(context.Background(), s, Recipient{Address: container.MustAddress("bob@here.test")}); d.decides() || len(store.rows) > 0 {
		t.Errorf("got %+v", d)
	}
}
