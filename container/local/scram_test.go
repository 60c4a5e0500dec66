package local_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
)

// scramServer answers with the keys of d.
func scramServer(t *testing.T, d *local.Directory) *scram.Server {
	t.Helper()
	s, err := scram.SHA256.NewServer(func(user string) (scram.StoredCredentials, error) {
		k, err := d.SCRAM(t.Context(), user)
		return scram.StoredCredentials{KeyFactors: scram.KeyFactors{Salt: string(k.Salt), Iters: k.Iterations},
			StoredKey: k.StoredKey, ServerKey: k.ServerKey}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSCRAMVector is the conversation of RFC 7677 §3, with the user's password in
// the form of RFC 5803.
func TestSCRAMVector(t *testing.T) {
	store := localtest.NewStorage()
	d := local.New(local.Config{DefaultDomain: "a.test"}, store)
	if err := d.PutUser(t.Context(), local.User{Name: "user", Algorithm: "SCRAM-SHA-256",
		Hash: "4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="}); err != nil {
		t.Fatal(err)
	}
	conv := scramServer(t, d).WithNonceGenerator(func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" }).NewConversation()
	for _, step := range []struct{ client, server string }{
		{"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"},
		{"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	} {
		if got, err := conv.Step(step.client); err != nil || got != step.server {
			t.Fatalf("to %q\ngot  %q, %v\nwant %q", step.client, got, err, step.server)
		}
	}
	if !conv.Valid() {
		t.Error("the proof is refused")
	}
	if name, ok, err := d.Authenticate(t.Context(), "USER", "pencil"); name != "user" || !ok || err != nil {
		t.Errorf("the same password in the clear: got %q %t %v", name, ok, err)
	}
}

func TestSCRAMWithNewPasswords(t *testing.T) {
	d, _ := localtest.Directory(t, []string{"a.test"})
	for _, password := range []string{"secret", "sécret", "soft\u00adhyphen \u2168", "😀"} {
		if err := d.SetPassword(t.Context(), "bob@a.test", password); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := d.Authenticate(t.Context(), "bob@a.test", password); !ok || err != nil {
			t.Errorf("%q in the clear: got %t, %v", password, ok, err)
		}
		client, err := scram.SHA256.NewClient("BOB@a.test", password, "")
		if err != nil {
			continue // the library refuses what SASLprep has no form for
		}
		c, s := client.NewConversation(), scramServer(t, d).NewConversation()
		for msg := ""; !c.Done(); {
			if msg, err = c.Step(msg); err == nil && !c.Done() {
				msg, err = s.Step(msg)
			}
			if err != nil {
				t.Fatalf("%q: %v", password, err)
			}
		}
		if !s.Valid() || !c.Valid() {
			t.Errorf("%q: server %t, client %t", password, s.Valid(), c.Valid())
		}
	}
}

// TestSCRAMHidesUsers: who has no keys looks like who has, also after a restart.
func TestSCRAMHidesUsers(t *testing.T) {
	d, store := localtest.Directory(t, []string{"a.test"}, "old@a.test") // with a clear password
	if err := d.AddUser(t.Context(), "bob@a.test", "secret"); err != nil {
		t.Fatal(err)
	}
	again := local.New(local.Config{VirtualHosting: true, DefaultDomain: "a.test", HashIterations: 4096, VerifyFailureDelay: time.Second}, store)
	bob, err := d.SCRAM(t.Context(), "bob@a.test")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{string(bob.Salt): true}
	for _, name := range []string{"old@a.test", "nobody@a.test", "nobody2@a.test", "x@far.test", "", strings.Repeat("x", 2000)} {
		k, err := d.SCRAM(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if len(k.Salt) != len(bob.Salt) || k.Iterations != bob.Iterations || len(k.StoredKey) != 32 || len(k.ServerKey) != 32 {
			t.Errorf("%.20s: %+v is not like %+v", name, k, bob)
		}
		if seen[string(k.Salt)] {
			t.Errorf("%.20s has the salt of another", name)
		}
		seen[string(k.Salt)] = true
		later, err := again.SCRAM(t.Context(), strings.ToUpper(name))
		if err != nil || !bytes.Equal(later.Salt, k.Salt) || later.FailureDelay != time.Second {
			t.Errorf("%.20s after a restart: got %+v, %v, want salt %x", name, later, err, k.Salt)
		}
	}
	store.FailWith(errors.New("disk on fire"))
	if _, err := d.SCRAM(t.Context(), "bob@a.test"); err == nil {
		t.Error("a store that cannot be read gives no error")
	}
}

func TestOffersSCRAM(t *testing.T) {
	now := time.Unix(0, 0)
	store := localtest.NewStorage()
	d := local.New(local.Config{DefaultDomain: "a.test", HashIterations: 1000, Now: func() time.Time { return now }}, store)
	ask := func(when string, want bool) {
		t.Helper()
		if got := d.OffersSCRAM(t.Context()); got != want {
			t.Errorf("%s: got %t, want %t", when, got, want)
		}
	}
	ask("without users", true)
	if err := d.PutUser(t.Context(), local.User{Name: "old", Algorithm: "MD5", Hash: "x"}); err != nil {
		t.Fatal(err)
	}
	ask("with an imported user", false)
	if err := d.SetPassword(t.Context(), "old", "secret"); err != nil {
		t.Fatal(err)
	}
	ask("with a new password", true)
	if err := store.PutUser(t.Context(), local.User{Name: "other", Algorithm: "MD5", Hash: "x"}); err != nil {
		t.Fatal(err)
	}
	ask("soon after another process has changed the store", true)
	now = now.Add(11 * time.Second)
	ask("later", false)
	if err := d.DeleteUser(t.Context(), "other"); err != nil {
		t.Fatal(err)
	}
	ask("without it", true)
	now = now.Add(11 * time.Second)
	store.FailWith(errors.New("disk on fire"))
	ask("when the store cannot be read", false)
	if local.New(local.Config{}, struct{ local.Storage }{store}).OffersSCRAM(context.Background()) {
		t.Error("offered with a store that does not tell")
	}
}

func TestLoginName(t *testing.T) {
	hosting, store := localtest.Directory(t, []string{"a.test"})
	plain := local.New(local.Config{DefaultDomain: "a.test"}, store)
	for _, tc := range []struct {
		d              *local.Directory
		identity, want string
	}{
		{hosting, "Bob@A.test", "bob@a.test"}, {hosting, "bob", ""}, {hosting, "bob@far.test", ""}, {hosting, "", ""}, {hosting, "a b@a.test", ""},
		{plain, "Bob@A.test", "bob"}, {plain, "Bob", "bob"}, {plain, "bob@far.test", ""},
	} {
		if got, ok, err := tc.d.LoginName(t.Context(), tc.identity); got != tc.want || ok != (tc.want != "") || err != nil {
			t.Errorf("%q: got %q, %t, %v, want %q", tc.identity, got, ok, err, tc.want)
		}
	}
	store.FailWith(errors.New("disk on fire"))
	fresh := local.New(local.Config{VirtualHosting: true, DefaultDomain: "a.test"}, store)
	if _, _, err := fresh.LoginName(t.Context(), "bob@a.test"); err == nil {
		t.Error("a store that cannot be read gives no error")
	}
}
