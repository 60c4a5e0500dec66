package smime

import (
	"errors"
	"fmt"
	"math"
)

// Bounds of what is read of a CMS structure. The pieces of streamed content have
// 1000 octets or more, so their number allows for the largest message.
const (
	maxDepth    = 64
	maxElements = 200_000
	// A small message has few values: those that certificates are made of have
	// more than twice as many octets each.
	octetsPerElement = 8
	fewElements      = 1000
)

// ErrMalformed is wrapped by errors for messages that do not follow the
// standards, or that go beyond our bounds.
var ErrMalformed = errors.New("malformed S/MIME content")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// element is one value of the Basic Encoding Rules (X.690 §8).
type element struct {
	tag     []byte
	content []byte    // of a primitive one
	parts   []element // of a constructed one
	joined  bool      // parts are the pieces of one string
	size    int       // octets of content in DER
}

const (
	constructed      = 0x20
	tagOctetString   = 0x04
	tagEndOfContents = 0x00
)

// toDER returns the first value of data with definite lengths, the shortest form
// of each, and strings in one piece. Time and memory are linear. What follows
// the value is ignored, as most readers do.
func toDER(data []byte) ([]byte, error) {
	r := berReader{data: data, limit: min(maxElements, fewElements+len(data)/octetsPerElement)}
	e, err := r.element(0)
	if err != nil {
		return nil, err
	}
	return e.appendTo(make([]byte, 0, e.encodedSize())), nil
}

type berReader struct {
	data  []byte
	pos   int
	count int
	limit int
}

func (r *berReader) element(depth int) (element, error) {
	if r.count++; depth > maxDepth || r.count > r.limit {
		return element{}, malformed("too many or too deeply nested values")
	}
	tag, err := r.tag()
	if err != nil {
		return element{}, err
	}
	n, indefinite, err := r.length()
	if err != nil {
		return element{}, err
	}
	e := element{tag: tag}
	if tag[0]&constructed == 0 {
		if indefinite {
			return element{}, malformed("a primitive value without length")
		}
		e.content, e.size = r.data[r.pos:r.pos+n], n
		r.pos += n
		return e, nil
	}
	if err := r.parts(&e, n, indefinite, depth); err != nil {
		return element{}, err
	}
	return e, e.join()
}

// parts reads what a constructed value consists of.
func (r *berReader) parts(e *element, n int, indefinite bool, depth int) error {
	whole, end := r.data, r.pos+n
	if !indefinite {
		r.data = whole[:end] // parts cannot be longer than the whole
	}
	defer func() { r.data = whole }()
	for {
		if !indefinite && r.pos == end {
			break
		}
		p, err := r.element(depth + 1)
		if err != nil {
			return err
		}
		if p.tag[0] == tagEndOfContents {
			if !indefinite || p.size != 0 {
				return malformed("an end where there is nothing to end")
			}
			break
		}
		e.parts = append(e.parts, p)
	}
	for i := range e.parts {
		e.size += e.parts[i].encodedSize()
	}
	return nil
}

// join makes a constructed OCTET STRING a string of one piece.
func (e *element) join() error {
	if len(e.tag) != 1 || e.tag[0] != tagOctetString|constructed {
		return nil
	}
	e.joined, e.tag, e.size = true, []byte{tagOctetString}, 0
	for i := range e.parts {
		if e.parts[i].tag[0] != tagOctetString {
			return malformed("a string made of what is no string")
		}
		e.size += e.parts[i].size
	}
	return nil
}

func (r *berReader) octet() (byte, error) {
	if r.pos >= len(r.data) {
		return 0, malformed("cut off")
	}
	b := r.data[r.pos]
	r.pos++
	return b, nil
}

func (r *berReader) tag() ([]byte, error) {
	start := r.pos
	b, err := r.octet()
	if err != nil {
		return nil, err
	}
	for long := b&0x1f == 0x1f; long; long = b&0x80 != 0 {
		if b, err = r.octet(); err != nil {
			return nil, err
		}
		if r.pos-start > 4 {
			return nil, malformed("a tag is too long")
		}
	}
	return r.data[start:r.pos], nil
}

func (r *berReader) length() (n int, indefinite bool, err error) {
	b, err := r.octet()
	if err != nil {
		return 0, false, err
	}
	switch {
	case b == 0x80:
		return 0, true, nil
	case b < 0x80:
		n = int(b)
	default:
		for range b & 0x7f {
			if b, err = r.octet(); err != nil {
				return 0, false, err
			}
			if n > len(r.data) || n > math.MaxInt>>8 { // an int may have 32 bits
				return 0, false, malformed("cut off")
			}
			n = n<<8 | int(b)
		}
	}
	if n > len(r.data)-r.pos {
		return 0, false, malformed("cut off")
	}
	return n, false, nil
}

func (e *element) encodedSize() int { return len(e.tag) + lengthSize(e.size) + e.size }

func lengthSize(n int) int {
	if n < 0x80 {
		return 1
	}
	size := 1
	for ; n > 0; n >>= 8 {
		size++
	}
	return size
}

func (e *element) appendTo(b []byte) []byte {
	b = append(b, e.tag...)
	if size := lengthSize(e.size) - 1; size == 0 {
		b = append(b, byte(e.size))
	} else {
		b = append(b, 0x80|byte(size))
		for i := size - 1; i >= 0; i-- {
			b = append(b, byte(e.size>>(8*i)))
		}
	}
	if e.joined {
		return e.appendContent(b)
	}
	for i := range e.parts {
		b = e.parts[i].appendTo(b)
	}
	return append(b, e.content...)
}

func (e *element) appendContent(b []byte) []byte {
	for i := range e.parts {
		b = e.parts[i].appendContent(b)
	}
	return append(b, e.content...)
}
