package mime

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

const sample = "Received: from a\r\n\tby b; date\r\n" +
	"received: from c\r\n" +
	"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= an\r\n alle\r\n" +
	"BCC: x@y.test,\r\n z@y.test\r\n" +
	"X-Odd : value\r\n" +
	"To: Bob <bob@y.test>\r\n"

func TestRead(t *testing.T) {
	h := []byte(sample)
	for _, tc := range []struct {
		name  string
		count int
		first string
	}{
		{"Received", 2, "from a\tby b; date"},
		{"RECEIVED", 2, "from a\tby b; date"},
		{"Bcc", 1, "x@y.test, z@y.test"},
		{"X-Odd", 1, "value"},
		{"X-Od", 0, ""},
		{"", 0, ""},
		{"by b; date", 0, ""},
	} {
		if got := Count(h, tc.name); got != tc.count {
			t.Errorf("Count(%q): got %d, want %d", tc.name, got, tc.count)
		}
		if got, ok := Get(h, tc.name); got != tc.first || ok != (tc.count > 0) {
			t.Errorf("Get(%q): got %q, %v, want %q", tc.name, got, ok, tc.first)
		}
		if got := len(Values(h, tc.name)); got != tc.count {
			t.Errorf("Values(%q): got %d, want %d", tc.name, got, tc.count)
		}
	}
	if got := CountExact(h, "received"); got != 1 {
		t.Errorf("CountExact: got %d, want 1", got)
	}
	if got, _ := Text(h, "subject"); got != "Grüße an alle" {
		t.Errorf("Text: got %q", got)
	}
	var names []string
	for f := range Fields(h) {
		names = append(names, string(f.Name))
	}
	if want := []string{"Received", "received", "Subject", "BCC", "X-Odd", "To"}; !slices.Equal(names, want) {
		t.Errorf("Fields: got %q, want %q", names, want)
	}
}

func TestEdit(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func([]byte) []byte
		want string
	}{
		{"add", func(h []byte) []byte { return Add(h, "X-A", "1") }, "X-A: 1\r\nA: 1\r\nB: 2\r\n 3\r\na: 4\r\n"},
		{"append", func(h []byte) []byte { return Append(h, "X-A", "1") }, "A: 1\r\nB: 2\r\n 3\r\na: 4\r\nX-A: 1\r\n"},
		{"add bad name", func(h []byte) []byte { return Add(h, "X A:", "1") }, "A: 1\r\nB: 2\r\n 3\r\na: 4\r\n"},
		{"set in place", func(h []byte) []byte { return Set(h, "b", "x") }, "A: 1\r\nb: x\r\na: 4\r\n"},
		{"set drops others", func(h []byte) []byte { return Set(h, "A", "x") }, "A: x\r\nB: 2\r\n 3\r\n"},
		{"set absent", func(h []byte) []byte { return Set(h, "C", "x") }, "C: x\r\nA: 1\r\nB: 2\r\n 3\r\na: 4\r\n"},
		{"remove", func(h []byte) []byte { return Remove(h, "a") }, "B: 2\r\n 3\r\n"},
		{"remove two", func(h []byte) []byte { return Remove(h, "a", "B") }, ""},
		{"remove func", func(h []byte) []byte {
			return RemoveFunc(h, func(f Field) bool { return string(f.Name) == "a" })
		}, "A: 1\r\nB: 2\r\n 3\r\n"},
		{"injection", func(h []byte) []byte { return Set(h, "A", "x\r\nBcc: evil@x.test\x00\n\ny") }, "A: x Bcc: evil@x.test y\r\nB: 2\r\n 3\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := []byte("A: 1\r\nB: 2\r\n 3\r\na: 4\r\n")
			before := bytes.Clone(h)
			if got := string(tc.edit(h)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if !bytes.Equal(h, before) {
				t.Errorf("the given header was changed to %q", h)
			}
		})
	}
}

