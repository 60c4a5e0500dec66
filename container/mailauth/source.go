package mailauth

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// ErrHostile is wrapped by the errors about messages whose shape would cost far
// more than their size: nobody writes such mail.
var ErrHostile = errors.New("too costly to check")

// Limits of the work that one message can cause. go-msgauth joins the lines of a
// field one by one, and goes through all fields for each name in h=; it keeps
// blank lines in memory until it knows that they are not the last ones.
const (
	maxFoldWork = 256 << 20 // octets copied for joining lines
	maxPickWork = 4 << 20   // fields looked at
	maxBlank    = 256 << 10 // octets of blank lines in a row inside a body
	maxH        = 2000      // names in one h=
)

// checkHeader refuses headers that take too long to go through; names is the
// number of fields that the signatures cover, together.
func checkHeader(header []byte, names int) error {
	fields, work := 0, 0
	for f := range mime.Fields(header) {
		fields++
		work += bytes.Count(f.Raw, []byte{'\n'}) * len(f.Raw)
	}
	if work > maxFoldWork {
		return fmt.Errorf("%w: header fields of too many lines", ErrHostile)
	}
	if fields*names > maxPickWork {
		return fmt.Errorf("%w: %d header fields, and signatures over %d", ErrHostile, fields, names)
	}
	return nil
}

// open returns the message for go-msgauth to read. The trailing blank lines of
// the body are left out: they are no part of either canonical form (RFC 6376
// §3.4.3, §3.4.4), and are the one thing that would have to be kept in memory.
// err reports, after the end, what went wrong with reading; the reader itself
// only ends, because go-msgauth leaves goroutines behind after a failed read.
func open(m *container.Message) (r io.ReadCloser, err func() error, fail error) {
	src, fail := m.Open()
	if fail != nil {
		return nil, nil, fmt.Errorf("open the message: %w", fail)
	}
	b := &blankLines{src: src, header: int64(len(m.Header())) + 2, buf: make([]byte, max(min(m.Size(), 32<<10), 512))}
	return b, func() error { return b.err }, nil
}

// blankLines passes on what it reads, except line ends at the end.
type blankLines struct {
	src    io.ReadCloser
	header int64  // octets that are still header
	buf    []byte // what was read last
	data   []byte // part of buf to pass on
	held   int    // octets of CRLFs seen and not passed on
	due    int    // octets of CRLFs to pass on before data
	cr     bool   // a CR at the end of what was read last
	done   bool
	err    error
}

// Read never fails: see open.
func (b *blankLines) Read(p []byte) (int, error) {
	for {
		n := 0
		for ; b.due > 0 && n < len(p); b.due-- {
			p[n] = "\r\n"[b.due&1]
			n++
		}
		if b.due == 0 && len(b.data) > 0 {
			c := copy(p[n:], b.data)
			b.data = b.data[c:]
			n += c
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if b.done {
			return 0, io.EOF
		}
		b.fill()
	}
}

// blank are line ends to pass on.
var blank = bytes.Repeat([]byte("\r\n"), 256)

// WriteTo passes everything on without another copy. An error is that of w: see
// open.
func (b *blankLines) WriteTo(w io.Writer) (total int64, err error) {
	for {
		for b.due > 0 {
			part := blank[b.due&1:] // an odd number begins with the LF
			n, err := w.Write(part[:min(b.due, len(part))])
			b.due -= n
			total += int64(n)
			if err != nil {
				return total, err
			}
		}
		if len(b.data) > 0 {
			n, err := w.Write(b.data)
			b.data = b.data[n:]
			total += int64(n)
			if err != nil {
				return total, err
			}
		}
		if b.done {
			return total, nil
		}
		b.fill()
	}
}

// fill reads on, and holds back the CRLFs at the end of what it read.
func (b *blankLines) fill() {
	start := 0
	if b.cr {
		b.buf[0] = '\r'
		start, b.cr = 1, false
	}
	n, err := b.src.Read(b.buf[start:])
	b.done = err != nil
	if err != nil && err != io.EOF {
		b.err = fmt.Errorf("read the message: %w", err)
	}
	d := b.buf[:start+n]
	head := min(b.header, int64(len(d)))
	b.header -= head
	end := len(d)
	if end > int(head) && d[end-1] == '\r' && !b.done {
		b.cr = true
		end--
	}
	text := end
	for text >= int(head)+2 && d[text-2] == '\r' && d[text-1] == '\n' {
		text -= 2
	}
	if text > 0 {
		b.due, b.held = b.held, 0
		if b.due > maxBlank {
			b.err, b.done, b.due = fmt.Errorf("%w: more than %d blank lines in a row", ErrHostile, maxBlank/2), true, 0
			return
		}
		b.data = d[:text]
	}
	b.held += end - text
}

// Close closes the message.
func (b *blankLines) Close() error { return b.src.Close() }
