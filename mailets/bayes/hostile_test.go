package bayes

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What a word stands for stays a short list, and still has the bare word.
func TestDegenerateOfManyMarks(t *testing.T) {
	for n := range 85 {
		got := degenerate("Subject:Buy" + strings.Repeat("!", n))
		if len(got) > 60 || !slices.Contains(got, "buy") || n > 3 && !slices.Contains(got, "Subject:Buy!!!") {
			t.Errorf("%d marks: %d tokens: %q", n, len(got), got)
		}
	}
}

func BenchmarkHostile(b *testing.B) {
	var s strings.Builder
	s.WriteString("Subject: ")
	for i := 0; s.Len() < 100000; i++ {
		fmt.Fprintf(&s, "A%xb%s ", i, strings.Repeat("!", 70))
	}
	var many strings.Builder
	many.WriteString("Subject: ")
	for i := 0; many.Len() < 5000000; i++ {
		fmt.Fprintf(&many, "A%xb%s ", i, strings.Repeat("!", 70))
	}
	for name, text := range map[string]string{"100kB": s.String(), "5MB": many.String()} {
		b.Run(name, func(b *testing.B) {
			t := &table{counts: map[string][2]int64{"x": {1, 1}}, messages: [2]int64{5, 5}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Score(b.Context(), t, "c", strings.NewReader(text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