func TestRemoveFuncStrayContinuation(t *testing.T) {
	h := []byte(" A: b\r\nA: b\r\n")
	if got := string(RemoveFunc(h, func(Field) bool { return true })); got != " A: b\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestFormatField(t *testing.T) {
	long := strings.Repeat("wort ", 40)
	for _, tc := range []struct{ name, value, want string }{
		{"plain", "hello", "X: hello\r\n"},
		{"empty", " \r\n ", "X:\r\n"},
		{"umlaut", "grüße an dich", "X: =?utf-8?q?gr=C3=BC=C3=9Fe?= an dich\r\n"},
		{"address", "jörg@x.test", "X: jörg@x.test\r\n"},
		{"controls", "a\x00b\x1bc\td", "X: abc\td\r\n"},
		{"bad utf-8", "a\xffb", "X: a?b\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := string(FormatField("X", tc.value)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	if got, want := string(FormatField("Subject", "ü@x")), "Subject: =?utf-8?q?=C3=BC@x?=\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	f := FormatField("Subject", long)
	if got := unfold(f[len("Subject:"):]); got != strings.TrimSpace(long) {
		t.Errorf("folding changed the value: %q", got)
	}
	if n := maxLine(f); n > wantedLine {
		t.Errorf("line of %d characters, want at most %d", n, wantedLine)
	}
	if n := maxLine(FormatField("X", strings.Repeat("é@", 4000))); n > 998 {
		t.Errorf("line of %d octets, want at most 998", n)
	}
}

func maxLine(b []byte) int {
	longest := 0
	for l := range bytes.SplitSeq(b, []byte("\r\n")) {
		longest = max(longest, len(l))
	}
	return longest
}

func TestLookingAllocatesNothing(t *testing.T) {
	h := []byte(strings.Repeat("X-Field: some value that is long enough\r\n", 40))
	n := testing.AllocsPerRun(100, func() {
		if Count(h, "Received") != 0 || Has(h, "Bcc") || len(Remove(h, "bcc", "x-other")) != len(h) {
			t.Error("found what is not there")
		}
		if _, ok := Get(h, "Subject"); ok {
			t.Error("found what is not there")
		}
	})
	if n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func TestAddresses(t *testing.T) {
	for _, tc := range []struct {
		value string
		want  []string
		ok    bool
	}{
		{`Bob <bob@x.test>, "Doe, J" <j@x.test>`, []string{"bob@x.test", "j@x.test"}, true},
		{`friends: a@x.test, b@x.test;`, []string{"a@x.test", "b@x.test"}, true},
		{`bob@x.test, not an address, c@x.test`, []string{"bob@x.test", "c@x.test"}, false},
		{`"a b"@x.test`, []string{`"a b"@x.test`}, true},
		{``, nil, false},
	} {
		boxes, ok := ParseAddresses(tc.value)
		var got []string
		for _, b := range boxes {
			got = append(got, b.Address.String())
		}
		if !slices.Equal(got, tc.want) || ok != tc.ok {
			t.Errorf("%q: got %q, %v, want %q, %v", tc.value, got, ok, tc.want, tc.ok)
		}
	}
	a := container.MustAddress("bob@x.test")
	for name, want := range map[string]string{
		"":         "bob@x.test",
		"Bob B":    "Bob B <bob@x.test>",
		`B. "x"`:   `"B. \"x\"" <bob@x.test>`,
		"Jörg":     "=?utf-8?q?J=C3=B6rg?= <bob@x.test>",
		"a\r\nb: ": `"a b:" <bob@x.test>`,
	} {
		if got := FormatAddress(name, a); got != want {
			t.Errorf("FormatAddress(%q): got %q, want %q", name, got, want)
		}
	}
}

func TestDateAndID(t *testing.T) {
	when := time.Date(2026, 8, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	if got, want := FormatDate(when), "Sun, 2 Aug 2026 03:04:05 +0100"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, err := ParseDate(FormatDate(when)); err != nil || !got.Equal(when) {
		t.Errorf("ParseDate: got %v, %v", got, err)
	}
	if a, b := MessageID("h.test"), MessageID("h.test"); a == b || !strings.HasSuffix(a, "@h.test>") {
		t.Errorf("got %q and %q", a, b)
	}
}

const nested = "Content-Type: multipart/mixed; boundary=o\r\n\r\n" +
	"--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n" +
	"--i\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n" +
	"--i\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngr=FC=DFe\r\n--i--\r\n" +
	"--o\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=b.pdf\r\n\r\nxx\r\n--o--\r\n"

func TestWalk(t *testing.T) {
	m := container.ParseMessage([]byte(nested))
	var got []string
	err := Walk(&m, Limits{}, func(e *Entity) error {
		if e.IsMultipart() {
			return nil
		}
		r, err := e.OpenText(m.Body())
		if err != nil {
			return err
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		got = append(got, e.MediaType+" "+append(e.FileNames(), "")[0]+" "+string(b))
		return err
	})
	want := []string{"text/html  <b>x</b>", "text/plain  grüße", "application/pdf b.pdf xx"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if text, err := PlainText(&m, 100); err != nil || text != "grüße" {
		t.Errorf("PlainText: got %q, %v", text, err)
	}
	if err := Walk(&m, Limits{Parts: 2}, func(*Entity) error { return nil }); !errors.Is(err, ErrTooComplex) {
		t.Errorf("parts: got %v, want ErrTooComplex", err)
	}
	if err := Walk(&m, Limits{Depth: 1}, func(*Entity) error { return nil }); !errors.Is(err, ErrTooComplex) {
		t.Errorf("depth: got %v, want ErrTooComplex", err)
	}
}

// Removing a name leaves every other field as it was, octet by octet; adding a
// field with any value adds exactly one field.
func FuzzHeaderEdit(f *testing.F) {
	f.Add([]byte(sample), "bcc", "value\r\nX: y")
	f.Add([]byte(" A: b\r\nA: b\r\n"), "A", strings.Repeat("ü", 600))
	f.Fuzz(func(t *testing.T, raw []byte, name, value string) {
		raw = raw[:container.HeaderLength(raw)]
		before := bytes.Clone(raw)
		var want []byte
		for rest := raw; len(rest) > 0; {
			n := fieldLength(rest)
			if fl, ok := parseField(rest[:n]); !ok || !fl.Is(name) || name == "" || !ValidName(name) {
				want = append(want, rest[:n]...)
			}
			rest = rest[n:]
		}
		if ValidName(name) {
			if got := Remove(raw, name); !bytes.Equal(got, want) {
				t.Errorf("Remove(%q, %q) = %q, want %q", raw, name, got, want)
			}
			if got := RemoveFunc(raw, func(fl Field) bool { return fl.Is(name) }); !bytes.Equal(got, want) {
				t.Errorf("RemoveFunc(%q, %q) = %q, want %q", raw, name, got, want)
			}
			checkAdd(t, raw, name, value)
		}
		if !bytes.Equal(raw, before) {
			t.Error("the given header was changed")
		}
	})
}

func checkAdd(t *testing.T, raw []byte, name, value string) {
	t.Helper()
	got := Add(raw, name, value)
	if !bytes.HasSuffix(got, raw) || Count(got, name) != Count(raw, name)+1 {
		t.Errorf("Add(%q, %q, %q) = %q", raw, name, value, got)
	}
	added := got[:len(got)-len(raw)]
	if container.HeaderLength(added) != len(added) || fieldLength(added) != len(added) || maxLine(added) > 998 {
		t.Errorf("%q is not one field", added)
	}
	if set := Set(raw, name, value); Count(set, name) != 1 || !bytes.Equal(Remove(set, name), Remove(raw, name)) {
		t.Errorf("Set(%q, %q, %q) = %q", raw, name, value, set)
	}
}

func BenchmarkCountReceived(b *testing.B) {
	h := []byte(strings.Repeat("X-Field: some value that is long enough\r\n", 30) + sample)
	for b.Loop() {
		Count(h, "Received")
	}
}
