package local_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
)

func addr(s string) container.Address { return container.MustAddress(s) }

func texts(ms []local.Mapping) []string {
	var out []string
	for _, m := range ms {
		out = append(out, m.String())
	}
	slices.Sort(out)
	return out
}

func TestResolve(t *testing.T) {
	for _, tc := range []struct {
		name, table, addr string
		types             []local.MappingType
		want, err         string
	}{
		{name: "none", addr: "bob@a.test"},
		{name: "alias", table: "x@a.test=alias:bob@a.test", addr: "X@A.test", want: "alias:bob@a.test"},
		{name: "address beats domain", table: "a.test=domain:b.test x@a.test=y@b.test", addr: "x@a.test", want: "y@b.test"},
		{name: "domain", table: "a.test=domain:b.test", addr: "x@a.test", want: "x@b.test"},
		{name: "domain alias", table: "a.test=domainAlias:b.test", addr: "x@a.test", want: "x@b.test"},
		{name: "filtered forward hides the domain", table: "a.test=domain:b.test x@a.test=forward:y@b.test", addr: "x@a.test",
			types: []local.MappingType{local.MapDomain, local.MapAlias}},
		{name: "global is never consulted", table: "*=y@b.test", addr: "x@a.test"},
		{name: "group of two", table: "g@a.test=group:u@a.test g@a.test=group:v@c.test", addr: "g@a.test", want: "group:u@a.test group:v@c.test"},
		{name: "recursion", table: "g@a.test=group:h@a.test h@a.test=alias:u@a.test", addr: "g@a.test", want: "alias:u@a.test"},
		{name: "one target twice", table: "g@a.test=group:h@a.test g@a.test=group:i@a.test h@a.test=u@a.test i@a.test=u@a.test", addr: "g@a.test", want: "u@a.test"},
		{name: "self forward is kept", table: "u@a.test=forward:u@a.test u@a.test=forward:v@c.test", addr: "u@a.test", want: "forward:u@a.test forward:v@c.test"},
		{name: "identity of another type voids the level", table: "u@a.test=u@a.test u@a.test=v@c.test", addr: "u@a.test"},
		{name: "error", table: "u@a.test=error:550 gone", addr: "u@a.test", err: "550 gone"},
		{name: "error beside a good one", table: "u@a.test=error:550 gone u@a.test=alias:v@a.test", addr: "u@a.test", err: "550 gone"},
		{name: "error further on", table: "g@a.test=group:u@a.test g@a.test=group:v@a.test u@a.test=error:no", addr: "g@a.test", err: "no"},
		{name: "loop", table: "u@a.test=v@a.test v@a.test=u@a.test", addr: "u@a.test", err: "554 Too many mappings to process"},
		{name: "regex", table: `a.test=regex:(.*)\.(.*)@a\.test:${2}-${1}@b.test`, addr: "x.y@a.test", want: "y-x@b.test"},
		{name: "regex without domain", table: `a.test=regex:(.*)@.*:${1}1`, addr: "x@b.test"},
		{name: "regex gets the domain", table: `a.test=regex:x@.*:y a.test=regex:y@.*:z`, addr: "x@a.test", want: "z@a.test"},
		{name: "regex must match all", table: `a.test=regex:x:y@b.test`, addr: "x@a.test"},
		{name: "regex with two colons", table: `a.test=regex:.*:y:z@b.test`, addr: "x@a.test"},
		{name: "malformed result", table: `a.test=regex:.*:@@ a.test=regex:x.*:y@b.test`, addr: "x@a.test", want: "y@b.test"},
		{name: "unknown group stands for itself", table: `a.test=regex:x@.*:a${7}@b.test`, addr: "x@a.test", want: "a${7}@b.test"},
		{name: "nine hops", table: chain(9), addr: "u0@a.test", want: "u9@a.test"},
		{name: "ten hops", table: chain(10), addr: "u0@a.test", err: "554 Too many mappings to process"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, s := localtest.Directory(t, []string{"a.test"})
			fill(s, tc.table)
			got, err := d.Resolve(t.Context(), addr(tc.addr), tc.types...)
			if fmt.Sprint(err) != cmpOr(tc.err, "<nil>") {
				t.Fatalf("got error %v, want %q", err, tc.err)
			}
			if want := strings.Fields(tc.want); !slices.Equal(texts(got), want) {
				t.Errorf("got %q, want %q", texts(got), want)
			}
		})
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "u%d@a.test=u%d@a.test ", i, i+1)
	}
	return b.String()
}

