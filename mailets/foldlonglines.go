package mailets

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// FoldLongLines folds header fields that have a line longer than allowed. It folds
// at blanks; a word that is longer than a line stays whole.
//
//	<mailet match="All" class="FoldLongLines">
//	  <maxCharacters>998</maxCharacters>
//	</mailet>
//
// Parameters:
//
//   - maxCharacters (default 998): the longest line allowed, in octets without
//     its line end.
//
// Differs from James: other fields of the same name stay as they are, and all
// fields stay where they are.
type FoldLongLines struct{ max int }

func newFoldLongLines(p *conf.Params) container.Mailet {
	f := &FoldLongLines{p.Int("maxCharacters", 998)}
	if f.max <= 0 {
		p.Fail("maxCharacters", fmt.Errorf("%d is not positive", f.max))
	}
	return f
}

// Service folds the fields.
func (f *FoldLongLines) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	header := m.Message.Header()
	if !hasLongLine(header, f.max) {
		return nil
	}
	out := make([]byte, 0, len(header)+len(header)/64)
	rest := header
	for field := range mime.Fields(header) {
		at := bytes.Index(rest, field.Raw) // lines that are no field may stand before it
		out = append(out, rest[:at]...)
		rest = rest[at+len(field.Raw):]
		if hasLongLine(field.Raw, f.max) {
			out = foldField(out, field, f.max)
		} else {
			out = append(out, field.Raw...)
		}
	}
	if out = append(out, rest...); !bytes.Equal(out, header) {
		m.Message.SetHeader(out)
	}
	return nil
}

func hasLongLine(header []byte, limit int) bool {
	for len(header) > 0 {
		line := header
		if i := bytes.IndexByte(header, '\n'); i >= 0 {
			line, header = header[:i], header[i+1:]
		} else {
			header = nil
		}
		if len(bytes.TrimSuffix(line, []byte("\r"))) > limit {
			return true
		}
	}
	return false
}

// wantedFold is how long folded lines are if possible (RFC 5322 §2.1.1).
const wantedFold = 76

// foldField appends a field, folded anew.
func foldField(dst []byte, f mime.Field, limit int) []byte {
	limit = min(limit, wantedFold)
	value := strings.NewReplacer("\r", "", "\n", "").Replace(string(f.Body))
	start := len(dst)
	dst = append(append(dst, f.Name...), ':')
	col := len(dst) - start
	for first := true; value != ""; first = false {
		blanks := len(value) - len(strings.TrimLeft(value, " \t"))
		n := blanks
		if i := strings.IndexAny(value[blanks:], " \t"); i >= 0 {
			n += i
		} else {
			n = len(value)
		}
		if n == blanks {
			break // blanks at the end
		}
		if col+n > limit && !first && blanks > 0 {
			dst = append(dst, "\r\n"...)
			col = 0
		}
		dst = append(dst, value[:n]...)
		col += n
		value = value[n:]
	}
	return append(dst, "\r\n"...)
}
