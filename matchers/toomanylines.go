package matchers

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/mailetd/mailetd/container"
)

// TooManyLines matches messages whose body, as it was sent, has more lines than
// a number.
//
//	<mailet match="TooManyLines=10000" class="Null"/>
//
// Condition: a whole number of at least 1.
//
// Differs from James: messages with a Content-Transfer-Encoding are counted too,
// instead of never matching.
type TooManyLines struct{ limit int }

func newTooManyLines(condition string) (container.Matcher, error) {
	n, err := positive(condition)
	if err != nil {
		return nil, err
	}
	return &TooManyLines{n}, nil
}

// Match returns all recipients when there are more lines than the limit; an
// error when the body cannot be read.
func (t *TooManyLines) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	if m.Message.Body().Size() <= int64(t.limit) {
		return nil, nil // each line has an octet at least
	}
	r, err := m.Message.Body().Open()
	if err != nil {
		return nil, fmt.Errorf("count lines: %w", err)
	}
	defer r.Close()
	more, err := moreLines(r, t.limit)
	if err != nil {
		return nil, fmt.Errorf("count lines: %w", err)
	}
	return container.All(m, more), nil
}

// moreLines reports whether r has more than limit lines. The last line may be
// without a line end.
func moreLines(r io.Reader, limit int) (bool, error) {
	buf := make([]byte, 32<<10)
	lines, open := 0, 0
	for {
		n, err := r.Read(buf)
		if n > 0 {
			lines += bytes.Count(buf[:n], []byte("\n"))
			open = rank(buf[n-1] != '\n')
		}
		switch {
		case lines > limit:
			return true, nil
		case err == io.EOF:
			return lines+open > limit, nil
		case err != nil:
			return false, err
		}
	}
}
