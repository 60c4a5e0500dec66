package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

// scripts shows the scripts of a user, the active one with a star.
func scripts(t *testing.T, s *Store, user string) string {
	t.Helper()
	list, err := s.SieveScripts(t.Context(), user)
	must(t, err)
	var out []string
	for _, sc := range list {
		mark := ""
		if sc.Active {
			mark = "*"
		}
		out = append(out, fmt.Sprintf("%s%s:%d", sc.Name, mark, sc.Size))
	}
	return strings.Join(out, " ")
}

func TestSieveScripts(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s, err := Open(dir, Options{Logger: quiet()})
	must(t, err)
	const bob = "bob@here.test"
	noActive := func() {
		t.Helper()
		if _, _, err := s.ActiveSieveScript(ctx, bob); !errors.Is(err, local.ErrNotFound) {
			t.Errorf("active script: got error %v, want ErrNotFound", err)
		}
	}
	active := func(want string) {
		t.Helper()
		if _, text, err := s.ActiveSieveScript(ctx, bob); err != nil || string(text) != want {
			t.Errorf("active script: got %q, %v, want %q", text, err, want)
		}
	}
	noActive()
	must(t, s.PutSieveScript(ctx, bob, "b", []byte("keep;")))
	must(t, s.PutSieveScript(ctx, bob, "a", nil))
	must(t, s.PutSieveScript(ctx, "eve@here.test", "b", []byte("discard;")))
	noActive()
	must(t, s.ActivateSieveScript(ctx, bob, "b"))
	active("keep;")
	must(t, s.PutSieveScript(ctx, bob, "b", []byte("stop;")))
	active("stop;")
	must(t, s.ActivateSieveScript(ctx, bob, "a"))
	active("")
	for _, tc := range []struct {
		what string
		err  error
		kind error
	}{
		{"delete the active one", s.DeleteSieveScript(ctx, bob, "a"), local.ErrScriptActive},
		{"delete none", s.DeleteSieveScript(ctx, bob, "c"), local.ErrNotFound},
		{"activate none", s.ActivateSieveScript(ctx, bob, "c"), local.ErrNotFound},
		{"rename none", s.RenameSieveScript(ctx, bob, "c", "d"), local.ErrNotFound},
		{"rename to what is there", s.RenameSieveScript(ctx, bob, "a", "b"), local.ErrScriptExists},
	} {
		if !errors.Is(tc.err, tc.kind) {
			t.Errorf("%s: got %v, want %v", tc.what, tc.err, tc.kind)
		}
	}
	must(t, s.RenameSieveScript(ctx, bob, "a", "z"))
	must(t, s.RenameSieveScript(ctx, bob, "z", "z"))
	must(t, s.Close(ctx))

	s = openTest(t, dir)
	if got := scripts(t, s, bob); got != "b:5 z*:0" {
		t.Errorf("after a restart: got %q", got)
	}
	sc, text, err := s.SieveScript(ctx, bob, "b")
	if err != nil || string(text) != "stop;" || sc.Active || sc.Activated.IsZero() || sc.Updated.IsZero() {
		t.Errorf("script: got %+v %q, %v", sc, text, err)
	}
	must(t, s.ActivateSieveScript(ctx, bob, ""))
	noActive()
	must(t, s.DeleteSieveScript(ctx, bob, "z"))
	if got := scripts(t, s, bob); got != "b:5" {
		t.Errorf("after deletion: got %q", got)
	}
}