// fill reads "source=mapping" pairs; a blank in a mapping begins a word that has
// no "=".
func fill(s *localtest.Storage, table string) {
	var source, mapping string
	flush := func() {
		if source != "" {
			s.Map(source, mapping)
		}
	}
	for _, w := range strings.Fields(table) {
		if src, m, ok := strings.Cut(w, "="); ok {
			flush()
			source, mapping = src, m
			continue
		}
		mapping += " " + w
	}
	flush()
}

func TestResolveSettings(t *testing.T) {
	s := localtest.NewStorage()
	fill(s, "u@a.test=v@a.test v@a.test=w@a.test")
	for _, tc := range []struct {
		name      string
		recursive bool
		limit     int
		want, err string
	}{
		{"one hop without recursion", false, 10, "v@a.test", ""},
		{"limit 1 allows none", true, 1, "", "554 Too many mappings to process"},
		{"limit 3 allows two", true, 3, "w@a.test", ""},
		{"limit 2 allows one", true, 2, "", "554 Too many mappings to process"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := local.New(local.Config{DefaultDomain: "a.test", VirtualHosting: true, RecursiveMapping: tc.recursive, MappingLimit: tc.limit}, s)
			got, err := d.Resolve(t.Context(), addr("u@a.test"))
			if fmt.Sprint(err) != cmpOr(tc.err, "<nil>") || strings.Join(texts(got), " ") != tc.want {
				t.Errorf("got %q, %v, want %q, %q", texts(got), err, tc.want, tc.err)
			}
		})
	}
}

func TestEvilRegexEnds(t *testing.T) {
	d, s := localtest.Directory(t, []string{"a.test"})
	s.Map("a.test", `regex:(a+)+b:x@a.test`)
	if _, err := d.Resolve(t.Context(), addr(strings.Repeat("a", 60)+"@a.test")); err == nil {
		t.Error("got no error, want one about time")
	}
}

func TestLocality(t *testing.T) {
	d, s := localtest.Directory(t, []string{"a.test", "192.0.2.1"}, "bob@a.test", "carl@gone.test")
	fill(s, "b@a.test=alias:bob@a.test old.test=domainAlias:a.test addr@a.test=bob@a.test l@a.test=alias:m@a.test m@a.test=alias:l@a.test e@a.test=error:no x.test=alias:bob@a.test")
	for a, want := range map[string]bool{
		"bob@a.test": true, "BOB@A.TEST": true, "b@a.test": true, "bob@old.test": true,
		"addr@a.test": false, "nobody@a.test": false, "bob@other.test": false, "carl@gone.test": false,
		"l@a.test": false, "e@a.test": false, "bob@[192.0.2.1]": false,
	} {
		if got, err := d.IsLocalAddress(t.Context(), addr(a)); got != want || err != nil {
			t.Errorf("IsLocalAddress(%s): got %v, %v, want %v", a, got, err, want)
		}
	}
	for a, want := range map[string]bool{"bob@a.test": true, "b@a.test": true, "bob@old.test": true, "addr@a.test": false, "carl@gone.test": false} {
		if got, err := d.MaySendAs(t.Context(), "Bob@a.test", addr(a)); got != want || err != nil {
			t.Errorf("MaySendAs(%s): got %v, %v, want %v", a, got, err, want)
		}
	}
	got, err := d.SenderAddresses(t.Context(), "bob@a.test")
	if want := []string{"b@a.test", "b@old.test", "bob@a.test", "bob@old.test"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("SenderAddresses: got %q, %v, want %q", got, err, want)
	}
	if ok, err := d.IsLocalAddress(t.Context(), container.Address{}); ok || err != nil {
		t.Errorf("null sender: got %v, %v", ok, err)
	}
}

