package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
)

const envelope = "HELO client.test\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<bob@here.test>\r\nDATA\r\n"

// begin brings a conversation to DATA.
func (h *harness) begin() *client {
	h.t.Helper()
	c := h.dial()
	c.send(envelope)
	c.expect("220 ...", "250 ...", "250 ...", "250 ...", "354 ...")
	return c
}

var receivedField = regexp.MustCompile(`^Received: (.*\r\n([ \t].*\r\n)*)`)

// split returns the Received field that the server added, the rest of the
// header, and the body.
func split(t testing.TB, m *container.Mail) (received, header, body string) {
	t.Helper()
	header, body = content(t, m)
	received = receivedField.FindString(header)
	if received == "" {
		t.Fatalf("no Received field in %q", header)
	}
	return received, header[len(received):], body
}

func TestDataContent(t *testing.T) {
	for _, tc := range []struct{ name, data, header, body string }{
		{"simple", "Subject: x\r\n\r\nhello\r\n", "Subject: x\r\n", "hello\r\n"},
		{"no body", "Subject: x\r\n\r\n", "Subject: x\r\n", ""},
		{"no blank line", "Subject: x\r\n", "Subject: x\r\n", ""},
		{"empty", "", "", ""},
		{"blank line first", "\r\nhello\r\n", "", "hello\r\n"},
		{"no header fields", "hello world\r\nSubject: x\r\n", "", "hello world\r\nSubject: x\r\n"},
		{"folded field", "Subject: x\r\n\ty\r\nTo: z\r\n\r\nbody\r\n", "Subject: x\r\n\ty\r\nTo: z\r\n", "body\r\n"},
		{"continuation first", " x\r\nTo: z\r\n\r\nb\r\n", "", " x\r\nTo: z\r\n\r\nb\r\n"},
		{"header ends without blank line", "To: z\r\nno field\r\n", "To: z\r\n", "no field\r\n"},
		{"dots", "To: z\r\n\r\n..\r\n...\r\n.a\r\n..b\r\nc.\r\n", "To: z\r\n", ".\r\n..\r\na\r\n.b\r\nc.\r\n"},
		{"dot in the header", "To: z\r\n.Cc: y\r\n\r\n", "To: z\r\nCc: y\r\n", ""},
		{"first line stuffed", ".To: z\r\n\r\nb\r\n", "To: z\r\n", "b\r\n"},
		{"stuffed blank line", "To: z\r\n..\r\nb\r\n", "To: z\r\n", ".\r\nb\r\n"},
		{"NUL and 8bit", "To: z\r\n\r\n\x00\xff\r\n", "To: z\r\n", "\x00\xff\r\n"},
		{"blank lines in the body", "To: z\r\n\r\n\r\n\r\nb\r\n", "To: z\r\n", "\r\n\r\nb\r\n"},
		{"large", "To: z\r\n\r\n" + strings.Repeat("0123456789\r\n..\r\n", 20000), "To: z\r\n", strings.Repeat("0123456789\r\n.\r\n", 20000)},
		{"longest line", "To: z\r\n\r\n" + strings.Repeat("x", 8192) + "\r\n", "To: z\r\n", strings.Repeat("x", 8192) + "\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, "")
			c := h.begin()
			c.send(tc.data + ".\r\nNOOP\r\n")
			c.expect("250 2.6.0 Message received", "250 2.0.0 OK")
			_, header, body := split(t, h.one())
			if header != tc.header || body != tc.body {
				t.Errorf("got header %q, body %.200q\nwant %q, %.200q", header, body, tc.header, tc.body)
			}
		})
	}
}

