package local_test

import (
	"errors"
	"testing"

	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
)

func TestPreset(t *testing.T) {
	d, store := localtest.Directory(t, []string{"here.test"}, "old@here.test")
	james := local.User{Name: "james@here.test", Algorithm: "SHA-512", Hash: "s/iuUKGg0bM3XhZ0Zlb8cQ8MbF4fEd6gAbPJ/0JnTWY="}
	preset := []local.PresetUser{{User: local.User{Name: "Bob@here.test"}, Password: "one"}, {User: james}}
	login := func(user, password string, want bool) {
		t.Helper()
		if _, ok, err := d.Authenticate(t.Context(), user, password); ok != want || err != nil {
			t.Errorf("%s with %s: %v, %v", user, password, ok, err)
		}
	}
	run := func() {
		t.Helper()
		if err := d.Preset(t.Context(), preset); err != nil {
			t.Fatal(err)
		}
	}
	run()
	login("bob@here.test", "one", true)
	first, _, err := store.User(t.Context(), "bob@here.test")
	if err != nil {
		t.Fatal(err)
	}
	run()
	if again, _, err := store.User(t.Context(), "bob@here.test"); err != nil || again != first {
		t.Errorf("a password that is right was stored again: %v", err)
	}
	if u, ok, err := store.User(t.Context(), "james@here.test"); !ok || err != nil || u != james {
		t.Errorf("hash: got %+v, %v", u, err)
	}
	if err := d.SetPassword(t.Context(), "bob@here.test", "two"); err != nil {
		t.Fatal(err)
	}
	run()
	login("bob@here.test", "two", false)
	login("bob@here.test", "one", true)
	if ok, err := d.HasUser(t.Context(), "old@here.test"); !ok || err != nil {
		t.Errorf("an account that is not in the configuration: %v, %v", ok, err)
	}
	err = d.Preset(t.Context(), []local.PresetUser{{User: local.User{Name: "x@far.test"}, Password: "x"}})
	if !errors.Is(err, local.ErrInvalidUser) {
		t.Errorf("a user of no local domain: %v", err)
	}
}