func TestWithoutVirtualHosting(t *testing.T) {
	s := localtest.NewStorage()
	d := local.New(local.Config{DefaultDomain: "a.test", HashIterations: 1000}, s)
	if err := d.AddUser(t.Context(), "bob", "secret"); err != nil {
		t.Fatal(err)
	}
	if err := d.AddUser(t.Context(), "bob@a.test", "secret"); !errors.Is(err, local.ErrInvalidUser) {
		t.Errorf("name with domain: got %v", err)
	}
	for a, want := range map[string]bool{"bob@a.test": true, "Bob@A.test": true, "bob@b.test": false, "x@a.test": false} {
		if got, err := d.UserExists(t.Context(), addr(a)); got != want || err != nil {
			t.Errorf("UserExists(%s): got %v, %v, want %v", a, got, err, want)
		}
	}
	for user, want := range map[string]bool{"bob": true, "BOB@a.test": true, "bob@b.test": false} {
		name, ok, err := d.Authenticate(t.Context(), user, "secret")
		if ok != want || err != nil || ok && name != "bob" {
			t.Errorf("Authenticate(%s): got %q, %v, %v, want %v", user, name, ok, err, want)
		}
	}
}

func TestDomains(t *testing.T) {
	s := localtest.NewStorage()
	cfg := local.Config{DefaultDomain: "A.test", StaticDomains: []string{"b.test"}, AutoDomains: []string{"host.test"},
		LookupIPs: func(_ context.Context, d string) []string {
			if d == "b.test" {
				return []string{"192.0.2.7"}
			}
			return nil
		}}
	d := local.New(cfg, s)
	ctx := t.Context()
	if err := d.Init(ctx); err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		got, err := d.Domains(ctx)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	check("192.0.2.7 a.test b.test host.test")
	if err := d.AddDomain(ctx, "C.Test"); err != nil {
		t.Error(err)
	}
	check("192.0.2.7 a.test b.test c.test host.test")
	s.Map("b.test", "domain:a.test")
	s.Map("x@b.test", "alias:y@a.test")
	if err := d.RemoveDomain(ctx, "b.test"); err != nil {
		t.Error(err)
	}
	check("a.test c.test host.test")
	if all, err := d.AllMappings(ctx); err != nil || len(all) != 1 || len(all["x@b.test"]) != 1 {
		t.Errorf("mappings left: %v, %v", all, err)
	}
	for dom, kind := range map[string]error{"a.test": local.ErrNotRemovable, "host.test": local.ErrNotRemovable, "a..b": local.ErrInvalidDomain, "gone.test": nil} {
		if err := d.RemoveDomain(ctx, dom); !errors.Is(err, kind) {
			t.Errorf("RemoveDomain(%s): got %v, want %v", dom, err, kind)
		}
	}
	if err := d.AddDomain(ctx, "-x.test"); !errors.Is(err, local.ErrInvalidDomain) {
		t.Errorf("got %v", err)
	}
}

// A resolver that does not answer must not hold up every question about domains:
// addresses are asked for by one caller, for a short time, and kept.
func TestDetectionDoesNotHold(t *testing.T) {
	var mu sync.Mutex
	now, calls, dead := time.Now(), 0, false
	cfg := local.Config{DefaultDomain: "a.test", StaticDomains: []string{"b.test", "c.test"}, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}}
	cfg.LookupIPs = func(ctx context.Context, _ string) []string {
		mu.Lock()
		calls++
		hang := dead
		mu.Unlock()
		if hang {
			<-ctx.Done()
			return nil
		}
		return []string{"192.0.2.7"}
	}
	cfg.DetectTimeout = 20 * time.Millisecond
	d := local.New(cfg, localtest.NewStorage())
	for i := range 10 {
		mu.Lock()
		now, dead = now.Add(11*time.Second), i > 0
		mu.Unlock()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				ok, err := d.IsLocalDomain(context.Background(), "192.0.2.7")
				if err != nil || i == 1 && !ok {
					t.Errorf("got %t, %v after the resolver died", ok, err)
				}
			})
		}
		wg.Wait()
	}
	if calls > 3*4 {
		t.Errorf("got %d lookups of 3 domains in two minutes, want at most 12", calls)
	}
}

func TestDetectedIPCannotBeRemoved(t *testing.T) {
	cfg := local.Config{DefaultDomain: "a.test", LookupIPs: func(context.Context, string) []string { return []string{"192.0.2.7"} }}
	d := local.New(cfg, localtest.NewStorage())
	err := d.RemoveDomain(t.Context(), "192.0.2.7")
	if !errors.Is(err, local.ErrNotRemovable) || err.Error() != "192.0.2.7 is autodetected and cannot be removed" {
		t.Errorf("got %v", err)
	}
}

