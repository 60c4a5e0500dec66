package server

import (
	"bytes"
	"errors"
	"sync"
)

// Sizes of the read buffer: of an idle connection and during DATA.
const (
	smallBuffer = 2 << 10
	largeBuffer = 32 << 10
)

// Errors of the framing.
var (
	errBareLineEnd = errors.New("CR or LF outside CRLF")
	errLineTooLong = errors.New("line too long")
)

var largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}

// input is the read side of a connection: a window of received octets.
type input struct {
	read   func([]byte) (int, error)
	buf    []byte
	r, w   int
	small  []byte
	pooled *[]byte
}

func newInput(read func([]byte) (int, error)) *input {
	b := make([]byte, smallBuffer)
	return &input{read: read, buf: b, small: b}
}

// window returns what was received and not consumed.
func (in *input) window() []byte { return in.buf[in.r:in.w] }

// consume drops n octets of the window.
func (in *input) consume(n int) { in.r += n }

// fill reads at least one octet more into the window, growing the buffer when it
// is full. Callers bound the size of the window.
func (in *input) fill() error {
	switch {
	case in.r == in.w:
		in.r, in.w = 0, 0
	case in.w < len(in.buf):
	case in.r > 0:
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	default:
		grown := make([]byte, 2*len(in.buf))
		in.w = copy(grown, in.buf)
		in.release()
		in.buf = grown
	}
	n, err := in.read(in.buf[in.w:])
	in.w += n
	if n > 0 {
		return nil
	}
	return err
}

// enlarge borrows the buffer for DATA.
func (in *input) enlarge() {
	if in.pooled != nil || len(in.buf) > smallBuffer {
		return
	}
	in.pooled = largeBuffers.Get().(*[]byte)
	in.w = copy(*in.pooled, in.window())
	in.r, in.buf = 0, *in.pooled
}

// shrink goes back to the small buffer as soon as the window fits.
func (in *input) shrink() {
	if len(in.buf) == smallBuffer || in.w-in.r > smallBuffer {
		return
	}
	in.w = copy(in.small, in.window())
	in.r, in.buf = 0, in.small
	in.release()
}

func (in *input) release() {
	if in.pooled != nil {
		largeBuffers.Put(in.pooled)
		in.pooled = nil
	}
}

// unread puts octets in front of the window.
func (in *input) unread(b []byte) {
	all := append(bytes.Clone(b), in.window()...)
	for size := len(in.buf); size < len(all); size *= 2 {
		in.buf = make([]byte, 2*size)
	}
	in.r, in.w = 0, copy(in.buf, all)
}

// line returns the next line without its CRLF; it is valid until the next call
// of a method. A line longer than limit is dropped and answered by
// errLineTooLong; a CR or LF by itself by errBareLineEnd, after which the input
// must not be used.
func (in *input) line(limit int) ([]byte, error) {
	scanned := 0
	for {
		win := in.window()
		if i := bytes.IndexByte(win[scanned:], '\n'); i >= 0 {
			end := scanned + i
			in.consume(end + 1)
			return checkLine(win[:end+1], limit)
		}
		if len(win) > limit+1 {
			return nil, in.dropLine()
		}
		scanned = len(win)
		in.shrink()
		if err := in.fill(); err != nil {
			return nil, err
		}
	}
}

// checkLine takes the CRLF off raw, which ends with LF.
func checkLine(raw []byte, limit int) ([]byte, error) {
	n := len(raw) - 2
	if n < 0 || bytes.IndexByte(raw, '\r') != n {
		return nil, errBareLineEnd
	}
	if n > limit {
		return nil, errLineTooLong
	}
	return raw[:n], nil
}

// dropLine reads the rest of a line that is too long.
func (in *input) dropLine() error {
	for {
		done, n, err := longLine(in.window())
		in.consume(n)
		if err != nil {
			return err
		}
		if done {
			return errLineTooLong
		}
		if err := in.fill(); err != nil {
			return err
		}
	}
}

// longLine looks at a part of a line that is dropped: n octets of it can be
// consumed, done tells that its CRLF was among them.
func longLine(win []byte) (done bool, n int, err error) {
	i := bytes.IndexByte(win, '\r')
	lf := bytes.IndexByte(win, '\n')
	switch {
	case i < 0 && lf < 0:
		return false, len(win), nil
	case i >= 0 && lf == i+1:
		return true, lf + 1, nil
	case i == len(win)-1 && lf < 0:
		return false, i, nil // the LF may follow
	}
	return false, 0, errBareLineEnd
}
