package local_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
)

func deny(t *testing.T, d *local.DropLists, scope local.DropScope, name string, denied ...string) {
	t.Helper()
	o, err := local.ParseDropOwner(scope, name)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range denied {
		if s, err = local.ParseDenied(s); err != nil {
			t.Fatal(err)
		}
		if err := d.Add(context.Background(), o, s); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAllowed(t *testing.T) {
	d := local.NewDropLists(&localtest.Policies{})
	deny(t, d, local.DropGlobal, "", "Evil.TEST", "bad@mixed.test")
	deny(t, d, local.DropDomain, "one.test", "spam.test", "Pest@Nice.test")
	deny(t, d, local.DropUser, "Bob@two.TEST", "nice.test", "192.0.2.7")
	var rcpts []container.Address
	for _, s := range []string{"A@one.test", "bob@Two.test", "c@two.test", "b@one.test"} {
		rcpts = append(rcpts, container.MustAddress(s))
	}
	for sender, want := range map[string]string{
		"x@evil.test":       "",
		"x@sub.evil.test":   "A bob c b",
		"BAD@mixed.test":    "",
		"good@mixed.test":   "A bob c b",
		"x@spam.test":       "bob c",
		"pest@nice.test":    "c",
		"x@NICE.test":       "A c b",
		"x@[192.0.2.7]":     "A c b",
		"one.test@two.test": "A bob c b",
	} {
		got, err := d.Allowed(t.Context(), container.MustAddress(sender), rcpts)
		var locals []string
		for _, a := range got {
			locals = append(locals, a.Local)
		}
		if err != nil || strings.Join(locals, " ") != want {
			t.Errorf("%s: got %v, %v, want %s", sender, locals, err, want)
		}
	}
	if got, err := d.Allowed(t.Context(), container.Address{}, rcpts); err != nil || len(got) != 4 {
		t.Errorf("null sender: got %v, %v", got, err)
	}
	if len(rcpts) != 4 || rcpts[0].Local != "A" {
		t.Errorf("the recipients of the mail were changed: %v", rcpts)
	}
}

func TestDropListNames(t *testing.T) {
	for _, tc := range []struct {
		scope       local.DropScope
		owner, text string
	}{
		{local.DropDomain, "", "Invalid domain "},
		{local.DropDomain, "a@b.test", "Invalid domain a@b.test"},
		{local.DropUser, "b.test", "Invalid mail address b.test"},
	} {
		_, err := local.ParseDropOwner(tc.scope, tc.owner)
		if !errors.Is(err, local.ErrInvalid) || err.Error() != tc.text {
			t.Errorf("%s: got %v", tc.owner, err)
		}
	}
	for s, want := range map[string]string{"a..b": "Invalid domain a..b", "a@@b.test": "Invalid mail address a@@b.test"} {
		if _, err := local.ParseDenied(s); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", s, err)
		}
	}
	if o, err := local.ParseDropOwner(local.DropGlobal, "whatever"); err != nil || o.Name != "" {
		t.Errorf("got %v, %v", o, err)
	}
}

func TestDropListFailure(t *testing.T) {
	p := &localtest.Policies{}
	d := local.NewDropLists(p)
	broken := errors.New("disk full")
	p.FailWith(broken)
	o := local.DropOwner{Scope: local.DropGlobal}
	_, listErr := d.List(t.Context(), o)
	_, hasErr := d.Has(t.Context(), o, "x.test")
	allowed, allowedErr := d.Allowed(t.Context(), container.MustAddress("a@b.test"), []container.Address{container.MustAddress("c@d.test")})
	for _, err := range []error{listErr, hasErr, allowedErr, d.Add(t.Context(), o, "x.test"), d.Remove(t.Context(), o, "x.test")} {
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
	if allowed != nil {
		t.Errorf("got %v although nothing could be read", allowed)
	}
}

func TestSetRules(t *testing.T) {
	d := local.NewDLP(&localtest.Policies{}, nil)
	many := make([]local.DLPRule, 1001)
	for _, tc := range []struct {
		rules []local.DLPRule
		kind  error
		text  string
	}{
		{[]local.DLPRule{{ID: "1"}, {ID: "2"}, {ID: "1"}}, local.ErrDuplicateRule, "'id' duplicates are not allowed in DLP rules"},
		{[]local.DLPRule{{ID: " "}}, local.ErrInvalid, "id should no be empty"},
		{[]local.DLPRule{{ID: "1", Expression: "(a"}}, local.ErrInvalidRegex, "`expression` must be a valid regex"},
		{[]local.DLPRule{{ID: "1", Expression: "[a-z&&[^b]]"}}, local.ErrInvalidRegex, "`expression` must be a valid regex"},
		{many, local.ErrInvalid, "1000 rules, not 1001"},
	} {
		err := d.SetRules(t.Context(), "a.test", tc.rules)
		if !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("got %v, want %s", err, tc.text)
		}
	}
	want := []local.DLPRule{{ID: "b", Expression: "x", Explanation: "y"}, {ID: "a", Content: true}}
	if err := d.SetRules(t.Context(), "A.test", want); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Rules(t.Context(), "a.TEST"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if r, ok, err := d.Rule(t.Context(), "a.test", "a"); err != nil || !ok || r != want[1] {
		t.Errorf("got %v, %v, %v", r, ok, err)
	}
	if _, ok, err := d.Rule(t.Context(), "a.test", "c"); err != nil || ok {
		t.Errorf("got %v, %v for a rule that is not there", ok, err)
	}
}

func TestSearchesAreKept(t *testing.T) {
	p := &localtest.Policies{}
	now := time.Unix(1e9, 0)
	d := local.NewDLP(p, func() time.Time { return now })
	other := local.NewDLP(p, nil) // of another process
	ask := func(maxAge time.Duration, want string, reads int) {
		t.Helper()
		before := p.Reads()
		list, err := d.Searches(t.Context(), "A.test", maxAge)
		got := ""
		for _, s := range list {
			got += s.ID + s.Searcher.String() + " "
		}
		if err != nil || got != want || p.Reads()-before != reads {
			t.Errorf("got %q, %v with %d reads, want %q with %d", got, err, p.Reads()-before, want, reads)
		}
	}
	set := func(d *local.DLP, rules ...local.DLPRule) {
		t.Helper()
		if err := d.SetRules(t.Context(), "a.test", rules); err != nil {
			t.Fatal(err)
		}
	}
	ask(time.Minute, "", 1)
	ask(time.Minute, "", 0)
	set(d, local.DLPRule{ID: "1", Expression: "x"})
	ask(time.Minute, "1x ", 1)
	set(other, local.DLPRule{ID: "2", Expression: "y"})
	ask(time.Minute, "1x ", 0)
	now = now.Add(59 * time.Second)
	ask(time.Minute, "1x ", 0)
	ask(time.Second, "2y ", 1)
	now = now.Add(2 * time.Second)
	ask(time.Second, "2y ", 1) // the same rules are not compiled again
	p.FailWith(errors.New("disk full"))
	now = now.Add(time.Hour)
	if _, err := d.Searches(t.Context(), "a.test", time.Minute); err == nil {
		t.Error("rules that cannot be read count as none")
	}
	p.FailWith(nil)
	if err := p.PutDLPRules(t.Context(), "a.test", []local.DLPRule{{ID: "bad", Expression: "(x"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Searches(t.Context(), "a.test", time.Minute); err == nil || !strings.Contains(err.Error(), "rule bad") {
		t.Errorf("got %v for an expression that does not compile", err)
	}
}
