package mime

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// outline walks a message and returns one line for each node: path, type and,
// for a leaf, the decoded body.
func outline(raw string, lim Limits) ([]string, error) {
	m := container.ParseMessage([]byte(raw))
	var out []string
	err := Walk(&m, lim, func(e *Entity) error {
		line := fmt.Sprint(path(e), e.MediaType)
		if !e.IsMultipart() {
			r, err := e.Open(m.Body())
			if err != nil {
				return err
			}
			defer r.Close()
			b, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			line += " " + string(b)
		}
		out = append(out, line)
		return nil
	})
	return out, err
}

// path is the position in each enclosing multipart.
func path(e *Entity) []int {
	if e.Parent == nil {
		return nil
	}
	return append(path(e.Parent), slices.Index(e.Parent.Children, e))
}

func TestWalkStructure(t *testing.T) {
	long := strings.Repeat("x", 40_000)
	for _, tc := range []struct {
		name, raw string
		want      []string
		err       error
	}{
		{name: "simple", raw: "Subject: x\r\n\r\nhello\r\n", want: []string{"[]text/plain hello\r\n"}},
		{name: "empty", raw: "", want: []string{"[]text/plain "}},
		{name: "nested", raw: nested, want: []string{"[]multipart/mixed", "[0]multipart/alternative",
			"[0 0]text/html <b>x</b>", "[0 1]text/plain gr\xfc\xdfe", "[1]application/pdf xx"}},
		{name: "preamble and epilogue", raw: "Content-Type: multipart/x; boundary=\"b c\"\r\n\r\n" + long + "\r\n--b cd\r\n--b c \r\n\r\n1\r\n\r\n--b c--\r\nrest\r\n",
			want: []string{"[]multipart/x", "[0]text/plain 1\r\n"}},
		{name: "no final boundary", raw: "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n\r\n1\r\n2", want: []string{"[]multipart/x", "[0]text/plain 1\r\n2"}},
		{name: "outer boundary ends inner", raw: "Content-Type: multipart/x; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/y; boundary=i\r\n\r\n--i\r\n\r\n1\r\n--o\r\n\r\n2\r\n--o--\r\n",
			want: []string{"[]multipart/x", "[0]multipart/y", "[0 0]text/plain 1", "[1]text/plain 2"}},
		{name: "boundary prefix of another", raw: "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/y; boundary=bb\r\n\r\n--bb\r\n\r\n1\r\n--bb--\r\n--b\r\n\r\n2\r\n--b--\r\n",
			want: []string{"[]multipart/x", "[0]multipart/y", "[0 0]text/plain 1", "[1]text/plain 2"}},
		{name: "no boundary parameter", raw: "Content-Type: multipart/x\r\n\r\n----\r\n--b\r\n\r\n1\r\n--b--\r\n", want: []string{"[]multipart/x", "[0]text/plain 1"}},
		{name: "bare line feeds", raw: "Content-Type: multipart/x; boundary=b\r\n\r\n--b\n\n1\n--b--\n", want: []string{"[]multipart/x", "[0]text/plain 1"}},
		{name: "garbage in a header", raw: "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n nonsense\r\nwhat\r\nContent-Type: A/B\r\n\r\n1\r\n--b--\r\n", want: []string{"[]multipart/x", "[0]a/b 1"}},
		{name: "parts without body", raw: "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n--b\r\nX: y\r\n--b\r\nContent-Type: a/b",
			want: []string{"[]multipart/x", "[0]text/plain ", "[1]text/plain ", "[2]a/b "}},
		{name: "long line", raw: "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n\r\n" + long + "--b\r\n--b--", want: []string{"[]multipart/x", "[0]text/plain " + long + "--b"}},
		{name: "encodings", raw: "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: BASE64 (x)\r\n\r\naGVs\r\nbG8=\r\n--b\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\na=\r\nb=3D\r\n--b--",
			want: []string{"[]multipart/x", "[0]text/plain hello", "[1]text/plain ab="}},
		{name: "message is a leaf", raw: "Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/x\r\n\r\n", want: []string{"[]message/rfc822 Content-Type: multipart/x\r\n\r\n"}},
		{name: "encoded multipart", raw: "Content-Type: multipart/x; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n--b\r\n\r\n1\r\n--b--", want: []string{"[]multipart/x", "[0]text/plain 1"}},
		{name: "no parts", raw: "Content-Type: multipart/x; boundary=b\r\n\r\ntext\r\n", want: []string{"[]multipart/x"}, err: ErrNoParts},
		{name: "no parts but the end", raw: "Content-Type: multipart/x; boundary=b\r\n\r\n--b--\r\n", want: []string{"[]multipart/x"}, err: ErrNoParts},
		{name: "no body", raw: "Content-Type: multipart/x; boundary=b\r\n", want: []string{"[]multipart/x"}, err: ErrNoParts},
		{name: "inner without body", raw: "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/y; boundary=c\r\n--b--\r\n",
			want: []string{"[]multipart/x", "[0]multipart/y"}, err: ErrNoParts},
		{name: "part header too long", raw: "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\nX: " + strings.Repeat("x", maxPartHeaders) + "\r\n\r\n", want: []string{"[]multipart/x"}, err: ErrTooComplex},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := outline(tc.raw, Limits{})
			if !errors.Is(err, tc.err) || !slices.Equal(got, tc.want) {
				t.Errorf("got %q, %v\nwant %q, %v", got, err, tc.want, tc.err)
			}
		})
	}
}