func TestDataRefused(t *testing.T) {
	const bare = "500 5.0.0 line delimiter must be CRLF"
	const long = "500 Line length exceeded. See RFC 2821 #4.5.3.1."
	for _, tc := range []struct {
		name, data, reply string
		closed            bool
	}{
		{"bare LF", "To: z\r\n\r\na\nb\r\n", bare, true},
		{"bare CR", "To: z\r\n\r\na\rb\r\n", bare, true},
		{"LF dot LF", "To: z\r\n\r\na\n.\nMAIL FROM:<evil@far.test>\r\n", bare, true},
		{"LF dot CRLF", "To: z\r\n\r\na\n.\r\nMAIL FROM:<evil@far.test>\r\n", bare, true},
		{"CRLF dot LF", "To: z\r\n\r\na\r\n.\nMAIL FROM:<evil@far.test>\r\n", bare, true},
		{"CRLF dot CR", "To: z\r\n\r\na\r\n.\rMAIL FROM:<evil@far.test>\r\n", bare, true},
		{"CR CRLF", "To: z\r\n\r\na\r\r\n", bare, true},
		{"LF first", "\n", bare, true},
		{"line too long", "To: z\r\n\r\n" + strings.Repeat("x", 8193) + "\r\nmore\r\n", long, false},
		{"line far too long", "To: z\r\n\r\n" + strings.Repeat("x", 100_000) + "\r\nmore\r\n", long, false},
		{"long line with a bare LF", "To: z\r\n\r\n" + strings.Repeat("x", 40_000) + "\n.\r\n", bare, true},
		{"header too big", strings.Repeat("X-Filler: "+strings.Repeat("y", 900)+"\r\n", 1200) + "\r\nbody\r\n", "552 5.3.4 Header size is too large", false},
		{"too many hops", strings.Repeat("Received: from a by b; x\r\n", 101) + "To: z\r\n\r\nbody\r\n", "554 5.4.6 Too many hops", false},
		{"too big", "To: z\r\n\r\n" + strings.Repeat(strings.Repeat("x", 998)+"\r\n", 2100), "552 Quota exceeded", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, `<maxmessagesize>2M</maxmessagesize>`)
			c := h.begin()
			c.send(tc.data)
			if !tc.closed {
				c.send(".\r\nRCPT TO:<bob@here.test>\r\n")
			}
			c.expect(tc.reply)
			if tc.closed {
				c.eof()
			} else {
				c.expect("503 5.5.0 Need MAIL before RCPT")
			}
			if n := len(h.queue.all()); n != 0 {
				t.Errorf("%d mails stored", n)
			}
		})
	}
}

func TestSizeLimit(t *testing.T) {
	h := start(t, `<maxmessagesize>2000B</maxmessagesize>`)
	head := "To: z\r\n\r\n" // the dot of a stuffed line counts
	fill := func(n int) string { return head + "..\r\n" + strings.Repeat("x", n-len(head)-6) + "\r\n.\r\n" }
	c := h.begin()
	c.send(fill(2000) + envelope)
	c.expect("250 2.6.0 ...", "250 ...", "250 ...", "250 ...", "354 ...")
	c.send(fill(2001))
	c.expect("552 Quota exceeded")
	h.one()
}

func TestStoreFailures(t *testing.T) {
	for _, tc := range []struct {
		name    string
		prepare func(*fakeQueue)
	}{
		{"commit", func(q *fakeQueue) { q.err = errors.New("disk full") }},
		{"write", func(q *fakeQueue) { q.writeErr = errors.New("disk full") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, "")
			tc.prepare(h.queue)
			c := h.begin()
			c.send("To: z\r\n\r\nbody\r\n.\r\nNOOP\r\n")
			c.expect("451 4.0.0 Error processing message.", "250 2.0.0 OK")
			if !strings.Contains(h.log.String(), "disk full") {
				t.Error("the cause is not in the log")
			}
		})
	}
}

func TestCommandLineLength(t *testing.T) {
	h := start(t, `<maxLineLength>1000</maxLineLength>`)
	c := h.dial()
	c.expect("220 ...")
	c.send("NOOP " + strings.Repeat("x", 995) + "\r\n")
	c.expect("250 2.0.0 OK")
	c.send("NOOP " + strings.Repeat("x", 996) + "\r\nNOOP\r\n")
	c.expect("500 Line length exceeded. See RFC 2821 #4.5.3.1.", "250 2.0.0 OK")
	c.send("NOOP " + strings.Repeat("x", 100_000) + "\r\nAUTH LOGIN\r\n")
	c.expect("500 Line length exceeded. See RFC 2821 #4.5.3.1.", "334 ...")
	c.send(strings.Repeat("x", maxSASLLine+1) + "\r\nNOOP\r\n")
	c.expect("500 Line length exceeded. See RFC 2821 #4.5.3.1.", "250 2.0.0 OK")
}

