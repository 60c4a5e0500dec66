package mime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"

	"github.com/mailetd/mailetd/container"
)

// Entity is one node of the MIME structure of a message: the message itself, a
// multipart or a leaf (RFC 2045 §2.4). Offsets count the octets of the body of
// the message.
type Entity struct {
	Header    []byte        // its fields as they stand; those of the message for the root
	MediaType string        // lower case; the default of its place when absent or unreadable
	Type      Parameterized // Content-Type as it stands, for its parameters
	Parent    *Entity       // nil for the root
	Children  []*Entity     // of a multipart
	Start     int64         // of a part: where the boundary line in front of it begins
	Begin     int64         // where its header begins
	Content   int64         // where its content begins
	End       int64         // where its content ends, without the line end that the next boundary line owns
	Next      int64         // where the next boundary line begins, or the body ends
	boundary  string        // of a multipart
	glued     bool          // the next boundary line follows without a line end of its own
	cut       bool          // the message ends within the boundary line in front
	closing   int64         // of a multipart: where its last boundary line begins, -1 without one
}

// IsMultipart reports whether the entity is a multipart, even one without parts.
func (e *Entity) IsMultipart() bool { return strings.HasPrefix(e.MediaType, "multipart/") }

// Sealed reports whether the entity is below a multipart whose parts must not
// change, because they are signed or encrypted (RFC 1847), or is one itself.
func (e *Entity) Sealed() bool {
	for ; e != nil; e = e.Parent {
		if e.MediaType == "multipart/signed" || e.MediaType == "multipart/encrypted" {
			return true
		}
	}
	return false
}

// All yields the entity and everything below it, in the order of the message.
func (e *Entity) All() iter.Seq[*Entity] {
	return func(yield func(*Entity) bool) { e.walk(yield) }
}

func (e *Entity) walk(yield func(*Entity) bool) bool {
	if !yield(e) {
		return false
	}
	for _, c := range e.Children {
		if !c.walk(yield) {
			return false
		}
	}
	return true
}

// Leaves yields the entities below and including e that are no multiparts.
func (e *Entity) Leaves() iter.Seq[*Entity] {
	return func(yield func(*Entity) bool) {
		e.walk(func(c *Entity) bool { return c.IsMultipart() || yield(c) })
	}
}

// Scan reads the MIME structure of a message in one pass. It keeps the headers
// of the parts and nothing of their content, so the memory it takes does not
// grow with the message.
//
// It forgives what JavaMail forgives, so that a message that James can take
// apart is taken apart here: a multipart whose end is missing ends with what is
// around it, one that does not say its boundary has that of the first line that
// looks like one, garbage in the header of a part and parameters that do not
// follow the grammar are passed over. An attached message is a leaf.
//
// It returns ErrTooComplex for a message beyond the limits, of which nothing is
// passed over in silence.
func Scan(m *container.Message, lim Limits) (*Entity, error) {
	root := newRoot(m)
	if !root.IsMultipart() {
		return root, nil
	}
	if err := scan(m, root, lim, nil); err != nil {
		return nil, err
	}
	return root, nil
}

func newRoot(m *container.Message) *Entity {
	root := newEntity(m.Header(), nil)
	root.End = m.Body().Size()
	root.Next = root.End
	return root
}

// scan reads what is below root; visit may be nil.
func scan(m *container.Message, root *Entity, lim Limits, visit func(*Entity) error) error {
	if lim.Bytes > 0 && root.End > lim.Bytes {
		return fmt.Errorf("body has %d octets: %w", root.End, ErrTooComplex)
	}
	r, err := m.Body().Open()
	if err != nil {
		return fmt.Errorf("open message: %w", err)
	}
	defer r.Close()
	buf := lineBuffers.Get().(*[lineBuffer]byte)
	defer lineBuffers.Put(buf)
	s := scanner{lines: lines{r: r, buf: buf[:]}, lim: lim.withDefaults(), visit: visit}
	if err := s.push(root); err != nil {
		return err
	}
	return s.run()
}

func (l Limits) withDefaults() Limits {
	if l.Depth == 0 {
		l.Depth = 20
	}
	if l.Parts == 0 {
		l.Parts = 1000
	}
	return l
}

func newEntity(header []byte, parent *Entity) *Entity {
	e := &Entity{Header: header, Parent: parent, MediaType: "text/plain", closing: -1}
	if parent != nil && parent.MediaType == "multipart/digest" {
		e.MediaType = "message/rfc822" // RFC 2046 §5.1.5
	}
	if v, ok := Get(header, "Content-Type"); ok {
		e.Type = ParseParameterized(v)
		if strings.Contains(e.Type.Main, "/") {
			e.MediaType = e.Type.Main
		}
	}
	return e
}