func TestMappingsTakesAnySpelling(t *testing.T) {
	s := localtest.NewStorage()
	s.Map("x@a.test", "alias:y@a.test")
	s.Map("a.test", "domain:b.test")
	for _, cfg := range []local.Config{{}, {StaticMappings: map[string][]local.Mapping{
		"x@a.test": {{Type: local.MapAlias, Target: "y@a.test"}}, "a.test": {{Type: local.MapDomain, Target: "b.test"}}}}} {
		d := local.New(cfg, s)
		for _, source := range []string{"X@A.test", " x@a.test", "A.test", "*@a.test"} {
			if got, err := d.Mappings(t.Context(), source); len(got) != 1 || err != nil {
				t.Errorf("%q: got %v, %v, want one mapping", source, got, err)
			}
		}
		if _, err := d.Mappings(t.Context(), "a b@c"); !errors.Is(err, local.ErrInvalid) {
			t.Errorf("bad source: got %v, want ErrInvalid", err)
		}
	}
}

func TestAddMapping(t *testing.T) {
	for _, tc := range []struct {
		name, table, source, mapping string
		kind                         error
		text                         string
	}{
		{name: "alias", source: "x@a.test", mapping: "alias:bob@a.test"},
		{name: "again", table: "x@a.test=alias:bob@a.test", source: "X@a.test", mapping: "alias:Bob@a.test"},
		{name: "alias of itself", source: "x@a.test", mapping: "alias:X@a.test", kind: local.ErrSameAddress, text: "Source and destination can't be the same!"},
		{name: "alias hides a user", source: "bob@a.test", mapping: "alias:x@a.test", kind: local.ErrUserExists, text: "'bob@a.test' user already exist"},
		{name: "group beside alias", table: "g@a.test=alias:a@b.com", source: "g@a.test", mapping: "group:x@a.test", kind: local.ErrShadowed, text: "'g@a.test' already have associated mappings: alias:a@b.com"},
		{name: "foreign source", source: "x@f.test", mapping: "y@a.test", kind: local.ErrUnmanagedDomain, text: "Source domain 'f.test' is not managed by the domainList"},
		{name: "loop", table: "x@a.test=y@a.test", source: "y@a.test", mapping: "x@a.test", kind: local.ErrLoop, text: "Creation of redirection of y@a.test to x@a.test would lead to a loop, operation not performed"},
		{name: "loop of forwards", table: "bob@a.test=forward:eve@a.test", source: "eve@a.test", mapping: "forward:bob@a.test", kind: local.ErrLoop, text: "Creation of redirection of eve@a.test to forward:bob@a.test would lead to a loop, operation not performed"},
		{name: "loop that James misses", table: "g1@a.test=group:u1@a.test g2@a.test=group:u2@a.test g1@a.test=group:g2@a.test", source: "g2@a.test", mapping: "group:g1@a.test", kind: local.ErrLoop, text: "Creation of redirection of g2@a.test to group:g1@a.test would lead to a loop, operation not performed"},
		{name: "self forward", source: "bob@a.test", mapping: "forward:bob@a.test"},
		{name: "forward of nobody", source: "x@a.test", mapping: "forward:y@a.test", kind: local.ErrNoSuchUser, text: "Requested base forward address does not correspond to a user"},
		{name: "forward of a domain", source: "*@a.test", mapping: "forward:y@a.test", kind: local.ErrInvalid},
		{name: "domain-wide regex", source: "*@a.test", mapping: "regex:.*:bob@a.test"},
		{name: "bad regex", source: "x@a.test", mapping: "regex:O.*[]", kind: local.ErrInvalidRegex, text: "Invalid regex: O.*[]"},
		{name: "domain to itself", source: "a.test", mapping: "domainAlias:a.test", kind: local.ErrSameAddress, text: "Source domain and destination domain can not have same value(a.test)"},
		{name: "foreign domain alias", source: "f.test", mapping: "domainAlias:a.test", kind: local.ErrUnmanagedDomain, text: "The domain list does not contain: f.test"},
		{name: "value without domain", source: "x@a.test", mapping: "bob"},
		{name: "value is no address", source: "x@a.test", mapping: "a@b@c", kind: local.ErrInvalid},
		{name: "source is no address", source: "x@@a.test", mapping: "y@a.test", kind: local.ErrInvalid},
		{name: "error", source: "x@a.test", mapping: "error:550 5.7.1 no"},
		{name: "error on two lines", source: "x@a.test", mapping: "error:550 a\r\nb", kind: local.ErrInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, s := localtest.Directory(t, []string{"a.test"}, "bob@a.test", "eve@a.test")
			fill(s, tc.table)
			m := local.ParseMapping(tc.mapping)
			err := d.AddMapping(t.Context(), tc.source, m)
			if !errors.Is(err, tc.kind) || tc.text != "" && err.Error() != tc.text {
				t.Fatalf("got %v, want %q", err, cmpOr(tc.text, fmt.Sprint(tc.kind)))
			}
			if tc.kind != nil {
				return
			}
			if err := d.RemoveMapping(t.Context(), tc.source, m); err != nil {
				t.Error(err)
			}
			src, _ := local.ParseSource(tc.source)
			if ms, _ := d.Mappings(t.Context(), src); strings.Contains(strings.Join(texts(ms), " "), tc.mapping) {
				t.Errorf("still there after removal: %q", texts(ms))
			}
		})
	}
}

