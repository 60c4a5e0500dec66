package mailets

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// The list has each address once, in the order of arrival, short or long.
func TestAddressSet(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 18, 300} {
		var l addressSet
		var want []string
		for i := range n {
			want = append(want, fmt.Sprintf("u%d@x.test", i))
		}
		for range 2 {
			for _, w := range want {
				l.add(container.MustAddress(w), container.Address{}, container.Address{Local: strings.ToUpper(w[:strings.IndexByte(w, '@')]), Domain: "x.test"})
			}
		}
		if got := container.AddressStrings(l.list); fmt.Sprint(got) != fmt.Sprint(want) && n > 0 {
			t.Errorf("%d: got %v", n, got)
		}
	}
}
