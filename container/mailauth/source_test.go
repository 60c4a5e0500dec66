package mailauth

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mailetd/mailetd/container"
)

// body is a body that can be read in pieces of any size.
type body struct {
	data string
	wrap func(io.Reader) io.Reader
}

func (b body) Size() int64 { return int64(len(b.data)) }

func (b body) Open() (io.ReadCloser, error) {
	return io.NopCloser(b.wrap(strings.NewReader(b.data))), nil
}

func through(t testing.TB, b body, wrap func(io.Reader) io.Reader) (string, error) {
	t.Helper()
	m := container.NewMessage([]byte("A: b\r\n"), b)
	r, readErr, err := open(&m)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var data bytes.Buffer
	if _, err := io.Copy(&data, wrap(r)); err != nil { // WriteTo, where wrap leaves it
		t.Fatal(err)
	}
	return data.String(), readErr()
}

func same(r io.Reader) io.Reader { return r }

func onlyReader(r io.Reader) io.Reader { return struct{ io.Reader }{r} }

func trimmed(s string) string {
	for strings.HasSuffix(s, "\r\n") {
		s = s[:len(s)-2]
	}
	return s
}

// What comes out is what went in, without the line ends at the end of the body.
func FuzzBlankLines(f *testing.F) {
	for _, s := range []string{"", "\r\n", "a", "a\r\n\r\n", "a\r\n\r\nb\r\n", "\r\n\r\na\r", "\r", "\n\n", "\r\r\n", "a\r\n\r", strings.Repeat("\r\n", 40) + "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := "A: b\r\n\r\n" + trimmed(s)
		for name, wrap := range map[string]func(io.Reader) io.Reader{"whole": same, "one by one": iotest.OneByteReader, "data with EOF": iotest.DataErrReader} {
			got, err := through(t, body{s, wrap}, same)
			if err != nil || got != want {
				t.Errorf("%s: %q became %q, %v", name, s, got, err)
			}
			if got, _ = through(t, body{s, wrap}, onlyReader); got != want {
				t.Errorf("%s, read: %q became %q", name, s, got)
			}
			if got, _ = through(t, body{s, same}, wrap); got != want {
				t.Errorf("%s on the other side: %q became %q", name, s, got)
			}
		}
	})
}

func TestManyBlankLines(t *testing.T) {
	blank := strings.Repeat("\r\n", maxBlank/2)
	if got, err := through(t, body{"x" + blank + "y", same}, same); err != nil || !strings.HasSuffix(got, "x"+blank+"y") {
		t.Errorf("at the limit: %d octets, %v", len(got), err)
	}
	if _, err := through(t, body{"x" + blank + blank + "y", same}, same); !errors.Is(err, ErrHostile) {
		t.Errorf("twice the limit: error is %v", err)
	}
	if got, err := through(t, body{"x" + strings.Repeat(blank, 40), same}, same); err != nil || !strings.HasSuffix(got, "\r\nx") {
		t.Errorf("at the end: %d octets, %v", len(got), err)
	}
}

func TestReadError(t *testing.T) {
	broken := errors.New("disk on fire")
	got, err := through(t, body{"abc", func(r io.Reader) io.Reader { return io.MultiReader(r, iotest.ErrReader(broken)) }}, same)
	if !errors.Is(err, broken) {
		t.Errorf("got %q, error %v", got, err)
	}
}

func TestCostlyHeaders(t *testing.T) {
	for _, tc := range []struct {
		name, header string
		names        int
		bad          bool
	}{
		{"plain", "From: a\r\nTo: b\r\n", 10, false},
		{"a thousand recipients", "To: " + strings.Repeat("somebody.of.some.name@example.com,\r\n ", 1000) + "x@y.z\r\n", 10, false},
		{"a megabyte of folding", "To: x\r\n" + strings.Repeat(" x\r\n", 250000), 10, true},
		{"many fields, many names", strings.Repeat("A: b\r\n", 100000), 100, true},
	} {
		if err := checkHeader([]byte(tc.header), tc.names); (err != nil) != tc.bad || err != nil && !errors.Is(err, ErrHostile) {
			t.Errorf("%s: error is %v, want one: %t", tc.name, err, tc.bad)
		}
	}
	many := bytes.Repeat([]byte("DKIM-Signature: h="+strings.Repeat("a:", maxH+1)+"\r\n"), 2)
	if _, names := signed(many); checkHeader(many, names) == nil {
		t.Error("a signature over thousands of names is looked at")
	}
}
