package local_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
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