func TestWalkLimits(t *testing.T) {
	for _, lim := range []Limits{{Depth: 1}, {Parts: 4}, {Bytes: 10}} {
		if _, err := outline(nested, lim); !errors.Is(err, ErrTooComplex) {
			t.Errorf("%+v: got %v, want ErrTooComplex", lim, err)
		}
	}
	if _, err := outline(nested, Limits{Depth: 2, Parts: 5, Bytes: 10_000}); err != nil {
		t.Errorf("got %v within the limits", err)
	}
	deep := ""
	for i := range 30 {
		deep += fmt.Sprintf("Content-Type: multipart/x; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	if _, err := outline(deep, Limits{}); !errors.Is(err, ErrTooComplex) {
		t.Errorf("got %v, want ErrTooComplex", err)
	}
}

func TestWalkVisitor(t *testing.T) {
	m := container.ParseMessage([]byte(nested))
	for _, tc := range []struct {
		answer error
		want   int
		err    error
	}{
		{nil, 5, nil},
		{ErrSkip, 3, nil}, // the multipart within, not its parts
		{ErrStop, 2, nil},
		{io.ErrNoProgress, 2, io.ErrNoProgress},
	} {
		n := 0
		err := Walk(&m, Limits{}, func(e *Entity) error {
			if n++; len(path(e)) == 1 && e.IsMultipart() {
				return tc.answer
			}
			return nil
		})
		if n != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%v: got %d nodes, %v; want %d, %v", tc.answer, n, err, tc.want, tc.err)
		}
	}
}

func TestDecodeUnknown(t *testing.T) {
	if _, err := outline("Content-Transfer-Encoding: uuencode\r\n\r\nx", Limits{}); err == nil || !strings.Contains(err.Error(), "uuencode") {
		t.Errorf("got %v, want an error that names the encoding", err)
	}
}

func TestWalkReadError(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, header := range []string{"", "Content-Type: multipart/x; boundary=b\r\n"} {
		m := container.NewMessage([]byte(header), errBody{broken})
		if err := Walk(&m, Limits{}, func(*Entity) error { return nil }); !errors.Is(err, broken) {
			t.Errorf("%q: got %v, want %v", header, err, broken)
		}
	}
}

func TestParseParameterized(t *testing.T) {
	for _, tc := range []struct {
		value, main, name string
		all               []string
	}{
		{"Text/Plain", "text/plain", "name", nil},
		{"text/plain (plain text); NAME=a.txt", "text/plain", "name", []string{"a.txt"}},
		{`a/b; x=y; name="a;b=\"c\\.exe" ; z`, "a/b", "name", []string{`a;b="c\.exe`}},
		{"a/b; name=evil file.exe; x=y", "a/b", "name", []string{"evil file.exe"}},
		{`a/b; name="evil.exe`, "a/b", "name", []string{"evil.exe"}},
		{"a/b; ; junk; name = a ;", "a/b", "name", []string{"a"}},
		{`a/b; name="=?utf-8?q?gr=C3=BC=C3=9Fe.exe?="`, "a/b", "name", []string{"grüße.exe"}},
		{"a/b; name*=iso-8859-1'de'gr%FC%DFe.exe", "a/b", "name", []string{"grüße.exe"}},
		{"a/b; name*1*=%FC; name*0*=iso-8859-1''gr; name*2=.exe", "a/b", "name", []string{"grü.exe"}},
		{`a/b; name*10=k; name*0="a"; name*2=c; name*1=b`, "a/b", "name", []string{"abck"}},
		{"a/b; name=x.txt; name*=utf-8''y.exe", "a/b", "name", []string{"y.exe", "x.txt"}},
		{"a/b; name*=nowhere''%FC", "a/b", "name", []string{"ü"}},
		{"a/b; name*=%zz%4", "a/b", "name", []string{"%zz%4"}},
		{"a/b; name*x=y; name*99999=z", "a/b", "name", nil},
		{"a/b; name=\xfc", "a/b", "name", []string{"ü"}},
		{"", "", "name", nil},
		{"; name=x", "", "name", []string{"x"}},
	} {
		p := ParseParameterized(tc.value)
		if got := p.ParamAll(tc.name); p.Main != tc.main || !slices.Equal(got, tc.all) {
			t.Errorf("%q: got %q %q, want %q %q", tc.value, p.Main, got, tc.main, tc.all)
		}
		first, ok := p.Param(tc.name)
		if ok != (len(tc.all) > 0) || ok && first != tc.all[0] {
			t.Errorf("%q: Param gives %q, %v", tc.value, first, ok)
		}
	}
}

