package sqlite

import (
	"context"
	"fmt"
	"testing"

	"github.com/mailetd/mailetd/container/local"
)

// BenchmarkDeniedBy asks for one recipient, as most mails have, with long lists
// in the store.
func BenchmarkDeniedBy(b *testing.B) {
	ctx := context.Background()
	s := openTest(b, b.TempDir())
	for i := range 2000 {
		must(b, s.AddDenied(ctx, local.DropOwner{Scope: local.DropGlobal}, fmt.Sprintf("evil%d.test", i)))
	}
	owners := []local.DropOwner{{Scope: local.DropGlobal}, {Scope: local.DropUser, Name: "bob@here.test"}, {Scope: local.DropDomain, Name: "here.test"}}
	for b.Loop() {
		if got, err := s.DeniedBy(ctx, owners, []string{"a@nice.test", "nice.test"}); err != nil || len(got) > 0 {
			b.Fatal(got, err)
		}
	}
}
