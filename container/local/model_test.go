package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// edge is a hop that a table makes possible.
type edge struct {
	kind MappingType
	to   string
}

// table is a rewrite table as a graph: the edges of addresses and of domains.
type table map[string][]edge

// randomTable returns a table over four local parts and three domains. Its
// targets may be in a fourth, which is external. No address leads to itself, but
// by a forward, which keeps a copy.
func randomTable(r *rand.Rand) table {
	t := table{}
	name := func(domains int) string { return fmt.Sprintf("u%d@d%d.test", r.IntN(4), r.IntN(domains)) }
	kinds := []MappingType{MapAddress, MapAlias, MapForward, MapGroup}
	for range r.IntN(9) {
		from, e := name(3), edge{kinds[r.IntN(len(kinds))], name(4)}
		if from != e.to || e.kind == MapForward {
			t[from] = append(t[from], e)
		}
	}
	for range r.IntN(3) {
		from, to := r.IntN(3), r.IntN(4)
		if from != to {
			source := fmt.Sprintf("d%d.test", from)
			t[source] = append(t[source], edge{[]MappingType{MapDomain, MapDomainAlias}[r.IntN(2)], fmt.Sprintf("d%d.test", to)})
		}
	}
	if r.IntN(4) == 0 {
		from := name(3)
		t[from] = append(t[from], edge{MapError, "550 gone"})
	}
	return t
}

// edges returns the hops from an address.
func (t table) edges(a string) []edge {
	if own := t[a]; len(own) > 0 {
		return own
	}
	parsed := container.MustAddress(a)
	var out []edge
	for _, e := range t[parsed.Domain] {
		out = append(out, edge{e.kind, parsed.Local + "@" + e.to})
	}
	return out
}

// walk returns where a leads, and the most hops on the way; endless: there is a
// loop; refused: an error mapping is on the way.
func (t table) walk(a string, path map[string]bool) (ends map[Mapping]bool, hops int, endless, refused bool) {
	ends = map[Mapping]bool{}
	if path[a] {
		return ends, 0, true, false
	}
	path[a] = true
	defer delete(path, a)
	for _, e := range t.edges(a) {
		hops = max(hops, 1)
		switch {
		case e.kind == MapError:
			refused = true
		case e.to == a:
			ends[Mapping{MapForward, a}] = true
		case len(t.edges(e.to)) == 0:
			ends[Mapping{kinds[e.kind].result, e.to}] = true
			hops = max(hops, 2)
		default:
			more, n, loop, no := t.walk(e.to, path)
			maps.Copy(ends, more)
			hops, endless, refused = max(hops, n+1), endless || loop, refused || no
		}
	}
	return ends, hops, endless, refused
}

func (t table) directory(limit int) *Directory {
	static := map[string][]Mapping{}
	for source, edges := range t {
		for _, e := range edges {
			if m := (Mapping{e.kind, e.to}); !slices.Contains(static[source], m) {
				static[source] = append(static[source], m)
			}
		}
	}
	return New(Config{VirtualHosting: true, RecursiveMapping: true, MappingLimit: limit, StaticMappings: static}, nil)
}

// TestTablesAgainstModel: in random tables every address leads where the graph
// leads, no loop and no error mapping is passed over in silence, and what is
// longer than the limit is refused.
func TestTablesAgainstModel(t *testing.T) {
	const limit = 6
	outcomes := map[string]int{}
	for seed := range uint64(4000) {
		tab := randomTable(rand.New(rand.NewPCG(seed, 1)))
		d := tab.directory(limit)
		for u := range 12 {
			a := fmt.Sprintf("u%d@d%d.test", u%4, u/4)
			ends, hops, endless, refused := tab.walk(a, map[string]bool{})
			got, err := d.Resolve(context.Background(), container.MustAddress(a))
			var mapErr *MappingError
			outcome, good := "ends", false
			switch {
			case endless && refused:
				outcome, good = "loop or error", errors.Is(err, ErrTooManyMappings) || errors.As(err, &mapErr)
			case endless:
				outcome, good = "loop", errors.Is(err, ErrTooManyMappings)
			case hops > limit:
				outcome, good = "too long", errors.Is(err, ErrTooManyMappings) || refused && err != nil
			case refused:
				outcome, good = "error", errors.As(err, &mapErr)
			default:
				good = err == nil && len(got) == len(ends) && !slices.ContainsFunc(got, func(m Mapping) bool { return !ends[m] })
			}
			outcomes[outcome]++
			if !good {
				t.Fatalf("seed %d, %s in %v: got %v, %v; want %s %v after %d hops", seed, a, tab, got, err, outcome, ends, hops)
			}
		}
	}
	for _, outcome := range []string{"ends", "loop", "loop or error", "too long", "error"} {
		if outcomes[outcome] == 0 {
			t.Errorf("no table had the outcome %q: %v", outcome, outcomes)
		}
	}
}

// TestExpansionIsBounded: groups of groups, which would have a thousand million
// members, cost no more than maxSteps.
func TestExpansionIsBounded(t *testing.T) {
	tab := table{}
	for level := range 9 {
		for member := range 10 {
			for next := range 10 {
				source := fmt.Sprintf("g%d-%d@d.test", level, member)
				tab[source] = append(tab[source], edge{MapGroup, fmt.Sprintf("g%d-%d@d.test", level+1, next)})
			}
		}
	}
	r := resolver{dir: tab.directory(10)}
	if _, err := r.resolve(t.Context(), container.MustAddress("g0-0@d.test"), 10); !errors.Is(err, ErrTooManyMappings) || r.steps > maxSteps+1 {
		t.Errorf("got %v after %d steps", err, r.steps)
	}
}