func TestSieveQuota(t *testing.T) {
	ctx := t.Context()
	s := openTest(t, t.TempDir())
	quota := func(user string, want int64) {
		t.Helper()
		if got, err := s.SieveQuota(ctx, user); err != nil || got != want {
			t.Errorf("quota of %q: got %d, %v, want %d", user, got, err, want)
		}
	}
	put := func(user, name string, size int, fits bool) {
		t.Helper()
		err := s.PutSieveScript(ctx, user, name, make([]byte, size))
		if fits && err != nil || !fits && !errors.Is(err, local.ErrQuota) {
			t.Errorf("%s %s of %d bytes: got %v, want fits %v", user, name, size, err, fits)
		}
	}
	quota("", -1)
	put("bob", "a", 100, true)
	must(t, s.SetSieveQuota(ctx, "", 10))
	must(t, s.SetSieveQuota(ctx, "eve", 20))
	quota("", 10)
	quota("eve", 20)
	quota("bob", -1)
	put("bob", "b", 1, false)
	put("bob", "a", 10, true) // replaces what was larger
	put("bob", "b", 1, false)
	put("eve", "a", 20, true)
	put("eve", "a", 21, false)
	must(t, s.SetSieveQuota(ctx, "eve", 0))
	put("eve", "b", 1, false)
	must(t, s.SetSieveQuota(ctx, "", -1))
	must(t, s.SetSieveQuota(ctx, "eve", -1))
	put("eve", "b", 100, true)
	if got := scripts(t, s, "bob"); got != "a:10" {
		t.Errorf("what did not fit: got %q", got)
	}
}

func TestVacation(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s, err := Open(dir, Options{Logger: quiet()})
	must(t, err)
	const bob = "bob@here.test"
	at := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	v := local.Vacation{Enabled: true, From: at, To: at.AddDate(7000, 0, 0), Subject: "away", Text: "t", HTML: "<p>"}
	if got, err := s.Vacation(ctx, bob); err != nil || got != (local.Vacation{}) {
		t.Errorf("no vacation: got %+v, %v", got, err)
	}
	must(t, s.SetVacation(ctx, bob, v))
	if got, err := s.Vacation(ctx, bob); err != nil || got != v {
		t.Errorf("got %+v, %v, want %+v", got, err, v)
	}
	note := func(handle, to string, now, until time.Time, want bool) {
		t.Helper()
		if got, err := s.NoteResponse(ctx, bob, handle, to, now, until); err != nil || got != want {
			t.Errorf("answer %q to %s at %v: got %v, %v, want %v", handle, to, now, got, err, want)
		}
	}
	day := func(n int) time.Time { return at.AddDate(0, 0, n) }
	forever := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	note("", "x@far.test", day(0), forever, true)
	note("", "x@far.test", day(1), forever, false)
	note("", "y@far.test", day(1), forever, true)
	note("h", "x@far.test", day(1), day(8), true)
	note("h", "x@far.test", day(7), day(14), false)
	note("h", "x@far.test", day(8), day(15), true)
	note("0", "x@far.test", day(1), day(1), true) // :seconds 0
	note("0", "x@far.test", day(1), day(1), true)
	must(t, s.Close(ctx))

	s, err = Open(dir, Options{Logger: quiet(), Now: func() time.Time { return day(15) }})
	must(t, err)
	defer s.Close(ctx)
	note("", "x@far.test", day(2), forever, false)
	note("h", "x@far.test", day(9), day(16), false)
	must(t, s.SetVacation(ctx, bob, v))
	note("", "x@far.test", day(2), forever, true)
	note("h", "x@far.test", day(9), day(16), false)

	must(t, s.SetVacation(ctx, bob, local.Vacation{}))
	if got, err := s.Vacation(ctx, bob); err != nil || got != (local.Vacation{}) {
		t.Errorf("removed: got %+v, %v", got, err)
	}
}

