package pipe

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// Whatever the portions are, the result is that of one replacement.
func FuzzUnixLines(f *testing.F) {
	for _, s := range []string{"", "a\r\nb\r\n", "\r\r\n\n\r", "a\r", "\r\n\r\n"} {
		f.Add(s)
	}
	f.Add(strings.Repeat("x", 32<<10-1) + "\r\n" + strings.Repeat("line\r\n", 20_000))
	f.Fuzz(func(t *testing.T, s string) {
		want := strings.ReplaceAll(s, "\r\n", "\n")
		for _, r := range []io.Reader{strings.NewReader(s), iotest.OneByteReader(strings.NewReader(s)), iotest.HalfReader(strings.NewReader(s)), iotest.DataErrReader(strings.NewReader(s))} {
			if got, err := io.ReadAll(&unixLines{r: r}); err != nil || string(got) != want {
				t.Fatalf("%d octets became %d, want %d; %v", len(s), len(got), len(want), err)
			}
		}
	})
}

func TestUnixLinesError(t *testing.T) {
	got, err := io.ReadAll(&unixLines{r: io.MultiReader(strings.NewReader("a\r\n"), failing{})})
	if string(got) != "a\n" || err == nil {
		t.Errorf("got %q, %v", got, err)
	}
}
