package dsn

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// maxLine is the longest line without its end (RFC 5322 §2.1.1).
const maxLine = 998

// shape is what decides how octets may travel.
type shape struct {
	eightBit bool
	binary   bool // NUL, or a CR or LF alone
	longest  int
}

func scan(b []byte) shape {
	s := shape{binary: bytes.IndexByte(b, 0) >= 0, eightBit: !mime.IsASCII(b)}
	for len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
			if i == 0 || line[i-1] != '\r' {
				s.binary = true
			}
			line = bytes.TrimSuffix(line, []byte("\r"))
		} else {
			// A CR here would meet the line end that follows the part.
			b = nil
		}
		s.binary = s.binary || bytes.IndexByte(line, '\r') >= 0
		s.longest = max(s.longest, len(line))
	}
	return s
}

// returned is the third part: all of the original, or its header, or nothing.
func (r *Report) returned() (part, error) {
	if r.Original == nil || r.Return == ReturnNone {
		return part{}, nil
	}
	failed := slices.ContainsFunc(r.Recipients, func(rcpt Recipient) bool { return rcpt.Action == Failed })
	if r.Return == ReturnHeaders || !failed {
		return r.returnedHeaders(""), nil
	}
	limit := r.MaxReturn
	if limit == 0 {
		limit = DefaultMaxReturn
	}
	if r.Original.Size() > limit {
		return r.returnedHeaders(fmt.Sprintf("The original message of %d octets is larger than %d; only its header is returned.", r.Original.Size(), limit)), nil
	}
	content, err := readAll(r.Original)
	if err != nil {
		return part{}, fmt.Errorf("read original message: %w", err)
	}
	return r.returnedMessage(content), nil
}

func readAll(m *container.Message) ([]byte, error) {
	rc, err := m.Open()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	var b bytes.Buffer
	b.Grow(int(min(m.Size(), 1<<20)) + bytes.MinRead) // more is rare, and grows as it is read
	_, err = b.ReadFrom(rc)
	return b.Bytes(), err
}

// returnedMessage: a message/rfc822 must not be encoded (RFC 2046 §5.2.1), so
// what cannot travel as it is comes back as its header.
func (r *Report) returnedMessage(content []byte) part {
	p := part{contentType: "message/rfc822", description: "Undelivered message", content: content}
	header, all := scan(r.Original.Header()), scan(content)
	switch {
	case header.eightBit && r.SMTPUTF8 && utf8.Valid(r.Original.Header()) && !all.binary:
		p.contentType = "message/global" // may be encoded (RFC 6532 §3.7)
		if p.encoding = "8bit"; !r.utf8() || all.longest > maxLine {
			p.encoding, p.content = "quoted-printable", mime.EncodeQuotedPrintable(content)
		}
		return p
	case all.binary || all.longest > maxLine || header.eightBit:
		return r.returnedHeaders("The original message cannot be sent in a report as it is; only its header is returned.")
	case all.eightBit:
		p.encoding = "8bit"
	}
	return p
}

func (r *Report) returnedHeaders(note string) part {
	h := r.Original.Header()
	if len(h) > maxHeaders {
		h = h[:bytes.LastIndexByte(h[:maxHeaders], '\n')+1]
		note = "Only the first part of the header of the original message is returned."
	}
	p := part{contentType: "text/rfc822-headers", description: "Header of the original message", content: h, note: note}
	s := scan(h)
	if s.binary {
		h = cleanLines(h)
		p.content = h
	}
	switch {
	case s.eightBit && r.SMTPUTF8 && utf8.Valid(h):
		p.contentType = "message/global-headers"
		if p.encoding = "8bit"; !r.utf8() || s.binary || s.longest > maxLine {
			p.encoding, p.content = "quoted-printable", mime.EncodeQuotedPrintable(h)
		}
	case s.eightBit || s.binary || s.longest > maxLine:
		p.encoding, p.content = "quoted-printable", mime.EncodeQuotedPrintable(h)
	}
	return p
}

// cleanLines drops each NUL, and each CR and LF that is not part of a line end,
// so that no line of a header becomes two.
func cleanLines(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i, c := range b {
		switch {
		case c == 0,
			c == '\r' && (i+1 == len(b) || b[i+1] != '\n'),
			c == '\n' && (i == 0 || b[i-1] != '\r'):
		default:
			out = append(out, c)
		}
	}
	return out
}
