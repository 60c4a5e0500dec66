package remote

import (
	"bufio"
	"bytes"
	"io"
	"sync"
)

// buffers are for bodies that cannot write themselves.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// copyBody copies a body to w, without a new buffer for each message.
func copyBody(w io.Writer, body io.Reader) error {
	if wt, ok := body.(io.WriterTo); ok {
		_, err := wt.WriteTo(w)
		return err
	}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, body, buf[:])
	return err
}

var (
	crlf    = []byte("\r\n")
	crlfDot = []byte("\r\n.")
)

// dataWriter sends the content of a message as DATA wants it: dots at line
// starts doubled (RFC 5321 §4.5.2), every line ending in CRLF, no NUL. What our
// server took in is like that already and passes in one piece but for the dots;
// what a mailet made is repaired: a bare CR or LF becomes CRLF, NUL is left
// out. Text is scanned in bulk, never octet by octet.
type dataWriter struct {
	w       *bufio.Writer
	mid     bool // in the middle of a line
	pending bool // a CR at the end of the last chunk is held back
}

// Write sends p. It implements io.Writer for io.Copy and io.WriterTo.
func (d *dataWriter) Write(p []byte) (int, error) {
	n := len(p)
	if d.pending && n > 0 {
		d.pending = false
		if p[0] == '\n' {
			p = p[1:]
		}
		if err := d.endLine(); err != nil {
			return 0, err
		}
	}
	if len(p) > 0 && p[len(p)-1] == '\r' {
		d.pending = true
		p = p[:len(p)-1]
	}
	if len(p) == 0 {
		return n, nil
	}
	if isClean(p) {
		return n, d.writeClean(p)
	}
	return n, d.repair(p)
}

// isClean reports whether p has no NUL and CR and LF only as pairs.
func isClean(p []byte) bool {
	if bytes.IndexByte(p, 0) >= 0 {
		return false
	}
	lf := bytes.Count(p, crlf[1:])
	return bytes.Count(p, crlf[:1]) == lf && bytes.Count(p, crlf) == lf
}

// writeClean sends text that needs nothing but its dots doubled.
func (d *dataWriter) writeClean(p []byte) error {
	if !d.mid && p[0] == '.' {
		if err := d.w.WriteByte('.'); err != nil {
			return err
		}
	}
	d.mid = !bytes.HasSuffix(p, crlf)
	for {
		i := bytes.Index(p, crlfDot)
		if i < 0 {
			_, err := d.w.Write(p)
			return err
		}
		if _, err := d.w.Write(p[:i+3]); err != nil {
			return err
		}
		p = p[i+2:] // the dot again
	}
}

// repair sends text line by line, with proper line ends.
func (d *dataWriter) repair(p []byte) error {
	for len(p) > 0 {
		i := bytes.IndexAny(p, "\r\n")
		line := p
		if i >= 0 {
			line = p[:i]
		}
		if bytes.IndexByte(line, 0) >= 0 {
			line = bytes.ReplaceAll(line, []byte{0}, nil)
		}
		if len(line) > 0 {
			if err := d.writeClean(line); err != nil {
				return err
			}
		}
		if i < 0 {
			return nil
		}
		if err := d.endLine(); err != nil {
			return err
		}
		if p[i] == '\r' && i+1 < len(p) && p[i+1] == '\n' {
			i++
		}
		p = p[i+1:]
	}
	return nil
}

func (d *dataWriter) endLine() error {
	d.mid = false
	_, err := d.w.Write(crlf)
	return err
}

// close ends the message: it completes the last line and sends the final dot.
// Nothing is flushed.
func (d *dataWriter) close() error {
	if d.mid || d.pending {
		d.pending = false
		if err := d.endLine(); err != nil {
			return err
		}
	}
	_, err := d.w.WriteString(".\r\n")
	return err
}
