package conf

import (
	"slices"
	"testing"
)

func TestRepeatedValues(t *testing.T) {
	var rep Report
	p := ParseParams(`<mailet class="X"><a> 1,2 </a><b>x</b><a/><a>3</a></mailet>`, &rep)
	if got := p.Values("a"); !slices.Equal(got, []string{"1,2", "", "3"}) {
		t.Errorf("got %q", got)
	}
	if got := p.Values("c"); got != nil {
		t.Errorf("got %q", got)
	}
	if got := p.Names(); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("read %q", got)
	}
	if p.Close(); len(rep.Problems()) != 1 {
		t.Errorf("problems %v, want one about <b>", rep.Problems())
	}
}