// slowData is the obvious way to read a message: it looks at octets one by one.
// It returns the unstuffed content and the length of what it read; ok is false
// when a line end is not CRLF.
func slowData(data []byte) (content []byte, n int, ok, ended bool) {
	var line []byte
	for i := 0; i < len(data); i++ {
		b := data[i]
		line = append(line, b)
		if b == '\r' {
			if i+1 == len(data) {
				return content, i, true, false
			}
			if data[i+1] != '\n' {
				return content, i, false, false
			}
			continue
		}
		if b != '\n' {
			continue
		}
		if len(line) < 2 || line[len(line)-2] != '\r' {
			return content, i, false, false
		}
		if string(line) == ".\r\n" {
			return content, i + 1, true, true
		}
		if line[0] == '.' {
			line = line[1:]
		}
		content = append(content, line...)
		line = nil
	}
	return content, len(data), true, false
}

// chunkReader hands data out in pieces of size n.
type chunkReader struct {
	data []byte
	n    int
}

func (r *chunkReader) read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.data[:min(r.n, len(r.data))])
	r.data = r.data[n:]
	return n, nil
}

// FuzzData: for any stream of octets behind DATA, in pieces of any size, what is
// stored is what a slow and simple reader of strict RFC 5321 data makes of it,
// the input stands behind the final line, and what that reader refuses is
// refused.
func FuzzData(f *testing.F) {
	for _, s := range []string{"a\r\n.\r\nQUIT\r\n", "To: x\r\n\r\n..\r\n.\r\n", "a\n.\r\n", "a\r.\r\n", "\r\n.\r\n", ".\r\n", " x\r\n.\r\n", "a\r\n.\r", "A:\r\n\r\n.b\r\n.\r\n.\r\n"} {
		f.Add([]byte(s), 3)
		f.Add([]byte(s), 1000)
	}
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		if err := compareData(data, 1+(size&0xfff)); err != nil {
			t.Error(err)
		}
	})
}

func compareData(data []byte, size int) error {
	want, wantN, wantOK, ended := slowData(data)
	in := newInput((&chunkReader{data, size}).read)
	q := &fakeQueue{}
	d := &dataReader{in: in, newBody: q.NewBody, maxLine: 1000, header: []byte("Received: x\r\n")}
	err := d.run()
	switch {
	case !ended && wantOK:
		if err != io.EOF && err != errBareLineEnd {
			return fmt.Errorf("unfinished data: got %v, want EOF", err)
		}
		return nil
	case !wantOK:
		if err == nil {
			return errors.New("data with a bare CR or LF was read to its end")
		}
		return nil
	case err != nil:
		return fmt.Errorf("good data refused: %w", err)
	}
	left := len(in.window())
	for b := make([]byte, 64); ; {
		n, err := in.read(b)
		left += n
		if err != nil {
			break
		}
	}
	if left != len(data)-wantN {
		return fmt.Errorf("%d octets left behind the final line, want %d", left, len(data)-wantN)
	}
	if d.verdict == lineTooLong {
		for line := range bytes.Lines(data[:wantN]) {
			if len(line) > 1002 {
				return nil
			}
		}
		return errors.New("refused for a long line that is not there")
	}
	return compareMessage(d, want)
}

func compareMessage(d *dataReader, want []byte) error {
	m, err := d.message()
	if err != nil {
		return err
	}
	n := container.HeaderLength(want)
	wantBody := bytes.TrimPrefix(want[n:], []byte("\r\n"))
	body := []byte(m.Body().(container.BytesBody))
	if got := m.Header()[len("Received: x\r\n"):]; !bytes.Equal(got, want[:n]) || !bytes.Equal(body, wantBody) {
		return fmt.Errorf("got  %q %q\nwant %q %q", got, body, want[:n], wantBody)
	}
	return nil
}
