package mime

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

// write makes the new body as it was planned, in one pass over the old.
func (c *binaryPlan) write(w io.Writer) error {
	body, err := c.body.Open()
	if err != nil {
		return fmt.Errorf("open message: %w", err)
	}
	defer body.Close()
	buffered := bufio.NewWriterSize(w, 32<<10)
	out := &lineWriter{w: buffered, maxLine: c.maxLine}
	pos := int64(0)
	for _, e := range c.edits {
		if err := out.copy(body, e.from-pos); err != nil {
			return err
		}
		if err := out.edit(body, e); err != nil {
			return err
		}
		pos = e.to
	}
	if err := out.copy(body, c.body.Size()-pos); err != nil {
		return err
	}
	if err := out.end(); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write converted message: %w", err)
	}
	return nil
}

// edit puts something else in the place of what is next in body.
func (l *lineWriter) edit(body io.Reader, e binaryEdit) error {
	if err := l.whole(); err != nil {
		return err
	}
	n := e.to - e.from
	old := &io.LimitedReader{R: body, N: n}
	if e.encode == nil {
		if _, err := io.Copy(io.Discard, old); err != nil {
			return fmt.Errorf("read message: %w", err)
		}
		return l.lines(e.data)
	}
	if err := e.encode(l, old); err != nil {
		return err
	}
	if old.N > 0 {
		return fmt.Errorf("read message: %w", io.ErrUnexpectedEOF)
	}
	return nil
}

// lineWriter writes lines, and refuses what is none.
type lineWriter struct {
	w       io.Writer
	maxLine int
	column  int  // octets of the line so far
	cr      bool // the last of them was a CR
	quoted  bool // the line so far is quoted-printable
}

// copy writes the next n octets of r.
func (l *lineWriter) copy(r io.Reader, n int64) error {
	if n == 0 {
		return nil
	}
	buf := lineBuffers.Get().(*[lineBuffer]byte)
	defer lineBuffers.Put(buf)
	for n > 0 {
		b := buf[:min(n, lineBuffer)]
		if _, err := io.ReadFull(r, b); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read message: %w", err)
		}
		if err := l.lines(b); err != nil {
			return err
		}
		n -= int64(len(b))
	}
	return nil
}

// lines writes octets that must be lines, or pieces of lines.
func (l *lineWriter) lines(b []byte) error {
	for rest := b; len(rest) > 0; {
		if l.cr {
			if rest[0] != '\n' {
				return ErrLineEnd
			}
			l.cr, l.column, rest = false, 0, rest[1:]
			continue
		}
		line := rest
		n := bytes.IndexByte(rest, '\n')
		if n >= 0 {
			line = rest[:n]
		}
		text, cr := bytes.CutSuffix(line, []byte("\r"))
		if n >= 0 && !cr || bytes.IndexByte(text, '\r') >= 0 {
			return ErrLineEnd
		}
		if l.column += len(text); l.column > l.maxLine {
			return ErrLineTooLong
		}
		l.cr, rest = cr, rest[len(line):]
	}
	l.quoted = l.quoted && len(b) == 0
	return l.write(b)
}

func (l *lineWriter) write(b []byte) error {
	if _, err := l.w.Write(b); err != nil {
		return fmt.Errorf("write converted message: %w", err)
	}
	return nil
}

// whole refuses a CR whose LF does not come.
func (l *lineWriter) whole() error {
	if l.cr {
		return ErrLineEnd
	}
	return nil
}

// end completes the last line. For quoted-printable this must be a soft line
// break: the content has none there (RFC 2045 §6.7).
func (l *lineWriter) end() error {
	switch err := l.whole(); {
	case err != nil:
		return err
	case l.column == 0:
		return nil
	case l.quoted:
		return l.write([]byte("=\r\n"))
	}
	return l.write([]byte("\r\n"))
}

// encodeBase64 writes the content of r in lines of 76 characters. The last has no
// line end: that belongs to what follows.
func encodeBase64(l *lineWriter, r io.Reader) error {
	const perLine, width = 57, 76
	in := make([]byte, perLine*256)
	out := make([]byte, 0, (width+2)*256)
	for {
		n, err := io.ReadFull(r, in)
		out = out[:0]
		for rest := in[:n]; len(rest) > 0; rest = rest[min(perLine, len(rest)):] {
			if l.column == width {
				out = append(out, "\r\n"...)
			}
			line := rest[:min(perLine, len(rest))]
			out = base64.StdEncoding.AppendEncode(out, line)
			l.column = base64.StdEncoding.EncodedLen(len(line))
		}
		if n > 0 {
			l.quoted = false
		}
		if err := l.write(out); err != nil {
			return err
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("read message: %w", err)
		}
	}
}

// encodeQuotedPrintable writes the content of r. Unlike EncodeQuotedPrintable it
// keeps every octet: only CRLF is a line end, which it stays. No line begins with
// a dash, and so none is a boundary line that was none before.
func encodeQuotedPrintable(l *lineWriter, r io.Reader) error {
	in := bufio.NewReader(r)
	out := make([]byte, 0, 4<<10)
	for {
		b, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			return l.write(out)
		}
		if err != nil {
			return fmt.Errorf("read message: %w", err)
		}
		next, _ := in.Peek(2) // its error comes again
		out = l.quote(out, b, next)
		if b == '\r' && len(next) > 0 && next[0] == '\n' {
			_, _ = in.Discard(1) // it is there
		}
		if len(out) > cap(out)-8 {
			if err := l.write(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
}

// quote appends b, before next, in quoted-printable.
func (l *lineWriter) quote(out []byte, b byte, next []byte) []byte {
	const width, hex = 76, "0123456789ABCDEF"
	l.quoted = true
	if b == '\r' && len(next) > 0 && next[0] == '\n' {
		l.column = 0
		return append(out, "\r\n"...)
	}
	if l.column+len("=XX") >= width {
		out = append(out, "=\r\n"...)
		l.column = 0
	}
	literal := b > ' ' && b < 0x7f && b != '=' && (b != '-' || l.column > 0)
	if b == ' ' || b == '\t' {
		literal = len(next) > 0 && string(next) != "\r\n"
	}
	if literal {
		l.column++
		return append(out, b)
	}
	l.column += len("=XX")
	return append(out, '=', hex[b>>4], hex[b&15])
}
