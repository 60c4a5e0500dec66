package container

import (
	"bytes"
	"io"
	"io/fs"
	"sync"
)

// Body is the content of a message after the blank line that ends the header.
// It does not change and may be read by several goroutines at once. A body may
// be large and live on disk: read it through Open, never keep it whole.
type Body interface {
	Size() int64
	Open() (io.ReadCloser, error)
}

// Message is the RFC 5322 content of a mail: a header, kept in memory as it was
// received, over a body. It is a value: a copy shares the body, and an edit of
// one copy's header does not show in the other.
type Message struct {
	header []byte
	body   Body
	stored any
}

// NewMessage returns a message. Each line of header ends with CRLF; the blank
// line after it is not part of it. The caller gives header away. A nil body is
// an empty one.
func NewMessage(header []byte, body Body) Message {
	if body == nil {
		body = BytesBody(nil)
	}
	return Message{header: header, body: body}
}

// ParseMessage splits a whole message into header and body; line ends must be
// CRLF. The header ends at the first empty line, or before the first line that
// can be no header field (RFC 5322 §2.2).
func ParseMessage(data []byte) Message {
	n := HeaderLength(data)
	body := data[n:]
	if bytes.HasPrefix(body, []byte("\r\n")) {
		body = body[2:]
	}
	return NewMessage(bytes.Clone(data[:n]), BytesBody(bytes.Clone(body)))
}

// HeaderLength returns the length of the header fields at the start of data,
// without the blank line.
func HeaderLength(data []byte) int {
	n := 0
	for n < len(data) {
		end := bytes.IndexByte(data[n:], '\n')
		if end < 0 {
			break
		}
		line := data[n : n+end+1]
		if !IsHeaderLine(line, n == 0) {
			break
		}
		n += len(line)
	}
	return n
}

// IsHeaderLine reports whether line, with its line end, can stand in a header:
// a field name and a colon, or the continuation of a field that came before.
func IsHeaderLine(line []byte, first bool) bool {
	if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
		return !first && len(bytes.TrimSpace(line)) > 0
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return false
	}
	for _, c := range bytes.TrimRight(line[:colon], " \t") {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// Header returns the header fields, each line ending with CRLF. The caller must
// not change it; see SetHeader.
func (m *Message) Header() []byte { return m.header }

// SetHeader replaces the header fields; the body stays. The caller gives header
// away. See package container/mime for edits.
func (m *Message) SetHeader(header []byte) {
	m.header = header
	m.stored = nil
}

// Body returns the body.
func (m *Message) Body() Body {
	if m.body == nil {
		return BytesBody(nil)
	}
	return m.body
}

// Size returns the number of octets of the whole message.
func (m *Message) Size() int64 { return int64(len(m.header)) + 2 + m.Body().Size() }

// Open returns the whole message: header, blank line, body.
func (m *Message) Open() (io.ReadCloser, error) {
	b, err := m.Body().Open()
	if err != nil {
		return nil, err
	}
	r := io.MultiReader(bytes.NewReader(m.header), bytes.NewReader([]byte("\r\n")), b)
	return struct {
		io.Reader
		io.Closer
	}{r, b}, nil
}

// OpenShared is Open with a reader that several goroutines may use at once, and
// close more than once, as net/http does with the body of a request. Reading
// after closing is fs.ErrClosed.
func (m *Message) OpenShared() (io.ReadCloser, error) {
	r, err := m.Open()
	if err != nil {
		return nil, err
	}
	return &sharedReader{r: r}, nil
}

type sharedReader struct {
	mu sync.Mutex
	r  io.ReadCloser // nil once closed
}

func (s *sharedReader) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.r == nil {
		return 0, fs.ErrClosed
	}
	return s.r.Read(p)
}

func (s *sharedReader) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.r == nil {
		return nil
	}
	err := s.r.Close()
	s.r = nil
	return err
}

// WriteTo writes the whole message to w.
func (m *Message) WriteTo(w io.Writer) (int64, error) {
	r, err := m.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return io.Copy(w, r)
}

// Stored returns what a store noted with MarkStored about this very content,
// nil after an edit. It lets a store share one copy among mails.
func (m *Message) Stored() any { return m.stored }

// MarkStored is for stores: see Stored.
func (m *Message) MarkStored(ref any) { m.stored = ref }

// BytesBody is a body in memory.
type BytesBody []byte

// Size returns the number of octets.
func (b BytesBody) Size() int64 { return int64(len(b)) }

// Open returns a reader over the bytes. It also implements io.WriterTo.
func (b BytesBody) Open() (io.ReadCloser, error) {
	return bytesReader{bytes.NewReader(b)}, nil
}

type bytesReader struct{ *bytes.Reader }

func (bytesReader) Close() error { return nil }
