package local_test

import (
	"fmt"
	"testing"

	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
)

// BenchmarkAddToLargeTable adds to a table of 100,000 mappings.
func BenchmarkAddToLargeTable(b *testing.B) {
	d, _ := localtest.Directory(b, []string{"a.test", "b.test", "c.test"})
	for i := range 100_000 {
		m := local.Mapping{Type: local.MapAddress, Target: fmt.Sprintf("user%d@far.test", i)}
		if err := d.PutMapping(b.Context(), fmt.Sprintf("user%d@a.test", i), m); err != nil {
			b.Fatal(err)
		}
	}
	for _, bc := range []struct {
		name, source string
		m            local.Mapping
	}{
		{"address", "new@a.test", local.Mapping{Type: local.MapAddress, Target: "user7@a.test"}},
		{"domain", "b.test", local.Mapping{Type: local.MapDomain, Target: "a.test"}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			for b.Loop() {
				if err := d.AddMapping(b.Context(), bc.source, bc.m); err != nil {
					b.Fatal(err)
				}
				if err := d.RemoveMapping(b.Context(), bc.source, bc.m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
