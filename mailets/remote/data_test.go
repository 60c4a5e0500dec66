package remote

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// sendChunks passes text through a dataWriter in pieces of the given size.
func sendChunks(text string, size int) string {
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	d := &dataWriter{w: w}
	for i := 0; i < len(text); i += size {
		_, _ = d.Write([]byte(text[i:min(i+size, len(text))]))
	}
	_ = d.close()
	w.Flush()
	return out.String()
}

func TestDataWriter(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", ".\r\n"},
		{"a\r\n", "a\r\n.\r\n"},
		{"a", "a\r\n.\r\n"},
		{".", "..\r\n.\r\n"},
		{".\r\n", "..\r\n.\r\n"},
		{".\r\n.\r\n..\r\n", "..\r\n..\r\n...\r\n.\r\n"},
		{"a.b\r\n", "a.b\r\n.\r\n"},
		{"a\nb\n", "a\r\nb\r\n.\r\n"},
		{"a\n.\n", "a\r\n..\r\n.\r\n"},
		{"a\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n"},
		{"a\rb\r", "a\r\nb\r\n.\r\n"},
		{"a\r.\r\n", "a\r\n..\r\n.\r\n"},
		{"a\r\r\nb", "a\r\n\r\nb\r\n.\r\n"},
		{"\n", "\r\n.\r\n"},
		{"\r", "\r\n.\r\n"},
		{"a\x00b\r\n\x00.\r\n", "ab\r\n..\r\n.\r\n"},
		{"\x00", ".\r\n"},
	} {
		for _, size := range []int{1, 2, 3, 100} {
			if got := sendChunks(tc.in, size); got != tc.want {
				t.Errorf("%q in pieces of %d: got %q, want %q", tc.in, size, got, tc.want)
			}
		}
	}
}

// What is sent ends with the only final dot, has no bare CR or LF and no NUL, and
// says the same however it is cut into pieces.
func FuzzDataWriter(f *testing.F) {
	for _, s := range []string{"", "a\r\n.b", "\r\n.\r\n", "\n.\n", "\r.\r", "\x00\r\x00\n."} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, s string, size int) {
		got := sendChunks(s, max(1, size&15))
		if i := strings.Index("\r\n"+got, "\r\n.\r\n"); i != len(got)-3 {
			t.Errorf("%q: final dot at %d of %d in %q", s, i, len(got), got)
		}
		plain := strings.ReplaceAll(got, "\r\n", "")
		if strings.ContainsAny(plain, "\r\n\x00") {
			t.Errorf("%q: bare CR, LF or NUL in %q", s, got)
		}
		if whole := sendChunks(s, len(s)+1); got != whole {
			t.Errorf("%q: in pieces %q, whole %q", s, got, whole)
		}
	})
}

func TestReadReply(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want reply
		err  string
	}{
		{in: "250 ok\r\n", want: reply{250, "", "ok"}},
		{in: "250\r\n", want: reply{250, "", ""}},
		{in: "250 \n", want: reply{250, "", ""}},
		{in: "550 5.1.1 no such user\r\n", want: reply{550, "5.1.1", "no such user"}},
		{in: "550-5.1.1 no such\r\n550 5.1.1 user\r\n", want: reply{550, "5.1.1", "no such\nuser"}},
		{in: "550-no such\r\n550 5.1.1 user\r\n", want: reply{550, "", "no such\nuser"}},
		{in: "450 5.1.1 odd\r\n", want: reply{450, "", "5.1.1 odd"}},
		{in: "550 5.1.1\r\n", want: reply{550, "5.1.1", ""}},
		{in: "550 5.01.1 x\r\n", want: reply{550, "", "5.01.1 x"}},
		{in: "550 a\x1b[31mb\x00c\td\r\n", want: reply{550, "", "a[31mbc d"}},
		{in: "550 \xff\xfe caf\xc3\xa9\r\n", want: reply{550, "", "? café"}},
		{in: "250-a\r\n550 b\r\n", want: reply{550, "", "a\nb"}},
		{in: "199 x\r\n", err: "does not speak SMTP"},
		{in: "600 x\r\n", err: "does not speak SMTP"},
		{in: "HTTP/1.1 400 Bad\r\n", err: "does not speak SMTP"},
		{in: "250x\r\n", err: "does not speak SMTP"},
		{in: "25\r\n", err: "does not speak SMTP"},
		{in: "", err: "EOF"},
		{in: "250-a\r\n", err: "EOF"},
		{in: "250 " + strings.Repeat("x", maxReplyLine) + "\r\n", err: "too long"},
		{in: strings.Repeat("250-x\r\n", maxReplyLines+1), err: "too many lines"},
	} {
		got, err := readReply(bufio.NewReaderSize(strings.NewReader(tc.in), maxReplyLine))
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%.40q: got %+v, %v, want error %q", tc.in, got, err, tc.err)
			}
			continue
		}
		if got != tc.want || err != nil {
			t.Errorf("%q: got %+v, %v, want %+v", tc.in, got, err, tc.want)
		}
	}
}

// A reply is an error, or has a code of 200 to 599, a bounded text without
// control characters, and an enhanced code that fits.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "550-5.1.1 a\r\n550 5.1.1 b\r\n", "421", "250-\r\n", "\x00\xff\n", "250 \xe2\x80\xa8\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := readReply(bufio.NewReaderSize(bytes.NewReader(b), maxReplyLine))
		if err != nil {
			if !errors.Is(err, errReply) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q: error %v", b, err)
			}
			return
		}
		if r.code < 200 || r.code > 599 || len(r.text) > maxReplyText+maxReplyLine*3 {
			t.Errorf("%q: code %d, %d octets of text", b, r.code, len(r.text))
		}
		for _, c := range r.text {
			if c < ' ' && c != '\n' || c == 0x7f {
				t.Errorf("%q: control character in %q", b, r.text)
			}
		}
		if r.enhanced != "" && r.enhanced[0] != byte('0'+r.code/100) {
			t.Errorf("%q: enhanced code %s with %d", b, r.enhanced, r.code)
		}
	})
}