// boundaryOf returns the boundary parameter without blanks at its end, which a
// boundary line may have lost.
func boundaryOf(e *Entity) string {
	b, _ := e.Type.Param("boundary")
	return strings.TrimRight(b, " \t")
}

// maxPartHeaders bounds the headers of all parts of a message together.
const maxPartHeaders = 4 << 20

// scanner finds the parts of a message by their boundary lines.
type scanner struct {
	lines
	lim     Limits
	visit   func(*Entity) error // nil: the tree is all that is wanted
	open    []level             // from the message inwards; the last may be a leaf
	parts   int                 // the message among them
	headers int                 // octets
}

// level is an entity whose end was not seen. delimiter is nil for a leaf, and
// for a multipart after its last boundary line or that is skipped. unknown is
// set for a multipart that does not say its boundary: the first line that looks
// like one is.
type level struct {
	entity    *Entity
	delimiter []byte
	unknown   bool
	skipped   bool
}

func (s *scanner) push(e *Entity) error {
	if s.parts++; s.parts > s.lim.Parts || len(s.open) > s.lim.Depth {
		return ErrTooComplex
	}
	l := level{entity: e}
	if e.IsMultipart() {
		e.boundary = boundaryOf(e)
		l.delimiter = []byte("--" + e.boundary)
		l.unknown = e.boundary == ""
		if l.unknown && s.lim.strict {
			return ErrNoBoundary
		}
		if err := s.enter(&l); err != nil {
			return err
		}
	}
	s.open = append(s.open, l)
	return nil
}

func (s *scanner) run() error {
	for {
		found, err := s.skipToDash()
		if err != nil {
			return err
		}
		if !found {
			return s.close(0, s.offset(), s.offset(), false)
		}
		line, whole, err := s.peek()
		if err != nil {
			return err
		}
		i, last := s.match(line)
		if i < 0 || !whole || s.lim.strict && !s.isLine(line) {
			s.advance(len(line), whole)
			continue
		}
		if err := s.delimiter(i, last, len(line)); err != nil {
			return err
		}
	}
}

// match returns the level that a boundary line belongs to, -1 for none, and
// whether it is its last. An outer multipart goes first: its parts cannot
// contain its boundary.
func (s *scanner) match(line []byte) (i int, last bool) {
	for i := range s.open {
		l := &s.open[i]
		if l.delimiter == nil || !bytes.HasPrefix(line, l.delimiter) {
			continue
		}
		if l.unknown {
			if l.learn(line) {
				return i, false
			}
			continue
		}
		rest := bytes.TrimRight(line[len(l.delimiter):], " \t\r\n")
		if len(rest) == 0 {
			return i, false
		}
		if string(rest) == "--" {
			return i, true
		}
	}
	return -1, false
}

// isLine reports whether line, which is next, has CRLF at both ends or is at the
// end of the body: content in the transfer encoding binary has other line ends,
// too, which are none (RFC 2046 §5.1.1).
func (s *scanner) isLine(line []byte) bool {
	text, _ := bytes.CutSuffix(line, []byte("\r\n"))
	return !bytes.ContainsAny(text, "\r\n") && (s.lineEndBefore() == 2 || s.offset() == 0)
}

// learn takes the boundary from the first line that may be one.
func (l *level) learn(line []byte) bool {
	line = bytes.TrimRight(line, " \t\r\n")
	if len(bytes.Trim(line, "-")) == 0 {
		return false
	}
	l.unknown = false
	l.delimiter = bytes.Clone(line)
	l.entity.boundary = string(line[len("--"):])
	return true
}

// delimiter takes in the boundary line of n octets that is next in the input.
func (s *scanner) delimiter(i int, last bool, n int) error {
	start := s.offset()
	if err := s.close(i+1, start-int64(s.lineEndBefore()), start, true); err != nil {
		return err
	}
	cut := s.buf[s.pos+n-1] != '\n'
	s.advance(n, true)
	parent := s.open[i].entity
	if last {
		s.open[i].delimiter = nil
		parent.closing = start
		return nil
	}
	begin := s.offset()
	header, err := s.header()
	if err != nil {
		return err
	}
	e := newEntity(header, parent)
	e.Start, e.Begin, e.Content, e.cut = start, begin, s.offset(), cut
	parent.Children = append(parent.Children, e)
	return s.push(e)
}