// A message walks to its end whatever it holds, and each leaf's body is text of
// the message.
func FuzzWalk(f *testing.F) {
	f.Add(nested)
	f.Add("Content-Type: multipart/x\r\n\r\n--b\r\nContent-Type: multipart/y; boundary=b\r\n\r\n--b\r\n\r\n1")
	f.Add("Content-Type: a/b; name*0*=x'y'%41; name*1=\"q\\\"\r\n\r\n")
	f.Fuzz(func(t *testing.T, raw string) {
		m := container.ParseMessage([]byte(raw))
		total := 0
		err := Walk(&m, Limits{Depth: 5, Parts: 50}, func(e *Entity) error {
			if e.IsMultipart() {
				return nil
			}
			r, err := e.OpenRaw(m.Body())
			if err != nil {
				return err
			}
			defer r.Close()
			b, err := io.ReadAll(r)
			total += len(b)
			if err != nil || !strings.Contains(raw, string(b)) {
				t.Errorf("body %q of part %v of %q, %v", b, path(e), raw, err)
			}
			return nil
		})
		if total > len(raw) {
			t.Errorf("%q has bodies of %d octets", raw, total)
		}
		if err != nil && !errors.Is(err, ErrNoParts) && !errors.Is(err, ErrTooComplex) {
			t.Errorf("%q: %v", raw, err)
		}
	})
}

func BenchmarkWalk10MB(b *testing.B) {
	part := "--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 130_000) + "--b--\r\n"
	m := container.ParseMessage([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part))
	b.SetBytes(m.Size())
	for b.Loop() {
		if err := Walk(&m, Limits{}, func(*Entity) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPlainText(t *testing.T) {
	multipart := func(parts ...string) string {
		return "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"
	}
	for _, tc := range []struct {
		name, raw string
		limit     int64
		want      string
		err       error
	}{
		{"simple", "A: b\r\n\r\nhello", 9, "hello", nil},
		{"limit", "A: b\r\n\r\nhello", 4, "hell", nil},
		{"HTML only", multipart("Content-Type: text/html\r\n\r\n<p>", "Content-Type: text/css\r\n\r\nx"), 9, "<p>", nil},
		{"plain goes first", multipart("Content-Type: text/html\r\n\r\n<p>", "\r\nhi", "\r\nho"), 9, "hi", nil},
		{"attachments do not count", multipart("Content-Disposition: attachment\r\n\r\nhi", "Content-Type: image/png\r\n\r\nho"), 9, "", nil},
		{"unknown charset", multipart("Content-Type: text/plain; charset=x-foo\r\n\r\nh\xe9"), 9, "h?", nil},
		{"unknown encoding", multipart("Content-Transfer-Encoding: x-uu\r\n\r\nhi", "\r\nho"), 9, "ho", nil},
		{"broken encoding", multipart("Content-Transfer-Encoding: base64\r\n\r\n????", "\r\nho"), 9, "ho", nil},
		{"broken behind the beginning", multipart("Content-Transfer-Encoding: base64\r\n\r\naGVs????"), 9, "hel", nil},
		{"what is broken behind it does not count", multipart("\r\nhi", "Content-Type: multipart/x; boundary=c\r\n\r\nx"), 9, "hi", nil},
		{"no parts", "Content-Type: multipart/x; boundary=c\r\n\r\nx", 9, "", ErrNoParts},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := container.ParseMessage([]byte(tc.raw))
			if got, err := PlainText(&m, tc.limit); got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, tc.want, tc.err)
			}
		})
	}
}
