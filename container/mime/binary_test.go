package mime

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// convertBinary returns the whole message converted.
func convertBinary(text string) (string, error) {
	m := container.ParseMessage([]byte(text))
	var body bytes.Buffer
	header, err := ConvertBinary(&m, &body, 998)
	return string(header) + "\r\n" + body.String(), err
}

// lines with LF become CRLF; § is a bare CR, ¶ a bare LF and 0 in a circle NUL.
var asSent = strings.NewReplacer("\n", "\r\n", "§", "\r", "¶", "\n", "⓪", "\x00")

func TestConvertBinary(t *testing.T) {
	const cte = "Content-Transfer-Encoding: "
	mixed := func(enc, parts string) string {
		return "Content-Type: multipart/mixed; boundary=b\n" + cte + enc + "\n\n" + parts
	}
	for _, tc := range []struct {
		name, in, want string
		err            error
	}{
		{name: "nothing to do", in: "A: b\n\nhello\n.\n", want: "A: b\n\nhello\n.\n"},
		{name: "last line end", in: "A: b\n\nhello", want: "A: b\n\nhello\n"},
		{name: "image", in: "Content-Type: image/png\n" + cte + "binary\n\n⓪§¶\n.\n\xff",
			want: "Content-Type: image/png\n" + cte + "base64\n\nAA0KDQouDQr/\n"},
		{name: "text", in: cte + "BINARY (any)\n\n-a = b§c¶d \n--\n\tend\t",
			want: cte + "quoted-printable\n\n=2Da =3D b=0Dc=0Ad=20\n=2D-\n\tend=09=\n"},
		{name: "text that is no text", in: cte + "binary\n\na⓪", want: cte + "base64\n\nYQA=\n"},
		{name: "empty", in: cte + "binary\n\n", want: cte + "quoted-printable\n\n"},
		{name: "parts", in: mixed("binary", "pre\n--b\nContent-Type: x/y\n"+cte+"binary\n\n⓪\n--b\n"+cte+"8bit\n\ngrün\n--b\n"+cte+"binary\n\nx \n--b--\npost"),
			want: mixed("8bit", "pre\n--b\nContent-Type: x/y\n"+cte+"base64\n\nAA==\n--b\n"+cte+"8bit\n\ngrün\n--b\n"+cte+"quoted-printable\n\nx=20\n--b--\npost\n")},
		{name: "7bit", in: mixed("binary", "--b\nContent-Type: x/y\n"+cte+"binary\n\n\xff\n--b--\n"), want: mixed("7bit", "--b\nContent-Type: x/y\n"+cte+"base64\n\n/w==\n--b--\n")},
		{name: "empty part", in: mixed("binary", "--b\n"+cte+"binary\n\n--b--\n"), want: mixed("7bit", "--b\n"+cte+"quoted-printable\n\n--b--\n")},
		{name: "part without blank line", in: mixed("7bit", "--b\n"+cte+"binary\n--b--\n"), want: mixed("7bit", "--b\n"+cte+"quoted-printable\n--b--\n")},
		{name: "only CRLF makes boundary lines", in: mixed("binary", "--b\nContent-Type: x/y\n"+cte+"binary\n\n¶--b\n¶--b--¶--b\n--b¶\n--b §\n--b--"),
			want: mixed("7bit", "--b\nContent-Type: x/y\n"+cte+"base64\n\nCi0tYg0KCi0tYi0tCi0tYg0KLS1iCg0KLS1iIA0=\n--b--\n")},
		{name: "boundary wins", in: mixed("binary", "--b\nContent-Type: x/y\n"+cte+"binary\n\n⓪\n--b \n\ntext\n--b--\n"),
			want: mixed("7bit", "--b\nContent-Type: x/y\n"+cte+"base64\n\nAA==\n--b \n\ntext\n--b--\n")},
		{name: "end is missing", in: mixed("binary", "--b\n"+cte+"binary\n\nx"), want: mixed("7bit", "--b\n"+cte+"quoted-printable\n\nx=\n")},
		{name: "attached message", in: mixed("binary", "--b\nContent-Type: message/rfc822\n"+cte+"binary\n\nSubject: x\n"+cte+"binary\nContent-Type: x/y\n\n⓪\n--b--\n"),
			want: mixed("7bit", "--b\nContent-Type: message/rfc822\n"+cte+"7bit\n\nSubject: x\n"+cte+"base64\nContent-Type: x/y\n\nAA==\n--b--\n")},
		{name: "multipart in attached message", in: "Content-Type: message/rfc822\n\nSubject: grün\n" + mixed("binary", "--b\n"+cte+"binary\nContent-Type: x/y\n\n¶\n--b--"),
			want: "Content-Type: message/rfc822\n\nSubject: grün\n" + mixed("7bit", "--b\n"+cte+"base64\nContent-Type: x/y\n\nCg==\n--b--\n")},
		{name: "attached message with UTF-8", in: "Content-Type: message/rfc822\n" + cte + "binary\n\nSubject: grün\n\nhi\n", want: "Content-Type: message/rfc822\n" + cte + "8bit\n\nSubject: grün\n\nhi\n"},
		{name: "report", in: "Content-Type: message/delivery-status\n" + cte + "binary\n\nA: b\n", want: "Content-Type: message/delivery-status\n" + cte + "7bit\n\nA: b\n"},
		{name: "no lines in a report", in: "Content-Type: message/http\n" + cte + "binary\n\n¶\n", want: "Content-Type: message/http\n" + cte + "base64\n\nCg0K\n"},
		{name: "signature", in: "Content-Type: multipart/signed; boundary=b\n\n--b\n\nhi\n--b\nContent-Type: x/y\n" + cte + "binary\n\n⓪\n--b--\n",
			want: "Content-Type: multipart/signed; boundary=b\n\n--b\n\nhi\n--b\nContent-Type: x/y\n" + cte + "base64\n\nAA==\n--b--\n"},
		{name: "signed", in: "Content-Type: multipart/signed; boundary=b\n\n--b\n" + cte + "binary\n\nhi\n--b\nContent-Type: x/y\n\nx\n--b--\n", err: ErrSigned},
		{name: "no boundary", in: "Content-Type: multipart/mixed\n\n--b\n", err: ErrNoBoundary},
		{name: "bare LF in text", in: "A: b\n\nhel¶lo\n", err: ErrLineEnd},
		{name: "bare CR in 8bit", in: cte + "8bit\n\nhel§lo\n", err: ErrLineEnd},
		{name: "bare CR at the end", in: "A: b\n\nhello§", err: ErrLineEnd},
		{name: "bare CR before an edit", in: mixed("binary", "--b\n§\n"+cte+"binary\n\nx\n--b--"), err: ErrLineEnd},
		{name: "bare LF in the header of a part", in: mixed("binary", "--b\nA: b¶"+cte+"binary\n\nx\n--b--"), err: ErrLineEnd},
		{name: "bare LF in the preamble", in: mixed("binary", "¶--b\n"+cte+"binary\n\nx\n--b--"), err: ErrLineEnd},
		{name: "long line", in: "A: b\n\n" + strings.Repeat("x", 999) + "\n", err: ErrLineTooLong},
		{name: "long line in a header", in: mixed("binary", "--b\nA: "+strings.Repeat("x", 999)+"\n\n--b--"), err: ErrLineTooLong},
		{name: "deep", in: strings.Repeat("Content-Type: message/rfc822\n\n", 11), err: ErrTooComplex},
		{name: "parts without end", in: mixed("binary", strings.Repeat("--b\n\n", 1000)), err: ErrTooComplex},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := convertBinary(asSent.Replace(tc.in))
			if !errors.Is(err, tc.err) || tc.err == nil && err != nil {
				t.Fatalf("got error %v, want %v", err, tc.err)
			}
			if want := asSent.Replace(tc.want); err == nil && got != want {
				t.Errorf("got\n%q, want\n%q", got, want)
			}
		})
	}
}