// close ends the levels from the i-th on. The last of them may have no content
// at all; then the line end before the boundary line is that of its header.
func (s *scanner) close(i int, end, next int64, more bool) error {
	for j := len(s.open) - 1; j >= i; j-- {
		e := s.open[j].entity
		e.End, e.Next = max(end, e.Content), next
		if n := len(e.Children); n > 0 {
			e.End = max(e.End, e.Children[n-1].End)
		}
		e.glued = more && e.End == next
		if err := s.leave(&s.open[j]); err != nil {
			return err
		}
	}
	s.open = s.open[:i]
	return nil
}

// header reads the header of a part and the blank line behind it. What is no
// field there stays in it: other readers see the fields behind it too.
func (s *scanner) header() ([]byte, error) {
	var h []byte
	inLine := false
	for {
		line, whole, err := s.peek()
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			return h, nil
		}
		if !inLine {
			if len(bytes.TrimRight(line, "\r\n")) == 0 {
				s.advance(len(line), true)
				return h, nil
			}
			if i, _ := s.match(line); i >= 0 {
				return h, nil
			}
		}
		if s.headers += len(line); s.headers > maxPartHeaders {
			return nil, ErrTooComplex
		}
		h = append(h, line...)
		s.advance(len(line), whole)
		if inLine = !whole; whole && line[len(line)-1] != '\n' {
			h = append(h, "\r\n"...) // the message ends here
		}
	}
}

const (
	lineBuffer = 32 << 10
	history    = 2 // octets kept in front of what is next, for its line end
)

var lineBuffers = sync.Pool{New: func() any { return new([lineBuffer]byte) }}

// lines reads a body by lines, and skips what is of no interest in bulk.
type lines struct {
	r        io.Reader
	buf      []byte
	pos, end int   // what is next: buf[pos:end]
	base     int64 // offset of buf[0] in the body
	inLine   bool  // what is next continues a line
	eof      bool
}

func (l *lines) offset() int64 { return l.base + int64(l.pos) }

// fill reads more behind what is next; more is false at the end of the body.
func (l *lines) fill() (more bool, err error) {
	if l.eof {
		return false, nil
	}
	if drop := l.pos - history; drop > 0 {
		copy(l.buf, l.buf[drop:l.end])
		l.pos, l.end = l.pos-drop, l.end-drop
		l.base += int64(drop)
	}
	for range 100 {
		n, err := l.r.Read(l.buf[l.end:])
		l.end += n
		if errors.Is(err, io.EOF) {
			l.eof = true
			return n > 0, nil
		}
		if err != nil {
			return false, fmt.Errorf("read message: %w", err)
		}
		if n > 0 {
			return true, nil
		}
	}
	return false, fmt.Errorf("read message: %w", io.ErrNoProgress)
}

// peek returns the line that is next with its line end, none at the end of the
// body. One that does not fit the buffer is returned in pieces: whole is false
// for all but the last.
func (l *lines) peek() (line []byte, whole bool, err error) {
	for seen := 0; ; {
		next := l.buf[l.pos:l.end]
		if i := bytes.IndexByte(next[seen:], '\n'); i >= 0 {
			return next[:seen+i+1], true, nil
		}
		if len(next) >= len(l.buf)-history {
			return next, false, nil
		}
		seen = len(next)
		more, err := l.fill()
		if err != nil {
			return nil, false, err
		}
		if !more {
			return l.buf[l.pos:l.end], true, nil
		}
	}
}

// advance takes n octets, whose last one ends a line if whole.
func (l *lines) advance(n int, whole bool) {
	l.pos += n
	l.inLine = !whole
}

var nlDashes = []byte("\n--")

// skipToDash goes to the next line that begins with two dashes.
func (l *lines) skipToDash() (found bool, err error) {
	for {
		next := l.buf[l.pos:l.end]
		if !l.inLine && len(next) >= 2 && next[0] == '-' && next[1] == '-' {
			return true, nil
		}
		if i := bytes.Index(next, nlDashes); i >= 0 {
			l.advance(i+1, true)
			return true, nil
		}
		// The last two octets may be the beginning of what is looked for.
		if keep := 2; len(next) > keep {
			l.advance(len(next)-keep, false)
		}
		if l.inLine && l.end-l.pos == 2 && l.pos > 0 && l.buf[l.pos-1] == '\n' {
			l.inLine = false
		}
		more, err := l.fill()
		if err != nil {
			return false, err
		}
		if !more {
			l.advance(l.end-l.pos, true)
			return false, nil
		}
	}
}

// lineEndBefore returns the length of the line end in front of what is next.
func (l *lines) lineEndBefore() int {
	switch {
	case l.pos >= 2 && l.buf[l.pos-1] == '\n' && l.buf[l.pos-2] == '\r':
		return 2
	case l.pos >= 1 && l.buf[l.pos-1] == '\n':
		return 1
	default:
		return 0
	}
}
