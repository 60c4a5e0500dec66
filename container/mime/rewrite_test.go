package mime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mailetd/mailetd/container"
)

func bodyText(t testing.TB, b container.Body) string {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(data)) != b.Size() {
		t.Errorf("body has %d octets, says %d", len(data), b.Size())
	}
	return string(data)
}

func messageOf(lines ...string) container.Message {
	return container.ParseMessage([]byte(strings.Join(lines, "\r\n")))
}

// treeOf shows the structure with the content of the leaves.
func treeOf(e *Entity, body string) string {
	if !e.IsMultipart() {
		return fmt.Sprintf("%s %q", e.MediaType, body[e.Content:e.End])
	}
	var parts []string
	for _, c := range e.Children {
		parts = append(parts, treeOf(c, body))
	}
	return e.MediaType + "(" + strings.Join(parts, ", ") + ")"
}

func TestScan(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"simple", []string{"A: b", "", "text", ""}, `text/plain "text\r\n"`},
		{"no body", []string{"A: b", ""}, `text/plain ""`},
		{"multipart", []string{"Content-Type: multipart/mixed; boundary=b", "", "pre", "--b", "", "one", "--b ", "Content-Type: TEXT/HTML", "", "two", "", "--b--", "post", "--b", "x"},
			`multipart/mixed(text/plain "one", text/html "two\r\n")`},
		{"nested", []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: multipart/alternative; boundary=bb", "", "--bb", "", "1", "--bb", "", "2", "--bb--", "", "--b", "", "3", "--b--", ""},
			`multipart/mixed(multipart/alternative(text/plain "1", text/plain "2"), text/plain "3")`},
		{"inner end missing", []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: multipart/alternative; boundary=i", "", "--i", "", "1", "--b", "", "3", "--b--", ""},
			`multipart/mixed(multipart/alternative(text/plain "1"), text/plain "3")`},
		{"end missing", []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "", "1", ""}, `multipart/mixed(text/plain "1\r\n")`},
		{"empty parts", []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "", "--b", "", "", "--b", "--b--"},
			`multipart/mixed(text/plain "", text/plain "", text/plain "")`},
		{"digest", []string{"Content-Type: multipart/digest; boundary=b", "", "--b", "", "A: b", "--b--", ""}, `multipart/digest(message/rfc822 "A: b")`},
		{"longer boundaries do not count", []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "", "--bc", "--b-", "--b--x", "--b--", ""},
			`multipart/mixed(text/plain "--bc\r\n--b-\r\n--b--x")`},
		{"boundary not named", []string{"Content-Type: multipart/mixed", "", "pre", "--x", "", "one", "--x--", ""}, `multipart/mixed(text/plain "one")`},
		{"no parts", []string{"Content-Type: multipart/mixed; boundary=b", "", "text", ""}, `multipart/mixed()`},
		{"bare LF", []string{"Content-Type: multipart/mixed; boundary=b", "", "--b\n\none\n--b\n\ntwo\n--b--\n"}, `multipart/mixed(text/plain "one", text/plain "two")`},
		{"garbage in a header", []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "garbage", "Content-Type: a/b", "", "x", "--b--", ""}, `multipart/mixed(a/b "x")`},
		{"bad type", []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: x", "", "x", "--b--", ""}, `multipart/mixed(text/plain "x")`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := messageOf(tc.lines...)
			body := bodyText(t, m.Body())
			for _, b := range []container.Body{m.Body(), slowBody(body)} {
				m := container.NewMessage(m.Header(), b)
				root, err := Scan(&m, Limits{})
				if err != nil {
					t.Fatal(err)
				}
				if got := treeOf(root, body); got != tc.want {
					t.Errorf("got  %s\nwant %s", got, tc.want)
				}
			}
		})
	}
}

// slowBody hands out one octet at a time and cannot seek.
type slowBody string

