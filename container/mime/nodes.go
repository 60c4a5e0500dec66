package mime

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-message"

	"github.com/mailetd/mailetd/container"
)

// ErrNoParts is wrapped by the error for a multipart without any part: its first
// boundary is missing.
var ErrNoParts = errors.New("multipart has no starting boundary")

// ErrSkip is returned by the visitor of WalkNodes to pass over the parts of a
// multipart.
var ErrSkip = errors.New("skip the parts")

// Node is one node of the structure of a message: the message itself, a
// multipart or a leaf.
type Node struct {
	Path        []int         // position in each enclosing multipart, counted from 0; empty for the message itself
	Header      []byte        // fields with their line ends, for Get and the like
	ContentType Parameterized // text/plain when the field is absent (RFC 2045 §5.2)
	Multipart   bool
	raw         io.Reader
}

// Decode returns a reader over the body of a leaf with the transfer encoding
// undone. It can be used until the visitor returns. An unknown encoding is an
// error, here or from Read.
func (e *Node) Decode() (io.Reader, error) {
	var h message.Header
	enc, _ := Get(e.Header, "Content-Transfer-Encoding")
	enc, _, _ = strings.Cut(enc, "(")
	h.Set("Content-Transfer-Encoding", strings.TrimSpace(enc))
	h.Set("Content-Type", "application/octet-stream") // keeps the charset as it is
	d, err := message.New(h, e.raw)
	if err != nil {
		return nil, fmt.Errorf("decode part %v: %w", e.Path, err)
	}
	return d.Body, nil
}

// maxPartHeader bounds the header of a part, which is kept in memory.
const maxPartHeader = 256 << 10

// WalkNodes reads the structure of a message in one pass and calls visit for
// the message, each multipart and each leaf, in order. It stops without error
// when visit returns ErrStop. An attached message/rfc822 is a leaf.
//
// Unlike Walk, which goes by emersion/go-message, it follows JavaMail in what it
// forgives, so that a message that James can take apart is taken apart here: a
// missing final boundary, a missing boundary parameter, garbage in the header of
// a part, parameters that do not follow the grammar. A multipart without any
// part is an error (ErrNoParts), and so is a message beyond its limits
// (ErrTooComplex), of which nothing is passed over in silence. Parts counts
// multiparts too.
func WalkNodes(m *container.Message, lim Limits, visit func(*Node) error) error {
	if lim.Depth == 0 {
		lim.Depth = 20
	}
	if lim.Parts == 0 {
		lim.Parts = 1000
	}
	if size := m.Body().Size(); lim.Bytes > 0 && size > lim.Bytes {
		return fmt.Errorf("body has %d octets: %w", size, ErrTooComplex)
	}
	r, err := m.Body().Open()
	if err != nil {
		return fmt.Errorf("open message: %w", err)
	}
	defer r.Close()
	w := nodeWalker{lim: lim, visit: visit, lines: lineReader{r: bufio.NewReaderSize(r, 32<<10), start: true}}
	if _, err := w.node(m.Header(), nil); !errors.Is(err, ErrStop) {
		return err
	}
	return nil
}

// boundary is where a part ended: a boundary line of the multipart at a level,
// or the end of the message (level -1).
type boundary struct {
	level int
	final bool
}

var atEnd = boundary{level: -1}

type nodeWalker struct {
	lim   Limits
	visit func(*Node) error
	nodes int
	open  []string // boundaries with their dashes, the outermost first
	lines lineReader
}

// node reads one node behind its header, up to a boundary line of one of the
// multiparts around it, which it returns.
func (w *nodeWalker) node(header []byte, path []int) (boundary, error) {
	if w.nodes++; w.nodes > w.lim.Parts || len(path) > w.lim.Depth {
		return atEnd, ErrTooComplex
	}
	e := &Node{Path: path, Header: header}
	v, ok := Get(header, "Content-Type")
	if !ok {
		v = "text/plain"
	}
	e.ContentType = ParseParameterized(v)
	e.Multipart = strings.HasPrefix(e.ContentType.Main, "multipart/")
	leaf := &leafReader{w: w}
	e.raw = leaf
	err := w.visit(e)
	switch {
	case e.Multipart && err == nil:
		return w.parts(e)
	case err != nil && !errors.Is(err, ErrSkip):
		return atEnd, err
	}
	return leaf.drain()
}

// parts reads a multipart: what stands before the first boundary, the parts, and
// what stands behind the last boundary.
func (w *nodeWalker) parts(e *Node) (boundary, error) {
	name, _ := e.ContentType.Param("boundary")
	level := len(w.open)
	w.open = append(w.open, "--"+name)
	if name == "" {
		w.open[level] = "" // the first line that looks like one
	}
	end, err := (&leafReader{w: w}).drain()
	n := 0
	for ; err == nil && end.level == level && !end.final; n++ {
		var header []byte
		header, end, err = w.header()
		if err == nil {
			end, err = w.part(header, append(e.Path[:len(e.Path):len(e.Path)], n), end)
		}
	}
	w.open = w.open[:level]
	if err != nil {
		return atEnd, err
	}
	if n == 0 {
		return atEnd, fmt.Errorf("read part %v: %w", e.Path, ErrNoParts)
	}
	if end.level == level {
		return (&leafReader{w: w}).drain()
	}
	return end, nil
}

