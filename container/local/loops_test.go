package local_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
)

// TestNoLoopCanBeAdded: whatever is added in whatever order, what AddMapping takes
// never loops. Chains stay below the limit here.
func TestNoLoopCanBeAdded(t *testing.T) {
	domains := []string{"d0.test", "d1.test", "d2.test"}
	taken, refused := 0, 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 2))
		d, _ := localtest.Directory(t, domains)
		name := func() string { return fmt.Sprintf("u%d@d%d.test", r.IntN(2), r.IntN(3)) }
		for range 12 {
			source, m := name(), local.Mapping{Type: []local.MappingType{local.MapAddress, local.MapAlias, local.MapGroup}[r.IntN(3)], Target: name()}
			if r.IntN(4) == 0 {
				source, m = domains[r.IntN(3)], local.Mapping{Type: local.MapDomain, Target: domains[r.IntN(3)]}
			}
			if r.IntN(6) == 0 {
				source = domains[r.IntN(3)]
				m = local.Mapping{Type: local.MapAddress, Target: name()}
			}
			err := d.AddMapping(t.Context(), source, m)
			var rule *local.RuleError
			switch {
			case err == nil:
				taken++
			case errors.Is(err, local.ErrLoop):
				refused++
			case !errors.As(err, &rule):
				t.Fatal(err)
			}
		}
		all, err := d.AllMappings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for u := range 6 {
			a := fmt.Sprintf("u%d@d%d.test", u%2, u/2)
			if got, err := d.Resolve(t.Context(), addr(a)); err != nil {
				t.Fatalf("seed %d: %s leads to %v, %v in %v", seed, a, got, err, all)
			}
		}
	}
	if taken < 1000 || refused < 100 {
		t.Errorf("%d were taken, %d refused", taken, refused)
	}
}

// TestLoopsBehindOtherThings: a loop is seen however long it is, and whatever else
// the target leads to first.
func TestLoopsBehindOtherThings(t *testing.T) {
	address := func(target string) local.Mapping { return local.Mapping{Type: local.MapAddress, Target: target} }
	for _, tc := range []struct {
		name string
		have func(add func(source string, m local.Mapping))
		m    local.Mapping // of a@d.test
		loop bool
	}{
		{"longer than the limit", func(add func(string, local.Mapping)) {
			for i := range 30 {
				add(fmt.Sprintf("n%d@d.test", i), address(fmt.Sprintf("n%d@d.test", i+1)))
			}
			add("n30@d.test", address("a@d.test"))
		}, address("n0@d.test"), true},
		{"behind a long way that ends elsewhere", func(add func(string, local.Mapping)) {
			add("b@d.test", address("n0@d.test"))
			add("b@d.test", address("z@d.test"))
			for i := range 30 {
				add(fmt.Sprintf("n%d@d.test", i), address(fmt.Sprintf("n%d@d.test", i+1)))
			}
			add("z@d.test", address("a@d.test"))
		}, address("b@d.test"), true},
		{"behind an error", func(add func(string, local.Mapping)) {
			add("b@d.test", address("e@d.test"))
			add("b@d.test", address("z@d.test"))
			add("e@d.test", local.Mapping{Type: local.MapError, Target: "gone"})
			add("z@d.test", address("a@d.test"))
		}, address("b@d.test"), true},
		{"members that are in many groups", func(add func(string, local.Mapping)) {
			for i := range 12 { // 4^12 ways, and no loop
				for j := range 4 {
					for k := range 4 {
						add(fmt.Sprintf("g%d-%d@d.test", i, j), local.Mapping{Type: local.MapGroup, Target: fmt.Sprintf("g%d-%d@d.test", i+1, k)})
					}
				}
			}
		}, address("g0-0@d.test"), false},
		{"an address that another leads to as well", func(add func(string, local.Mapping)) {
			add("b@d.test", address("c@d.test"))
		}, address("c@d.test"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, _ := localtest.Directory(t, []string{"d.test"})
			tc.have(func(source string, m local.Mapping) {
				t.Helper()
				if err := d.AddMapping(t.Context(), source, m); err != nil {
					t.Fatal(err)
				}
			})
			if err := d.AddMapping(t.Context(), "a@d.test", tc.m); errors.Is(err, local.ErrLoop) != tc.loop || err != nil && !tc.loop {
				t.Errorf("got %v, want a loop: %t", err, tc.loop)
			}
		})
	}
}