func (b slowBody) Size() int64 { return int64(len(b)) }
func (b slowBody) Open() (io.ReadCloser, error) {
	return io.NopCloser(iotest.OneByteReader(strings.NewReader(string(b)))), nil
}

func TestScanLimits(t *testing.T) {
	deep := func(n int) container.Message {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d.\r\n\r\n--b%d.\r\n", i, i)
		}
		return container.ParseMessage([]byte(b.String()))
	}
	wide := messageOf("Content-Type: multipart/mixed; boundary=b", "", strings.Repeat("--b\r\n\r\nx\r\n", 1001))
	long := messageOf("Content-Type: multipart/mixed; boundary=b", "", "--b", "A: "+strings.Repeat("x", maxPartHeaders), "", "x", "--b--", "")
	broken := errors.New("disk")
	head := []byte("Content-Type: multipart/mixed; boundary=b\r\n")
	for name, tc := range map[string]struct {
		m    container.Message
		want error
	}{
		"deep enough": {deep(20), nil},
		"too deep":    {deep(22), ErrTooComplex},
		"too wide":    {wide, ErrTooComplex},
		"too long":    {long, ErrTooComplex},
		"broken":      {container.NewMessage(head, errBody{broken}), broken},
	} {
		if _, err := Scan(&tc.m, Limits{}); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}

type errBody struct{ err error }

func (b errBody) Size() int64                  { return 100 }
func (b errBody) Open() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(b.err)), nil }