func TestUsers(t *testing.T) {
	d, s := localtest.Directory(t, []string{"a.test"})
	ctx := t.Context()
	s.Map("taken@a.test", "alias:bob@a.test")
	for _, tc := range []struct {
		name string
		kind error
		text string
	}{
		{"Bob@a.test", nil, ""},
		{"bob@a.test", local.ErrUserExists, "'bob@a.test' user already exist"},
		{"taken@a.test", local.ErrShadowed, "'taken@a.test' already have associated mappings: alias:bob@a.test"},
		{"bob", local.ErrInvalidUser, "Given Username needs to contain a @domainpart"},
		{"bob@f.test", local.ErrInvalidUser, "Domain does not exist in DomainList"},
		{"b(b@a.test", local.ErrInvalidUser, ""},
		{"b b@a.test", local.ErrInvalidUser, ""},
		{"..@a.test", local.ErrInvalidUser, ""},
		{strings.Repeat("x", 250) + "@a.test", local.ErrInvalidUser, "username length should not be longer than 255 characters"},
	} {
		if err := d.AddUser(ctx, tc.name, "secret"); !errors.Is(err, tc.kind) || tc.text != "" && err.Error() != tc.text {
			t.Errorf("AddUser(%s): got %v, want %v %q", tc.name, err, tc.kind, tc.text)
		}
	}
	auth := func(pw string, want bool) {
		t.Helper()
		for range 2 { // the second time from memory
			if name, ok, err := d.Authenticate(ctx, "BOB@a.test", pw); ok != want || err != nil || ok && name != "bob@a.test" {
				t.Errorf("Authenticate: got %q, %v, %v, want %v", name, ok, err, want)
			}
		}
	}
	auth("secret", true)
	auth("wrong", false)
	if err := d.SetPassword(ctx, "bob@a.test", "other"); err != nil {
		t.Error(err)
	}
	auth("secret", false)
	auth("other", true)
	if err := d.DeleteUser(ctx, "bob@a.test"); err != nil {
		t.Error(err)
	}
	auth("other", false)
	if names, err := d.Users(ctx); len(names) != 0 || err != nil {
		t.Errorf("got %q, %v", names, err)
	}
}

func TestUserData(t *testing.T) {
	d, s := localtest.Directory(t, []string{"a.test"})
	fill(s, "bob@a.test=forward:bob@a.test bob@a.test=forward:x@c.test g@a.test=group:bob@a.test al@a.test=alias:bob@a.test eve@a.test=forward:bob@a.test")
	ctx := t.Context()
	if err := d.RenameForwards(ctx, "bob@a.test", "new@a.test"); err != nil {
		t.Fatal(err)
	}
	ms, _ := d.Mappings(ctx, "new@a.test")
	old, _ := d.Mappings(ctx, "bob@a.test")
	if got := strings.Join(append(texts(ms), texts(old)...), " "); got != "forward:new@a.test forward:x@c.test forward:new@a.test" {
		t.Errorf("after rename: %s", got)
	}
	if err := d.RemoveUserMappings(ctx, "bob@a.test"); err != nil {
		t.Fatal(err)
	}
	all, _ := d.AllMappings(ctx)
	if len(all) != 2 || all["al@a.test"] == nil || all["new@a.test"] == nil {
		t.Errorf("left: %v", all)
	}
}

