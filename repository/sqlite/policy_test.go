package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container/local"
)

func TestDropLists(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s, err := Open(dir, Options{Logger: quiet()})
	must(t, err)
	all := local.DropOwner{Scope: local.DropGlobal}
	dom := local.DropOwner{Scope: local.DropDomain, Name: "here.test"}
	bob := local.DropOwner{Scope: local.DropUser, Name: `"b'o\"b"@here.test`}
	for _, e := range []struct {
		o local.DropOwner
		d string
	}{{all, "evil.test"}, {all, "evil.test"}, {all, "a@evil.test"}, {dom, "x@y.test"}, {bob, "x@z.test"}, {bob, "gone.test"}} {
		must(t, s.AddDenied(ctx, e.o, e.d))
	}
	must(t, s.RemoveDenied(ctx, bob, "gone.test"))
	must(t, s.RemoveDenied(ctx, bob, "gone.test"))
	must(t, s.Close(ctx))

	s = openTest(t, dir)
	for o, want := range map[local.DropOwner][]string{all: {"a@evil.test", "evil.test"}, dom: {"x@y.test"}, bob: {"x@z.test"}, {Scope: local.DropUser}: nil} {
		if got, err := s.DropList(ctx, o); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %q, %v, want %q", o, got, err, want)
		}
	}
	owners := []local.DropOwner{all, {Scope: local.DropUser, Name: "here.test"}, dom, bob}
	for _, tc := range []struct {
		denied []string
		want   []int
	}{
		{[]string{"a@evil.test", "evil.test"}, []int{0}},
		{[]string{"x@y.test", "x@z.test"}, []int{2, 3}},
		{[]string{"nice.test"}, nil},
		{nil, nil},
	} {
		if got, err := s.DeniedBy(ctx, owners, tc.denied); err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%q: got %v, %v, want %v", tc.denied, got, err, tc.want)
		}
	}
}

// Many recipients are one query, and each of them one look into the key.
func TestDeniedByUsesKey(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, t.TempDir())
	owners := make([]local.DropOwner, 40000)
	for i := range owners {
		owners[i] = local.DropOwner{Scope: local.DropUser, Name: fmt.Sprintf("u%d@here.test", i)}
	}
	must(t, s.AddDenied(ctx, owners[39999], "evil.test"))
	got, err := s.DeniedBy(ctx, owners, []string{"a@evil.test", "evil.test"})
	if err != nil || !reflect.DeepEqual(got, []int{39999}) {
		t.Errorf("got %v, %v", got, err)
	}
	rows, err := s.read.QueryContext(ctx, "EXPLAIN QUERY PLAN "+deniedBy, "[]", "[]")
	must(t, err)
	defer rows.Close()
	plan := ""
	for rows.Next() {
		var id, parent, unused int
		var detail string
		must(t, rows.Scan(&id, &parent, &unused, &detail))
		plan += detail + "\n"
	}
	must(t, rows.Err())
	if !strings.Contains(plan, "SEARCH l USING PRIMARY KEY (scope=? AND owner=? AND denied=?)") {
		t.Errorf("the key is not used:\n%s", plan)
	}
}

func TestDLPRules(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s, err := Open(dir, Options{Logger: quiet()})
	must(t, err)
	rules := []local.DLPRule{
		{ID: "z", Expression: `\d{4}`, Explanation: "card", Sender: true, Content: true},
		{ID: "a", Expression: "", Recipients: true},
	}
	must(t, s.PutDLPRules(ctx, "a.test", []local.DLPRule{{ID: "old"}, {ID: "older"}, {ID: "oldest"}}))
	must(t, s.PutDLPRules(ctx, "b.test", []local.DLPRule{{ID: "b"}}))
	must(t, s.PutDLPRules(ctx, "c.test", []local.DLPRule{{ID: "c"}}))
	must(t, s.PutDLPRules(ctx, "a.test", rules))
	must(t, s.PutDLPRules(ctx, "c.test", nil))
	must(t, s.Close(ctx))

	s = openTest(t, dir)
	for domain, want := range map[string][]local.DLPRule{"a.test": rules, "b.test": {{ID: "b"}}, "c.test": nil, "d.test": nil} {
		if got, err := s.DLPRules(ctx, domain); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v, want %v", domain, got, err, want)
		}
	}
}

// A database of the first version gets the new tables and keeps what it has.
func TestMigrateFromFirst(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	c, err := openConn(filepath.Join(dir, databaseName))
	must(t, err)
	must(t, migrate(c, migrations[:1]))
	must(t, c.exec("INSERT INTO domain (name) VALUES ('here.test')"))
	must(t, c.close())
	s := openTest(t, dir)
	must(t, s.AddDenied(ctx, local.DropOwner{Scope: local.DropGlobal}, "evil.test"))
	must(t, s.PutDLPRules(ctx, "here.test", []local.DLPRule{{ID: "1"}}))
	if got, err := s.Domains(ctx); err != nil || !reflect.DeepEqual(got, []string{"here.test"}) {
		t.Errorf("got domains %q, %v", got, err)
	}
}