// Content of every size and shape is the same after conversion, and lines are short.
func TestConvertBinaryKeepsOctets(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 5))
	for _, kind := range []string{"text/plain", "image/png"} {
		for size := range 310 {
			if size > 300 {
				size *= 200 // more than the buffers hold
			}
			content := make([]byte, size)
			for i := range content {
				content[i] = []byte("ab-= \t\r\n.\xff\x00")[rnd.IntN(9+rnd.IntN(3))]
			}
			in := "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\nContent-Type: " + kind +
				"\r\nContent-Transfer-Encoding: binary\r\n\r\n" + string(content) + "\r\n--q--\r\n"
			if err := checkConverted(in); err != nil {
				t.Fatalf("%s of %d octets: %v", kind, size, err)
			}
		}
	}
}

// A body that fails, or a writer, is an error that is told from those of the message.
func TestConvertBinaryFaults(t *testing.T) {
	text := asSent.Replace("Content-Type: x/y\nContent-Transfer-Encoding: binary\n\n") + strings.Repeat("\x00", 100<<10)
	m := container.ParseMessage([]byte(text))
	full := errors.New("disk full")
	if _, err := ConvertBinary(&m, &failingWriter{err: full}, 998); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	short := container.NewMessage(m.Header(), shortBody{m.Body()})
	if _, err := ConvertBinary(&short, io.Discard, 998); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

type failingWriter struct{ err error }

func (w *failingWriter) Write([]byte) (int, error) { return 0, w.err }

// shortBody has fewer octets than it says.
type shortBody struct{ container.Body }

func (b shortBody) Size() int64 { return b.Body.Size() + 10 }

// pattern is a body of n octets that is never in memory.
type pattern struct {
	head string
	n    int64
}

func (p pattern) Size() int64 { return int64(len(p.head)) + p.n }

func (p pattern) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader(p.head), io.LimitReader(endless{}, p.n))), nil
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(i) | 0x80
	}
	return len(b), nil
}

// largeBinary has a part of n octets.
func largeBinary(kind string, n int64) container.Message {
	return container.NewMessage([]byte("Content-Type: multipart/mixed; boundary=b\r\n"),
		pattern{"--b\r\nContent-Type: " + kind + "\r\nContent-Transfer-Encoding: binary\r\n\r\n" + strings.Repeat("x", 5000), n})
}

// The memory that a conversion takes does not grow with the message.
func TestConvertBinaryMemory(t *testing.T) {
	for _, kind := range []string{"image/png", "text/plain"} {
		used := func(n int64) int64 {
			m := largeBinary(kind, n)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := ConvertBinary(&m, io.Discard, 998); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			return int64(after.TotalAlloc - before.TotalAlloc)
		}
		if small, large := used(1<<10), used(8<<20); large > small+1<<20 {
			t.Errorf("%s: %d octets for 8 MiB, %d for 1 KiB", kind, large, small)
		}
	}
}

func BenchmarkConvertBinary(b *testing.B) {
	for _, kind := range []string{"image/png", "text/plain"} {
		b.Run(kind, func(b *testing.B) {
			m := largeBinary(kind, 1<<20)
			b.SetBytes(m.Body().Size())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ConvertBinary(&m, io.Discard, 998); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