func TestStaticMappings(t *testing.T) {
	cfg := local.Config{DefaultDomain: "a.test", RecursiveMapping: true,
		StaticMappings: map[string][]local.Mapping{"x@a.test": {{Type: local.MapAddress, Target: "y@a.test"}}}}
	d := local.New(cfg, localtest.NewStorage())
	if got, err := d.Resolve(t.Context(), addr("x@a.test")); err != nil || strings.Join(texts(got), " ") != "y@a.test" {
		t.Errorf("got %v, %v", got, err)
	}
	if err := d.AddMapping(t.Context(), "z@a.test", local.ParseMapping("y@a.test")); !errors.Is(err, local.ErrReadOnly) {
		t.Errorf("got %v, want ErrReadOnly", err)
	}
}

func TestCache(t *testing.T) {
	s := localtest.NewStorage()
	now := time.Unix(1000, 0)
	d := local.New(local.Config{DefaultDomain: "a.test", VirtualHosting: true, RecursiveMapping: true, Now: func() time.Time { return now }}, s)
	ctx := t.Context()
	ask := func() (n int) {
		before := s.Reads()
		_, _ = d.IsLocalDomain(ctx, "a.test")
		_, _ = d.UserExists(ctx, addr("bob@a.test"))
		_, _ = d.Resolve(ctx, addr("bob@a.test"))
		return s.Reads() - before
	}
	if ask() == 0 {
		t.Error("first question did not reach the store")
	}
	if n := ask(); n != 0 {
		t.Errorf("second question: %d reads, want 0", n)
	}
	if err := d.AddMapping(ctx, "bob@a.test", local.ParseMapping("x@a.test")); err != nil {
		t.Fatal(err)
	}
	if got, _ := d.Resolve(ctx, addr("bob@a.test")); len(got) != 1 {
		t.Error("own change not seen")
	}
	ask()
	s.Map("bob@a.test", "y@a.test") // another process
	if got, _ := d.Resolve(ctx, addr("bob@a.test")); len(got) != 1 {
		t.Error("cache was not used")
	}
	now = now.Add(11 * time.Second)
	if got, _ := d.Resolve(ctx, addr("bob@a.test")); len(got) != 2 {
		t.Error("cache did not expire")
	}
}

func TestStoreFailure(t *testing.T) {
	d, s := localtest.Directory(t, []string{"a.test"})
	broken := errors.New("disk gone")
	s.FailWith(broken)
	ctx := t.Context()
	_, err1 := d.IsLocalDomain(ctx, "a.test")
	_, err2 := d.UserExists(ctx, addr("x@a.test"))
	_, err3 := d.Resolve(ctx, addr("x@a.test"))
	_, err4 := d.IsLocalAddress(ctx, addr("x@a.test"))
	_, _, err5 := d.Authenticate(ctx, "x@a.test", "y")
	for i, err := range []error{err1, err2, err3, err4, err5, d.AddUser(ctx, "x@a.test", "y")} {
		if !errors.Is(err, broken) {
			t.Errorf("call %d: got %v, want the store's error", i+1, err)
		}
	}
	s.FailWith(nil)
	if ok, err := d.IsLocalDomain(ctx, "a.test"); !ok || err != nil {
		t.Errorf("the failure was kept: %v, %v", ok, err)
	}
}

// Whatever the table is, resolving ends and every result is an address.
func FuzzResolve(f *testing.F) {
	f.Add("u@a.test=v@a.test v@a.test=group:u@a.test a.test=regex:(.*):${1}", "u@a.test")
	f.Fuzz(func(t *testing.T, table, a string) {
		ad, err := container.ParseAddress(a)
		if err != nil {
			return
		}
		d, s := localtest.Directory(t, []string{"a.test"})
		fill(s, table)
		ms, err := d.Resolve(t.Context(), ad)
		if err != nil {
			return
		}
		for _, m := range ms {
			if _, err := container.ParseAddress(m.Target); err != nil {
				t.Errorf("result %q is no address", m.Target)
			}
		}
	})
}

func BenchmarkPerMessage(b *testing.B) {
	d, s := localtest.Directory(b, []string{"a.test"}, "bob@a.test")
	s.Map("x@a.test", "alias:bob@a.test")
	ctx, x, bob := context.Background(), addr("x@a.test"), addr("bob@a.test")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = d.IsLocalDomain(ctx, "a.test")
		_, _ = d.UserExists(ctx, bob)
		_, _ = d.Resolve(ctx, bob)
		_, _ = d.Resolve(ctx, x)
	}
}
