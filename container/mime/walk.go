package mime

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// Limits bound what is read of a message.
type Limits struct {
	Depth int   // nesting of multiparts, 0: 20
	Parts int   // leaves and multiparts, the message among them, 0: 1000
	Bytes int64 // octets of the body, 0: no limit

	strict bool // boundary lines have CRLF at both ends, and boundaries are said
}

// ErrTooComplex is returned by Scan and Walk when a message is beyond its
// limits.
var ErrTooComplex = errors.New("message has too many or too deeply nested parts")

// ErrNoParts is wrapped by the error for a multipart without any part: its first
// boundary is missing.
var ErrNoParts = errors.New("multipart has no starting boundary")

// ErrStop is returned by the visitor of Walk to end the walk without error.
var ErrStop = errors.New("stop")

// ErrSkip is returned by the visitor of Walk to pass over the parts of a
// multipart.
var ErrSkip = errors.New("skip the parts")

// Walk reads the structure of a message as Scan does and calls visit for the
// message, each multipart and each leaf, in order: a multipart before its parts,
// when its End is not known, and a leaf behind its content. So what is wrong
// behind the entity at which visit returns ErrStop does not count.
//
// Unlike for Scan, a multipart without any part is an error (ErrNoParts), and so
// is a body that cannot be read, even that of a simple message.
func Walk(m *container.Message, lim Limits, visit func(*Entity) error) error {
	if err := scan(m, newRoot(m), lim, visit); !errors.Is(err, ErrStop) {
		return err
	}
	return nil
}

// enter visits a multipart. Where its parts are passed over they are not even
// looked for.
func (s *scanner) enter(l *level) error {
	if s.visit == nil {
		return nil
	}
	err := s.visit(l.entity)
	if errors.Is(err, ErrSkip) {
		l.delimiter, l.skipped = nil, true
		return nil
	}
	return err
}

// leave visits a leaf, and misses the parts of a multipart.
func (s *scanner) leave(l *level) error {
	switch {
	case s.visit == nil:
		return nil
	case !l.entity.IsMultipart():
		if err := s.visit(l.entity); !errors.Is(err, ErrSkip) {
			return err
		}
	case !l.skipped && len(l.entity.Children) == 0:
		return fmt.Errorf("read %s: %w", l.entity.MediaType, ErrNoParts)
	}
	return nil
}

// PlainText returns the first inline text part of a message, text/plain before
// others, at most limit octets of it; "" when there is none.
func PlainText(m *container.Message, limit int64) (string, error) {
	var text string
	found := false
	err := Walk(m, Limits{}, func(e *Entity) error {
		plain := e.MediaType == "text/plain"
		if !strings.HasPrefix(e.MediaType, "text/") || !plain && found || e.IsAttachment() {
			return nil
		}
		t, err := e.Beginning(m.Body(), limit)
		if errors.Is(err, ErrMalformed) {
			return nil // as if it were not there
		}
		if err != nil {
			return err
		}
		text, found = t, true
		if plain {
			return ErrStop
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return text, nil
}
