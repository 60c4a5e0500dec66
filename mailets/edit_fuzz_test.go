package mailets

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// fuzzed are the mailets of FuzzEdit, with what they may change: whether a leaf
// must come out as the same octets. A leaf is known by its content.
var fuzzed = []struct {
	class, params string
	stays         func(leaf *mime.Entity) bool
}{
	{"AddFooter", "<text>5 € for you</text>", func(e *mime.Entity) bool {
		return e.MediaType != "text/plain" && e.MediaType != "text/html" || e.Sealed()
	}},
	{"StripAttachment", `<pattern>.*\.exe</pattern><remove>matched</remove>`, func(e *mime.Entity) bool {
		return len(e.FileNames()) == 0 && (e.MediaType == "text/plain" || e.MediaType == "text/html")
	}},
	{"ToPlainText", "", func(e *mime.Entity) bool { return e.MediaType != "text/html" || e.Sealed() }},
	{"ConvertTo7Bit", "", func(e *mime.Entity) bool { return e.Encoding() != "8bit" || e.Sealed() }},
	{"ICSSanitizer", "", func(e *mime.Entity) bool { return e.MediaType != "text/calendar" }},
	{"RecoverAttachment", "<attribute>parts</attribute>", func(*mime.Entity) bool { return true }},
	{"FoldLongLines", "<maxCharacters>80</maxCharacters>", func(*mime.Entity) bool { return true }},
	{"ReplaceContent", "<bodyPattern>/a/€uro/r/</bodyPattern>", func(e *mime.Entity) bool { return e.Parent != nil }},
	{"WrapText", "<width>30</width>", func(e *mime.Entity) bool { return e.Parent != nil }},
	{"UnwrapText", "", func(e *mime.Entity) bool { return e.Parent != nil }},
	{"OnlyText", "", func(*mime.Entity) bool { return false }},
	{"TextCalendarBodyToAttachment", "", func(*mime.Entity) bool { return true }},
	{"ClassifyBounce", "<headerName>X</headerName>", func(*mime.Entity) bool { return true }},
}

// leafSums returns the sums of the contents of the leaves that stay.
func leafSums(t *testing.T, m *container.Message, stays func(*mime.Entity) bool) []string {
	t.Helper()
	root, err := mime.Scan(m, mime.Limits{Parts: 2000})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for e := range root.Leaves() {
		if !stays(e) {
			continue
		}
		data, err := readRaw(e, m.Body())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%x", sha256.Sum256(data)))
	}
	return out
}

func readRaw(e *mime.Entity, body container.Body) ([]byte, error) {
	r, err := e.OpenRaw(body)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(r)
	return b.Bytes(), err
}

// What a mailet makes of a message that a mail program can read, it can read too,
// and the parts that the mailet has no business with are the same octets, in the
// same order.
func FuzzEdit(f *testing.F) {
	files, err := filepath.Glob("testdata/edit/*.in.eml")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range files {
		for i := range fuzzed {
			f.Add(readMessage(f, filepath.Base(name)), uint8(i))
		}
	}
	r := testRegistry(f)
	f.Fuzz(func(t *testing.T, data []byte, which uint8) {
		data = bytes.ReplaceAll(bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		tc := fuzzed[int(which)%len(fuzzed)]
		m := editMail(data)
		m.Set("parts", map[string]container.Value{"a": []byte("A: b\r\n\r\npart"), "b": []byte("no part")})
		before := m.Message
		if _, err := mime.Scan(&before, mime.Limits{}); err != nil {
			return
		}
		parsed := parses(messageBytes(t, &before)) == nil
		if err := mustLoad(t, r, tc.class, tc.params).Service(t.Context(), m, &container.Outbox{}); err != nil {
			if !unreadable(err) {
				t.Fatalf("%s: %v", tc.class, err)
			}
			return
		}
		got := messageBytes(t, &m.Message)
		if err := parses(got); parsed && err != nil && !errors.Is(err, mime.ErrTooComplex) {
			t.Errorf("%s: %v in\n%q\nmade of\n%q", tc.class, err, got, data)
		}
		want, have := leafSums(t, &before, tc.stays), leafSums(t, &m.Message, func(*mime.Entity) bool { return true })
		if parsed && !subsequence(want, have) {
			t.Errorf("%s: a part was changed in\n%q\nmade of\n%q", tc.class, got, data)
		}
	})
}

func subsequence(want, have []string) bool {
	for _, h := range have {
		if len(want) > 0 && want[0] == h {
			want = want[1:]
		}
	}
	return len(want) == 0
}

// largeMessage has a short text and an attachment that makes it size octets.
func largeMessage(size int) []byte {
	line := strings.Repeat("QUJD", 19) + "\r\n"
	return []byte("Received: from a\r\n by b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n" +
		"--i\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello there,\r\nbye\r\n--i\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hello there</p>\r\n--i--\r\n" +
		"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		strings.Repeat(line, size/len(line)) + "--b--\r\n")
}

func benchmarkEdit(b *testing.B, class, params string) {
	for _, size := range []struct {
		name string
		n    int
	}{{"10kB", 10 << 10}, {"10MB", 10 << 20}} {
		b.Run(size.name, func(b *testing.B) {
			ma := mustLoad(b, testRegistry(b), class, params)
			m := editMail(largeMessage(size.n))
			original := m.Message
			b.SetBytes(original.Size())
			b.ReportAllocs()
			for b.Loop() {
				m.Message, m.Attributes = original, nil
				if err := ma.Service(b.Context(), m, &container.Outbox{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAddFooter(b *testing.B) { benchmarkEdit(b, "AddFooter", "<text>footer</text>") }

func BenchmarkStripAttachment(b *testing.B) {
	benchmarkEdit(b, "StripAttachment", `<pattern>.*\.pdf</pattern><remove>matched</remove>`)
}

func BenchmarkStripAttachmentNoMatch(b *testing.B) {
	benchmarkEdit(b, "StripAttachment", `<pattern>.*\.exe</pattern><remove>matched</remove>`)
}
