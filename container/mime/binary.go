package mime

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// ErrNoBoundary is returned by ConvertBinary for a multipart that does not say
// its boundary.
var ErrNoBoundary = errors.New("multipart without boundary parameter")

// ErrSigned is returned by ConvertBinary for signed content that is binary.
var ErrSigned = errors.New("signed content is binary, and must not be converted")

// ErrLineEnd is returned by ConvertBinary for a CR or LF outside CRLF where
// content is not binary.
var ErrLineEnd = errors.New("CR or LF outside CRLF in content that is not binary")

// ErrLineTooLong is returned by ConvertBinary for a line that is too long where
// content is not binary.
var ErrLineTooLong = errors.New("line too long in content that is not binary")

// maxBinaryDepth is how deep attached messages are converted. Each is read once
// more for every message around it.
const maxBinaryDepth = 10

// ConvertBinary makes of a message with binary content (RFC 3030 §3), which has
// any octets, one of lines: each leaf with the transfer encoding binary gets
// base64, or quoted-printable if it is text, and multiparts and attached messages
// that are labelled binary get 7bit or 8bit. Attached messages are converted
// inside, as they must not be encoded (RFC 2046 §5.2.1). All other octets stay,
// but for a CRLF added at the end if there is none. The leaves decode to the
// octets they had.
//
// It returns the new header and writes the new body to w, never more than some
// buffers of it in memory; the body of m is read at least twice. The body written is
// up to three times as large as the old one. After an error what was written
// is worth nothing.
//
// Parts end where a boundary line stands between two CRLFs, whatever their
// content was meant to be. Where content is not labelled binary, headers
// included, it must consist of lines that end with CRLF (ErrLineEnd) and have at
// most maxLine octets before it (ErrLineTooLong). Beyond the limits of Scan, and
// 10 attached messages one in the other, it is ErrTooComplex. Conversion breaks
// what DKIM signed; the parts that multipart/signed says are signed (RFC 1847
// §2.1) are not converted: if they would have to be, that is ErrSigned.
func ConvertBinary(m *container.Message, w io.Writer, maxLine int) (header []byte, err error) {
	c := binaryPlan{body: m.Body(), maxLine: maxLine, header: m.Header(), parts: Limits{}.withDefaults().Parts}
	if _, err := c.message(m.Header(), span{to: m.Body().Size()}, place{span: span{from: -1}}, 0, false); err != nil {
		return nil, err
	}
	slices.SortStableFunc(c.edits, func(a, b binaryEdit) int { return cmp.Compare(a.from, b.from) })
	if err := c.write(w); err != nil {
		return nil, err
	}
	return c.header, nil
}

// binaryPlan is what is to be done about a message. Offsets are those of its body.
type binaryPlan struct {
	body    container.Body
	maxLine int
	header  []byte
	parts   int // that it may still have
	headers int // octets of all headers
	edits   []binaryEdit
}

type span struct{ from, to int64 }

// place is where a header is.
type place struct {
	span
	open bool // no blank line is between it and content
}

// binaryEdit puts data in the place of a span, or the encoding of what is there.
type binaryEdit struct {
	span
	data   []byte
	encode func(*lineWriter, io.Reader) error
}

// message plans for the message, or attached message, that has this body. at is
// where its header is; from is -1 for the message itself.
func (c *binaryPlan) message(header []byte, body span, at place, depth int, signed bool) (eightBit bool, err error) {
	section, err := Section(c.body, body.from, body.to)
	if err != nil {
		return false, err
	}
	m := container.NewMessage(header, section)
	root := newRoot(&m)
	if root.IsMultipart() {
		if err := scan(&m, root, Limits{Parts: c.parts, strict: true}, nil); err != nil {
			return false, err
		}
	}
	for range root.All() {
		c.parts--
	}
	if c.parts < 0 {
		return false, ErrTooComplex
	}
	return c.entity(root, body.from, at, depth, signed)
}

// entity plans for an entity whose offsets count from base. It reports whether
// it will have 8-bit content or header.
func (c *binaryPlan) entity(e *Entity, base int64, at place, depth int, signed bool) (eightBit bool, err error) {
	if err := c.checkHeader(e.Header); err != nil {
		return false, err
	}
	enc := e.Encoding()
	switch {
	case e.IsMultipart():
		eightBit, err = c.children(e, base, depth, signed)
	case isMessage(e) && identity(enc):
		eightBit, err = c.attached(e, base, depth, signed)
	case enc == "binary":
		eightBit, err = c.leaf(e, base, at, signed)
		return eightBit || !IsASCII(e.Header), err
	}
	if err == nil && enc == "binary" {
		err = c.label(e, at, identityFor(eightBit), signed)
	}
	return eightBit || enc == "8bit" || !IsASCII(e.Header), err
}

func isMessage(e *Entity) bool {
	return e.MediaType == "message/rfc822" || e.MediaType == "message/global" // RFC 6532 §3.7
}

func identityFor(eightBit bool) string {
	if eightBit {
		return "8bit"
	}
	return "7bit"
}

func (c *binaryPlan) children(e *Entity, base int64, depth int, signed bool) (eightBit bool, err error) {
	for i, child := range e.Children {
		begin := base + child.Begin
		at := place{span: span{begin, min(begin+int64(len(child.Header)), base+child.Content)}}
		eight, err := c.entity(child, base, at, depth, signed || i == 0 && e.MediaType == "multipart/signed")
		if err != nil {
			return false, err
		}
		eightBit = eightBit || eight
	}
	return eightBit, nil
}