// TestLoopsAtTheSameTime: of two mappings that make a loop together one is taken.
func TestLoopsAtTheSameTime(t *testing.T) {
	d, _ := localtest.Directory(t, []string{"d.test"})
	for i := range 300 {
		a, b := fmt.Sprintf("a%d@d.test", i), fmt.Sprintf("b%d@d.test", i)
		errs := make([]error, 2)
		var wg sync.WaitGroup
		for j, pair := range [][2]string{{a, b}, {b, a}} {
			wg.Go(func() {
				errs[j] = d.AddMapping(t.Context(), pair[0], local.Mapping{Type: local.MapAddress, Target: pair[1]})
			})
		}
		wg.Wait()
		if errors.Is(errs[0], local.ErrLoop) == errors.Is(errs[1], local.ErrLoop) {
			t.Fatalf("%s and %s: got %v and %v, want one loop", a, b, errs[0], errs[1])
		}
	}
}

// TestPutOneLine: what is stored unchecked cannot become a second line of a reply.
func TestPutOneLine(t *testing.T) {
	d, _ := localtest.Directory(t, []string{"d.test"})
	for _, target := range []string{"gone\r\n250 2.0.0 OK", "gone\nX-Header: y", "gone\x00"} {
		err := d.PutMapping(t.Context(), "a@d.test", local.Mapping{Type: local.MapError, Target: target})
		if !errors.Is(err, local.ErrInvalid) {
			t.Errorf("%q: got %v", target, err)
		}
	}
}

// TestLoopsOfWholeDomains: what stands on a domain is a mapping of every address
// there that has none of its own.
func TestLoopsOfWholeDomains(t *testing.T) {
	type row struct {
		source string
		m      local.Mapping
	}
	address := func(source, target string) row {
		return row{source, local.Mapping{Type: local.MapAddress, Target: target}}
	}
	for _, tc := range []struct {
		name string
		have []row
		add  row
		loop bool
	}{
		{"two that catch all", []row{address("d.test", "boss@e.test")}, address("e.test", "chief@d.test"), true},
		{"through an address", []row{address("boss@e.test", "x@d.test")}, address("d.test", "boss@e.test"), true},
		{"behind it", []row{address("d.test", "boss@e.test")}, address("boss@e.test", "x@d.test"), true},
		{"through a domain", []row{{"e.test", local.Mapping{Type: local.MapDomain, Target: "d.test"}}}, address("d.test", "boss@e.test"), true},
		{"through a domain, another name", []row{{"e.test", local.Mapping{Type: local.MapDomain, Target: "d.test"}}, address("boss@d.test", "far@x.test")}, address("d.test", "boss@e.test"), false},
		{"one in the domain", nil, address("d.test", "boss@d.test"), false},
		{"one in the domain that goes on", []row{address("boss@d.test", "far@x.test")}, address("d.test", "boss@d.test"), false},
		{"to one who has his own", []row{address("x@d.test", "far@x.test"), address("boss@e.test", "x@d.test")}, address("d.test", "boss@e.test"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, _ := localtest.Directory(t, []string{"d.test", "e.test"})
			for _, h := range tc.have {
				if err := d.AddMapping(t.Context(), h.source, h.m); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.AddMapping(t.Context(), tc.add.source, tc.add.m); errors.Is(err, local.ErrLoop) != tc.loop || err != nil && !tc.loop {
				t.Errorf("got %v, want a loop: %t", err, tc.loop)
			}
			for _, a := range []string{"y@d.test", "x@d.test", "boss@d.test", "boss@e.test", "y@e.test"} {
				if got, err := d.Resolve(t.Context(), addr(a)); err != nil {
					t.Errorf("%s: got %v, %v", a, got, err)
				}
			}
		})
	}
}

// TestRenameMakesNoLoop: whoever forwarded to the old name of himself keeps his mail.
func TestRenameMakesNoLoop(t *testing.T) {
	d, _ := localtest.Directory(t, []string{"d.test"}, "bob@d.test", "robert@d.test")
	for _, m := range []struct{ from, to string }{{"robert@d.test", "bob@d.test"}, {"robert@d.test", "far@x.test"}, {"bob@d.test", "copy@x.test"}} {
		if err := d.AddMapping(t.Context(), m.from, local.Mapping{Type: local.MapForward, Target: m.to}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.RenameForwards(t.Context(), "bob@d.test", "robert@d.test"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bob@d.test", "robert@d.test"} {
		got, err := d.Resolve(t.Context(), addr(name))
		if err != nil || fmt.Sprint(got) != "[forward:copy@x.test forward:far@x.test forward:robert@d.test]" {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}
