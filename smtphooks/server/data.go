package server

import (
	"bytes"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// maxHeader bounds the header of a message, which is kept in memory.
const maxHeader = 1 << 20

// verdict tells why a message that was read to its end is refused.
type verdict int

const (
	accepted verdict = iota
	tooBig
	headerTooBig
	lineTooLong
	notStored
	looping       // too many Received fields
	bareLineEnd   // a CR or LF outside CRLF, in a chunk
	inconvertible // binary, and of a structure that cannot be read
)

// dataReader takes in one message: it undoes dot-stuffing (RFC 5321 §4.5.2) and
// parts header and body.
type dataReader struct {
	in      *input
	newBody func() repository.BodyWriter
	maxLine int
	maxSize int64 // 0: no limit
	raw     bool  // there is neither dot-stuffing nor a final line
	binary  bool  // the body is any octets

	header   []byte
	fields   int // length of header before the message began
	body     repository.BodyWriter
	inBody   bool
	size     int64 // octets received, with dots and line ends, without the final line
	verdict  verdict
	writeErr error
}

// run reads up to and including the final line. An error means that the
// connection cannot go on; errBareLineEnd that it must be told why.
func (d *dataReader) run() error {
	d.in.enlarge()
	d.fields = len(d.header)
	for {
		win := d.in.window()
		n, end, err := d.chunk(win)
		d.in.consume(n)
		if err != nil || end {
			return err
		}
		rest := d.in.w - d.in.r
		if rest > d.maxLine+1 {
			if err := d.drop(); err != nil {
				return err
			}
			continue
		}
		if err := d.in.fill(); err != nil {
			return err
		}
	}
}

// drop passes over a line that is too long; the message will be refused.
func (d *dataReader) drop() error {
	d.refuse(lineTooLong)
	if err := d.in.dropLine(); err != errLineTooLong {
		return err
	}
	return nil
}

// chunk handles the complete lines at the start of win and returns their
// length; end tells that the final line was among them.
func (d *dataReader) chunk(win []byte) (n int, end bool, err error) {
	start := 0 // of the run of octets that go on as they are
	for {
		lf := bytes.IndexByte(win[n:], '\n')
		if lf < 0 {
			d.size += int64(n)
			d.take(win[start:n])
			return n, false, nil
		}
		line := win[n : n+lf+1]
		if lf == 0 || bytes.IndexByte(line, '\r') != lf-1 {
			return n, false, errBareLineEnd
		}
		if line[0] == '.' && !d.raw {
			d.take(win[start:n])
			if len(line) == 3 {
				d.size += int64(n)
				d.checkSize()
				return n + 3, true, nil
			}
			start = n + 1
			line = line[1:]
		}
		if lf-1 > d.maxLine {
			d.refuse(lineTooLong)
		}
		n += lf + 1
		if !d.inBody {
			start = d.headerLine(win, line, start, n)
			if d.unchecked() {
				d.size += int64(n)
				d.take(win[start:n])
				return n, false, nil
			}
		}
	}
}

// unchecked reports whether what comes next need not be lines.
func (d *dataReader) unchecked() bool { return d.binary && d.inBody }

// headerLine looks whether the header goes on with line, which ends at n. It
// returns where the octets begin that are still to be taken.
func (d *dataReader) headerLine(win, line []byte, start, n int) int {
	begin := n - len(line)
	first := len(d.header) == d.fields && start == begin
	if container.IsHeaderLine(line, first) {
		return start
	}
	d.take(win[start:begin])
	d.inBody = true
	if len(line) == 2 {
		return n // the blank line between header and body
	}
	return begin
}

// take adds octets to the header or the body.
func (d *dataReader) take(b []byte) {
	if len(b) == 0 {
		return
	}
	if d.verdict != accepted {
		return
	}
	if !d.inBody {
		if len(d.header)+len(b) > maxHeader {
			d.refuse(headerTooBig)
			return
		}
		d.header = append(d.header, b...)
		return
	}
	if d.maxSize > 0 && d.size > d.maxSize {
		d.refuse(tooBig)
		return
	}
	if d.body == nil {
		d.body = d.newBody()
	}
	if _, err := d.body.Write(b); err != nil {
		d.writeErr = err
		d.refuse(notStored)
	}
}

func (d *dataReader) checkSize() {
	if d.maxSize > 0 && d.size > d.maxSize {
		d.refuse(tooBig)
	}
}

// refuse notes the first reason, and too big above all others, and gives back
// what was stored.
func (d *dataReader) refuse(v verdict) {
	if d.verdict == accepted || v == tooBig {
		d.verdict = v
	}
	d.abort()
	d.header = d.header[:min(len(d.header), d.fields)]
}

func (d *dataReader) abort() {
	if d.body != nil {
		d.body.Abort()
		d.body = nil
	}
}

// message returns what was read.
func (d *dataReader) message() (container.Message, error) {
	if d.body == nil {
		return container.NewMessage(d.header, nil), nil
	}
	body, err := d.body.Finish()
	if err != nil {
		return container.Message{}, err
	}
	d.body = nil
	return container.NewMessage(d.header, body), nil
}