// Notes that have expired do not pile up, neither while the store works nor from
// one start to the next.
func TestResponsesExpire(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	at := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	s, err := Open(dir, Options{Logger: quiet(), Now: func() time.Time { return at }})
	must(t, err)
	count := func() int64 {
		list, err := column[int64](ctx, s.read, "SELECT COUNT(*) FROM response")
		must(t, err)
		return list[0]
	}
	for i := range 10 {
		_, err := s.NoteResponse(ctx, "bob", "", fmt.Sprintf("%d@far.test", i), at, at.Add(time.Hour))
		must(t, err)
	}
	_, err = s.NoteResponse(ctx, "bob", "", "new@far.test", at.Add(2*time.Hour), at.Add(3*time.Hour))
	must(t, err)
	if n := count(); n != 1 {
		t.Errorf("while it works: %d notes, want 1", n)
	}
	must(t, s.Close(ctx))
	s, err = Open(dir, Options{Logger: quiet(), Now: func() time.Time { return at.Add(4 * time.Hour) }})
	must(t, err)
	defer s.Close(ctx)
	if n := count(); n != 0 {
		t.Errorf("after a start: %d notes, want 0", n)
	}
}

// A user that is removed takes along what it said: the name may be given to
// somebody else.
func TestRemovedUserSaysNothing(t *testing.T) {
	ctx := t.Context()
	s := openTest(t, t.TempDir())
	for _, user := range []string{"bob", "eve"} {
		must(t, s.PutUser(ctx, local.User{Name: user}))
		must(t, s.PutSieveScript(ctx, user, "a", []byte("keep;")))
		must(t, s.ActivateSieveScript(ctx, user, "a"))
		must(t, s.SetSieveQuota(ctx, user, 10))
		must(t, s.SetVacation(ctx, user, local.Vacation{Enabled: true}))
		_, err := s.NoteResponse(ctx, user, "", "x@far.test", time.Now(), time.Now().Add(time.Hour))
		must(t, err)
		_, _, err = s.ActiveSieveScript(ctx, user)
		must(t, err)
	}
	must(t, s.PutUser(ctx, local.User{Name: "fay"}))
	must(t, s.SetVacation(ctx, "fay", local.Vacation{Enabled: true}))
	must(t, s.ForgetUser(ctx, "fay"))
	if _, ok, err := s.User(ctx, "fay"); !ok || err != nil {
		t.Errorf("a user of whom all is forgotten: got %v, %v", ok, err)
	}
	must(t, s.RemoveUser(ctx, "bob"))
	if _, ok, err := s.User(ctx, "bob"); ok || err != nil {
		t.Errorf("user: got %v, %v", ok, err)
	}
	if _, _, err := s.ActiveSieveScript(ctx, "bob"); !errors.Is(err, local.ErrNotFound) {
		t.Errorf("active script: got %v", err)
	}
	if v, err := s.Vacation(ctx, "bob"); v.Enabled || err != nil {
		t.Errorf("vacation: got %+v, %v", v, err)
	}
	for _, table := range []string{"sieve_script", "sieve_quota", "vacation", "response"} {
		if list, err := column[string](ctx, s.read, "SELECT user FROM "+table); err != nil || len(list) != 1 || list[0] != "eve" {
			t.Errorf("%s: got %q, %v, want that of eve alone", table, list, err)
		}
	}
}

// What is asked for each mail comes from memory.
func TestSaidIsRemembered(t *testing.T) {
	ctx := t.Context()
	s := openTest(t, t.TempDir())
	must(t, s.PutSieveScript(ctx, "bob", "a", []byte("keep;")))
	must(t, s.ActivateSieveScript(ctx, "bob", "a"))
	ask := func() {
		for _, user := range []string{"bob", "eve"} {
			_, _, _ = s.ActiveSieveScript(ctx, user)
			_, _ = s.Vacation(ctx, user)
		}
	}
	ask()
	if n := testing.AllocsPerRun(100, func() {
		_, _, _ = s.ActiveSieveScript(ctx, "bob")
		_, _ = s.Vacation(ctx, "eve")
	}); n > 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
	for i := range 3 * saidMax / (saidEntry + 10) {
		s.said.putVacation(s.said.generation, fmt.Sprintf("user%06d", i), local.Vacation{})
	}
	if s.said.size > saidMax {
		t.Errorf("remembers %d octets, more than %d", s.said.size, saidMax)
	}
}