// attached plans for an attached message.
func (c *binaryPlan) attached(e *Entity, base int64, depth int, signed bool) (eightBit bool, err error) {
	if depth == maxBinaryDepth {
		return false, ErrTooComplex
	}
	from, to := base+e.Content, base+e.End
	header, n, err := c.attachedHeader(from, to)
	if err != nil {
		return false, err
	}
	at := place{span{from, min(from+int64(len(header)), to)}, n == int64(len(header)) && n < to-from}
	return c.message(header, span{from + n, to}, at, depth+1, signed)
}

// attachedHeader returns the header of an attached message, and where its body
// begins; as container.ParseMessage finds them. A last line that has no line end
// gets one when it is that of the whole message.
func (c *binaryPlan) attachedHeader(from, to int64) (header []byte, n int64, err error) {
	section, err := Section(c.body, from, to)
	if err != nil {
		return nil, 0, err
	}
	r, err := section.Open()
	if err != nil {
		return nil, 0, fmt.Errorf("open message: %w", err)
	}
	defer r.Close()
	buf := lineBuffers.Get().(*[lineBuffer]byte)
	defer lineBuffers.Put(buf)
	l := lines{r: r, buf: buf[:]}
	for {
		line, whole, err := l.peek()
		switch {
		case err != nil:
			return nil, 0, err
		case string(line) == "\r\n":
			return header, int64(len(header)) + 2, nil
		case !container.IsHeaderLine(line, len(header) == 0), whole && line[len(line)-1] != '\n' && to < c.body.Size():
			return header, int64(len(header)), nil
		case !whole:
			return nil, 0, ErrLineTooLong
		case len(header)+len(line) > maxPartHeaders:
			return nil, 0, ErrTooComplex
		}
		header = append(header, line...)
		if line[len(line)-1] != '\n' {
			return append(header, "\r\n"...), to - from, nil
		}
		l.advance(len(line), true)
	}
}

// leaf plans for a leaf that is labelled binary.
func (c *binaryPlan) leaf(e *Entity, base int64, at place, signed bool) (eightBit bool, err error) {
	content := span{base + e.Content, base + e.End}
	enc, encode := "base64", encodeBase64
	switch {
	case strings.HasPrefix(e.MediaType, "message/"):
		// Reports: those who read them expect no other encoding (RFC 3464 §2.1).
		if enc, err = c.lineEncoding(content); err != nil || enc != "" {
			return enc == "8bit", cmp.Or(err, c.label(e, at, enc, signed))
		}
		enc = "base64"
	case strings.HasPrefix(e.MediaType, "text/"):
		if readable, err := c.isReadable(content); err != nil {
			return false, err
		} else if readable {
			enc, encode = "quoted-printable", encodeQuotedPrintable
		}
	}
	c.edits = append(c.edits, binaryEdit{span: content, encode: encode})
	return false, c.label(e, at, enc, signed)
}

// label changes the transfer encoding that the header of e says.
func (c *binaryPlan) label(e *Entity, at place, enc string, signed bool) error {
	if signed {
		return ErrSigned
	}
	header := Set(e.Header, "Content-Transfer-Encoding", enc)
	if at.from < 0 {
		c.header = header
		return nil
	}
	if at.open {
		header = append(header, "\r\n"...) // or encoded content might pass for a field
	}
	c.edits = append(c.edits, binaryEdit{span: at.span, data: header})
	return nil
}

// checkHeader refuses a header that does not consist of lines, and more headers
// than may be kept in memory.
func (c *binaryPlan) checkHeader(header []byte) error {
	if c.headers += len(header); c.headers > maxPartHeaders {
		return ErrTooComplex
	}
	check := lineWriter{w: io.Discard, maxLine: c.maxLine}
	if err := check.lines(header); err != nil {
		return err
	}
	return check.whole()
}

// lineEncoding returns the encoding that content has if it consists of lines,
// "" if it does not.
func (c *binaryPlan) lineEncoding(at span) (string, error) {
	found := &eightBitWriter{}
	check := &lineWriter{w: found, maxLine: min(c.maxLine, smtpLine)}
	err := c.read(at, func(r io.Reader) error { return check.copy(r, at.to-at.from) })
	if err == nil {
		err = check.whole()
	}
	unended := at.to == c.body.Size() && check.column > 0
	if errors.Is(err, ErrLineEnd) || errors.Is(err, ErrLineTooLong) || err == nil && unended {
		return "", nil
	}
	return identityFor(found.found), err
}

type eightBitWriter struct{ found bool }

// Write looks for 8-bit octets.
func (w *eightBitWriter) Write(b []byte) (int, error) {
	w.found = w.found || !IsASCII(b)
	return len(b), nil
}

// isReadable guesses from the beginning of a text whether it remains readable
// in quoted-printable, and is smaller then than in base64.
func (c *binaryPlan) isReadable(at span) (ok bool, err error) {
	const enough = 4 << 10
	at.to = min(at.to, at.from+enough)
	err = c.read(at, func(r io.Reader) error {
		sample, err := io.ReadAll(r)
		strange := 0
		for _, b := range sample {
			if b >= 0x7f || b < ' ' && b != '\t' && b != '\r' && b != '\n' || b == '=' {
				strange++
			}
		}
		ok = strange*6 <= len(sample) && bytes.IndexByte(sample, 0) < 0
		return err
	})
	return ok, err
}

// read hands out a reader of a part of the body.
func (c *binaryPlan) read(at span, use func(io.Reader) error) error {
	section, err := Section(c.body, at.from, at.to)
	if err != nil {
		return err
	}
	r, err := section.Open()
	if err != nil {
		return fmt.Errorf("open message: %w", err)
	}
	defer r.Close()
	return use(r)
}