// A line longer than the buffer, with boundaries at every place around its end.
func TestScanLongLines(t *testing.T) {
	for n := lineBuffer - 10; n < lineBuffer+10; n++ {
		content := strings.Repeat("x", n)
		m := messageOf("Content-Type: multipart/mixed; boundary=b", "", "--b", "", content, "--b", "A: "+content, "", content+"--b", "--b--", "")
		root, err := Scan(&m, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		body := bodyText(t, m.Body())
		if len(root.Children) != 2 || body[root.Children[0].Content:root.Children[0].End] != content ||
			body[root.Children[1].Content:root.Children[1].End] != content+"--b" || len(root.Children[1].Header) != n+5 {
			t.Fatalf("with lines of %d octets: %v", n, root.Children)
		}
	}
}

func TestSplice(t *testing.T) {
	old := container.BytesBody("0123456789")
	for _, tc := range []struct {
		edits []Edit
		want  string
	}{
		{nil, "0123456789"},
		{[]Edit{{0, 0, []byte("a")}}, "a0123456789"},
		{[]Edit{{10, 10, []byte("z")}}, "0123456789z"},
		{[]Edit{{5, 6, []byte("five")}, {2, 4, nil}}, "014five6789"},
		{[]Edit{{2, 4, []byte("x")}, {2, 2, []byte("y")}, {4, 4, []byte("w")}}, "01yxw456789"},
		{[]Edit{{0, 10, nil}}, ""},
		{[]Edit{{0, 11, nil}}, "error"},
		{[]Edit{{2, 4, nil}, {3, 5, nil}}, "error"},
		{[]Edit{{4, 3, nil}}, "error"},
	} {
		for _, b := range []container.Body{old, slowBody(old)} {
			got, err := Splice(b, tc.edits...)
			if (err != nil) != (tc.want == "error") {
				t.Errorf("%v: got error %v", tc.edits, err)
			}
			if err != nil {
				continue
			}
			if s := bodyText(t, got); s != tc.want {
				t.Errorf("%v: got %q, want %q", tc.edits, s, tc.want)
			}
			// Once more over the result: not nested, and the same.
			half := len(tc.want) / 2
			again, err := Splice(got, Edit{0, 0, []byte("<")}, Edit{int64(half), int64(half), []byte("|")})
			if err != nil {
				t.Fatal(err)
			}
			if s := bodyText(t, again); s != "<"+tc.want[:half]+"|"+tc.want[half:] {
				t.Errorf("%v: again %q", tc.edits, s)
			}
			if _, nested := again.(*spliced).old.(*spliced); nested {
				t.Error("a spliced body over a spliced body")
			}
		}
	}
}

func TestSpliceShortBody(t *testing.T) {
	for _, old := range []container.Body{lyingBody{container.BytesBody("0123")}, lyingBody{slowBody("0123")}} {
		b, err := Splice(old, Edit{0, 1, nil}, Edit{8, 9, nil})
		if err != nil {
			t.Fatal(err)
		}
		r, err := b.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v, want ErrUnexpectedEOF", err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

type lyingBody struct{ container.Body }

func (lyingBody) Size() int64 { return 10 }

func TestRewriter(t *testing.T) {
	three := []string{"Content-Type: multipart/mixed; boundary=b", "", "pre", "--b", "A: 1", "", "one", "--b", "A: 2", "", "two", "--b", "A: 3", "", "--b--", "post", ""}
	for _, tc := range []struct {
		name string
		in   []string
		edit func(w *Rewriter, root *Entity)
		want []string // the body; nil: as it was
	}{
		{"nothing", three, func(*Rewriter, *Entity) {}, nil},
		{"remove first", three, func(w *Rewriter, r *Entity) { w.Remove(r.Children[0]) }, []string{"pre", "--b", "A: 2", "", "two", "--b", "A: 3", "", "--b--", "post", ""}},
		{"remove last", three, func(w *Rewriter, r *Entity) { w.Remove(r.Children[2]); w.Remove(r.Children[2]) }, []string{"pre", "--b", "A: 1", "", "one", "--b", "A: 2", "", "two", "--b--", "post", ""}},
		{"remove all", three, func(w *Rewriter, r *Entity) {
			for _, c := range r.Children {
				w.Remove(c)
			}
		}, []string{"pre", "--b", "", "", "--b--", "post", ""}},
		{"remove without end", []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "", "one", "--b", "", "two", ""}, func(w *Rewriter, r *Entity) { w.Remove(r.Children[1]) },
			[]string{"--b", "", "one", "--b--", ""}},
		{"remove all without end", []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "", "one", ""}, func(w *Rewriter, r *Entity) { w.Remove(r.Children[0]) },
			[]string{"--b", "", "", "--b--", ""}},
		{"replace", three, func(w *Rewriter, r *Entity) {
			w.Replace(r.Children[1], r.Children[1].Header, []byte("new"))
			w.Replace(r.Children[2], []byte("B: 3\r\n"), []byte("was empty"))
		}, []string{"pre", "--b", "A: 1", "", "one", "--b", "A: 2", "", "new", "--b", "B: 3", "", "was empty", "--b--", "post", ""}},
		{"headers", three, func(w *Rewriter, r *Entity) {
			w.SetHeader(r.Children[0], nil)
			w.SetHeader(r.Children[2], []byte("B: 3\r\n"))
		}, []string{"pre", "--b", "", "one", "--b", "A: 2", "", "two", "--b", "B: 3", "", "", "--b--", "post", ""}},
		{"append", three, func(w *Rewriter, r *Entity) {
			w.Append(r.Children[0], []byte(" and"))
			w.Append(r.Children[2], []byte("some"))
		}, []string{"pre", "--b", "A: 1", "", "one and", "--b", "A: 2", "", "two", "--b", "A: 3", "", "some", "--b--", "post", ""}},
		{"append part", three, func(w *Rewriter, r *Entity) { w.AppendPart(r, []byte("A: 4\r\n\r\nfour")) },
			[]string{"pre", "--b", "A: 1", "", "one", "--b", "A: 2", "", "two", "--b", "A: 3", "", "--b", "A: 4", "", "four", "--b--", "post", ""}},
		{"append part without end", []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "", "one", ""}, func(w *Rewriter, r *Entity) { w.AppendPart(r, []byte("\r\ntwo")) },
			[]string{"--b", "", "one", "", "--b", "", "two", "--b--", ""}},
		{"the message", []string{"A: b", "", "text", ""}, func(w *Rewriter, r *Entity) {
			w.Replace(r, []byte("A: c\r\n"), []byte("other"))
		}, []string{"other"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := messageOf(tc.in...)
			before := bodyText(t, m.Body())
			root, err := Scan(&m, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			w := NewRewriter(&m)
			tc.edit(w, root)
			if w.Changed() != (tc.want != nil) {
				t.Errorf("Changed: got %v", w.Changed())
			}
			if err := w.Apply(); err != nil {
				t.Fatal(err)
			}
			want := strings.Join(tc.want, "\r\n")
			if tc.want == nil {
				want = before
			}
			if got := bodyText(t, m.Body()); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if _, err := Scan(&m, Limits{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTextParts(t *testing.T) {
	for _, tc := range []struct {
		name, header, content string
		add                   string
		want                  string // content after it, or "error: …"
		wantHeader            string // lines that must be there
	}{
		{"ascii", "", "hi\r\n", "x", "hi\r\nx", ""},
		{"ascii grows", "", "hi\r\n", "é", "hi\r\n=C3=A9", "Content-Type: text/plain; charset=utf-8\r\n"},
		{"grows, encoding named", "Content-Transfer-Encoding: 7bit\r\n", "hi\r\n", "é", "hi\r\n=C3=A9", "Content-Transfer-Encoding: quoted-printable\r\n"},
		{"8bit stays", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", "hé\r\n", "é", "hé\r\né", "Content-Transfer-Encoding: 8bit\r\n"},
		{"8bit not named", "Content-Type: text/plain; charset=utf-8\r\n", "hé\r\n", "é", "hé\r\né", ""},
		{"latin1", "Content-Type: text/plain; charset=ISO-8859-1; x=y\r\nContent-Transfer-Encoding: quoted-printable\r\n", "h=E9\r\n", "é", "h=E9\r\n=E9", "Content-Type: text/plain; charset=ISO-8859-1; x=y\r\n"},
		{"beyond latin1", "Content-Type: text/plain; charset=ISO-8859-1; x=y\r\nContent-Transfer-Encoding: 8bit\r\n", "h\xe9\r\n", "€", "hé\r\n€", "Content-Type: text/plain; charset=utf-8; x=y\r\n"},
		{"gb18030", "Content-Type: text/plain; charset=gb18030\r\nContent-Transfer-Encoding: base64\r\n", "xOO6ww==\r\n", "好", "xOO6w7rD\r\n", "Content-Transfer-Encoding: base64\r\n"},
		{"iso-2022-jp", "Content-Type: text/plain; charset=iso-2022-jp\r\n", "\x1b$B$\"\x1b(B\r\n", "あ", "\x1b$B$\"\x1b(B\r\n\x1b$B$\"\x1b(B", ""},
		{"utf-16", "Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n", "aABpAA==\r\n", "é", "aABpAOkA\r\n", ""},
		{"broken utf-16", "Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n", "aABpANg=\r\n", "x", "error: does not fit", ""},
		{"broken utf-8", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", "h\xe9\r\n", "x", "h\xe9\r\nx", "Content-Type: text/plain; charset=utf-8\r\n"},
		{"broken, beyond", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", "h\xe9\r\n", "€", "error: does not fit", ""},
		{"unknown charset", "Content-Type: text/plain; charset=x-foo\r\nContent-Transfer-Encoding: 8bit\r\n", "h\xe9\r\n", "x", "h\xe9\r\nx", "charset=x-foo"},
		{"long line", "", "hi\r\n", strings.Repeat("x", 999), "hi\r\n" + strings.Repeat(strings.Repeat("x", 75)+"=\r\n", 13) + strings.Repeat("x", 24), "Content-Transfer-Encoding: quoted-printable\r\n"},
		{"unknown encoding", "Content-Transfer-Encoding: x-uu\r\n", "hi", "x", "error: unhandled encoding", ""},
		{"broken base64", "Content-Transfer-Encoding: base64\r\n", "????", "x", "error: illegal base64", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := container.NewMessage([]byte(tc.header), container.BytesBody(tc.content))
			root, err := Scan(&m, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			text, err := root.Text(m.Body(), 1<<20)
			var header, content []byte
			if err == nil {
				header, content, err = text.Format(text.String+tc.add, TypeEdit{})
			}
			if want, wantErr := strings.CutPrefix(tc.want, "error: "); wantErr {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, %v", content, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(content) != tc.want || !strings.Contains(string(header), tc.wantHeader) {
				t.Errorf("got %q\n%s", content, header)
			}
			if tc.wantHeader == "" && string(header) != tc.header {
				t.Errorf("header became %q", header)
			}
		})
	}
}

func TestTextTooLarge(t *testing.T) {
	m := messageOf("A: b", "", "0123456789")
	root, err := Scan(&m, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Text(m.Body(), 9); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

// Whatever is replaced and appended, the rest of the parts have the same
// octets, and the structure is what it should be.
func FuzzRewriter(f *testing.F) {
	f.Add("Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\none\r\n--b\r\n\r\n--b--\r\npost", uint64(0b1101))
	f.Add("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--b\r\n--b--\r\n", uint64(7))
	f.Add("Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n--b", uint64(3))
	f.Fuzz(func(t *testing.T, text string, choice uint64) {
		text = strings.ReplaceAll(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n", "\r\n")
		m := container.ParseMessage([]byte(text))
		root, err := Scan(&m, Limits{})
		if err != nil || !root.IsMultipart() || root.boundary == "" {
			return
		}
		checkTree(t, root)
		body := bodyText(t, m.Body())
		w := NewRewriter(&m)
		var want []string
		for leaf := range root.Leaves() {
			content := body[leaf.Content:leaf.End]
			switch choice & 3 {
			case 1:
				w.Replace(leaf, leaf.Header, []byte("new text"))
				content = "new text"
			case 2:
				w.Append(leaf, []byte(" more"))
				content += " more"
			}
			want = append(want, content)
			choice >>= 2
		}
		w.AppendPart(root, []byte("\r\nlast"))
		want = append(want, "last")
		if err := w.Apply(); err != nil {
			t.Fatal(err)
		}
		after, err := Scan(&m, Limits{Parts: 2000})
		if err != nil {
			t.Fatal(err)
		}
		body = bodyText(t, m.Body())
		var got []string
		for leaf := range after.Leaves() {
			got = append(got, body[leaf.Content:leaf.End])
		}
		if strings.Join(got, "\x00") != strings.Join(want, "\x00") {
			t.Errorf("got %q, want %q\n%q", got, want, body)
		}
	})
}

func checkTree(t *testing.T, e *Entity) {
	t.Helper()
	if e.Content < e.Begin || e.End < e.Content || e.Next < e.End {
		t.Errorf("offsets %d %d %d %d", e.Begin, e.Content, e.End, e.Next)
	}
	for _, c := range e.Children {
		if c.Parent != e || c.Start < e.Content || c.End > e.End {
			t.Errorf("child %d to %d in %d to %d", c.Start, c.End, e.Content, e.End)
		}
		checkTree(t, c)
	}
}

func BenchmarkScan10MB(b *testing.B) {
	line := strings.Repeat("QUJD", 19) + "\r\n"
	m := messageOf("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "text", "--b", "", strings.Repeat(line, 10<<20/len(line)), "--b--", "")
	b.SetBytes(m.Size())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Scan(&m, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadSpliced10MB(b *testing.B) {
	body, err := Splice(container.BytesBody(bytes.Repeat([]byte("x"), 10<<20)), Edit{100, 200, []byte("y")})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(body.Size())
	b.ReportAllocs()
	for b.Loop() {
		r, _ := body.Open()
		_, _ = io.Copy(io.Discard, r)
		_ = r.Close()
	}
}