// noBoundary: the header ended with a blank line, not with a boundary.
var noBoundary = boundary{level: -2}

// part reads the part behind header. When the header ended with a boundary or
// the message, the part has no body.
func (w *nodeWalker) part(header []byte, path []int, end boundary) (boundary, error) {
	if end == noBoundary {
		return w.node(header, path)
	}
	saved, open := w.lines, w.open
	w.lines, w.open = lineReader{r: bufio.NewReader(strings.NewReader("")), start: true}, nil
	_, err := w.node(header, path)
	w.lines, w.open = saved, open
	return end, err
}

// header reads the header of a part, up to the blank line.
func (w *nodeWalker) header() ([]byte, boundary, error) {
	var out []byte
	for {
		line, start, err := w.lines.next()
		if err == io.EOF {
			return out, atEnd, nil
		}
		if err != nil {
			return nil, atEnd, err
		}
		if start {
			if b, ok := w.match(line); ok {
				return out, b, nil
			}
			if len(bytes.TrimRight(line, "\r\n")) == 0 {
				return out, noBoundary, nil
			}
		}
		if len(out)+len(line) > maxPartHeader {
			return nil, atEnd, fmt.Errorf("header of a part is longer than %d octets: %w", maxPartHeader, ErrTooComplex)
		}
		out = append(out, line...)
	}
}

// match reports whether line is a boundary line of an open multipart. The
// outermost decides, as it does when multiparts are read one after another.
func (w *nodeWalker) match(line []byte) (boundary, bool) {
	if !bytes.HasPrefix(line, []byte("--")) {
		return boundary{}, false
	}
	line = bytes.TrimRight(line, " \t\r\n")
	for level, b := range w.open {
		switch {
		case b == "" && len(bytes.Trim(line, "-")) > 0:
			w.open[level] = string(line)
			return boundary{level: level}, true
		case b == "" || !bytes.HasPrefix(line, []byte(b)):
		case len(line) == len(b):
			return boundary{level: level}, true
		case string(line[len(b):]) == "--":
			return boundary{level: level, final: true}, true
		}
	}
	return boundary{}, false
}

// lineReader reads lines, long ones in pieces.
type lineReader struct {
	r     *bufio.Reader
	start bool // the next piece begins a line
}

// next returns a piece of a line, with the line end if it is the last piece, and
// whether it is the first piece. The piece is overwritten by the next call.
func (l *lineReader) next() (piece []byte, start bool, err error) {
	piece, err = l.r.ReadSlice('\n')
	start, l.start = l.start, err == nil
	if len(piece) > 0 && (err == io.EOF || errors.Is(err, bufio.ErrBufferFull)) {
		err = nil
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("read message: %w", err)
	}
	return piece, start, err
}

// leafReader reads the body of a leaf. The line end before a boundary belongs to
// the boundary (RFC 2046 §5.1.1).
type leafReader struct {
	w       *nodeWalker
	piece   []byte // still to be handed out
	buf     []byte // where pieces are put together
	lineEnd string // of the last line; handed out before another piece
	end     boundary
	done    bool
	err     error
}

// Read reads the body as it is in the message.
func (l *leafReader) Read(p []byte) (int, error) {
	for len(l.piece) == 0 && !l.done {
		l.advance(true)
	}
	if len(l.piece) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		return 0, io.EOF
	}
	n := copy(p, l.piece)
	l.piece = l.piece[n:]
	return n, nil
}

// advance reads the next piece; the line end that was held back goes before it.
func (l *leafReader) advance(keep bool) {
	piece, start, err := l.w.lines.next()
	if err != nil {
		l.done, l.end = true, atEnd
		l.piece, l.lineEnd = []byte(l.lineEnd), ""
		if err != io.EOF {
			l.err = err
		}
		return
	}
	if start {
		if b, ok := l.w.match(piece); ok {
			l.done, l.end = true, b
			return
		}
	}
	if !keep {
		return
	}
	content := bytes.TrimSuffix(bytes.TrimSuffix(piece, []byte("\n")), []byte("\r"))
	l.buf = append(append(l.buf[:0], l.lineEnd...), content...)
	l.piece = l.buf
	switch string(piece[len(content):]) {
	case "\r\n":
		l.lineEnd = "\r\n"
	case "\n":
		l.lineEnd = "\n"
	case "\r":
		l.lineEnd = "\r"
	default:
		l.lineEnd = ""
	}
}

// drain passes over the rest of the body and returns the boundary behind it.
func (l *leafReader) drain() (boundary, error) {
	for !l.done {
		l.advance(false)
	}
	return l.end, l.err
}
