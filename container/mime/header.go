package mime

import (
	"bytes"
	"iter"
	"strings"
)

// Field is one header field as it stands in the header.
type Field struct {
	Raw  []byte // the whole field with its folding and final line end
	Name []byte // without the colon and blanks before it
	Body []byte // what follows the colon, folding and final line end included
}

// Value returns the unfolded value without surrounding blanks.
func (f Field) Value() string { return unfold(f.Body) }

// Is reports whether the field is called name, ignoring case.
func (f Field) Is(name string) bool { return equalFold(f.Name, name) }

// Fields yields the fields of header from top to bottom. Lines that are no
// field are passed over.
func Fields(header []byte) iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for len(header) > 0 {
			n := fieldLength(header)
			f, ok := parseField(header[:n])
			header = header[n:]
			if ok && !yield(f) {
				return
			}
		}
	}
}

func parseField(raw []byte) (Field, bool) {
	colon := bytes.IndexByte(raw, ':')
	if colon <= 0 || raw[0] == ' ' || raw[0] == '\t' {
		return Field{}, false
	}
	return Field{Raw: raw, Name: bytes.TrimRight(raw[:colon], " \t"), Body: raw[colon+1:]}, true
}

// lineLength returns the length of the first line of h with its line end.
func lineLength(h []byte) int {
	if i := bytes.IndexByte(h, '\n'); i >= 0 {
		return i + 1
	}
	return len(h)
}

// fieldLength returns the length of the field at the start of h, its
// continuation lines included (RFC 5322 §2.2.3).
func fieldLength(h []byte) int {
	n := lineLength(h)
	for n < len(h) && (h[n] == ' ' || h[n] == '\t') {
		n += lineLength(h[n:])
	}
	return n
}

// next returns where the first field called name begins and ends in h[from:],
// or -1. It is the scan that everything on the path of each message uses.
func next(h []byte, from int, name string) (start, end int) {
	for from < len(h) {
		n := lineLength(h[from:])
		if nameLength(h[from:from+n], name) > 0 {
			return from, from + fieldLength(h[from:])
		}
		from += n
	}
	return -1, -1
}

// nameLength returns the length of name, blanks and colon at the start of
// line, or 0 when the line is of another field.
func nameLength(line []byte, name string) int {
	n := len(name)
	if n == 0 || len(line) <= n || line[0]|0x20 != name[0]|0x20 || !equalFold(line[:n], name) {
		return 0
	}
	for n < len(line) && (line[n] == ' ' || line[n] == '\t') {
		n++
	}
	if n == len(line) || line[n] != ':' {
		return 0
	}
	return n + 1
}

// equalFold compares ignoring the case of ASCII letters only.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range len(s) {
		x, y := b[i], s[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// Count returns how many fields are called name.
func Count(header []byte, name string) int {
	n := 0
	for _, end := next(header, 0, name); end >= 0; _, end = next(header, end, name) {
		n++
	}
	return n
}

// Has reports whether there is a field called name.
func Has(header []byte, name string) bool {
	start, _ := next(header, 0, name)
	return start >= 0
}

// Get returns the unfolded value of the first field called name, and whether
// there is one. Encoded words stay encoded; see Text.
func Get(header []byte, name string) (string, bool) {
	start, end := next(header, 0, name)
	if start < 0 {
		return "", false
	}
	f := header[start:end]
	return unfold(f[nameLength(f, name):]), true
}

// Values returns the unfolded values of all fields called name, top first.
func Values(header []byte, name string) []string {
	var out []string
	for start, end := next(header, 0, name); start >= 0; start, end = next(header, end, name) {
		f := header[start:end]
		out = append(out, unfold(f[nameLength(f, name):]))
	}
	return out
}

// CountExact and ValuesExact compare the name in its case, for the few James
// classes that do.
func CountExact(header []byte, name string) int { return len(ValuesExact(header, name)) }

// ValuesExact is described at CountExact.
func ValuesExact(header []byte, name string) []string {
	var out []string
	for start, end := next(header, 0, name); start >= 0; start, end = next(header, end, name) {
		if f := header[start:end]; string(f[:len(name)]) == name {
			out = append(out, unfold(f[nameLength(f, name):]))
		}
	}
	return out
}

// unfold takes the line ends out of a field body and trims it (RFC 5322
// §2.2.3).
func unfold(body []byte) string {
	body = bytes.Trim(body, " \t\r\n")
	if bytes.IndexByte(body, '\n') < 0 && bytes.IndexByte(body, '\r') < 0 {
		return string(body)
	}
	var b strings.Builder
	b.Grow(len(body))
	for _, c := range body {
		if c != '\r' && c != '\n' {
			b.WriteByte(c)
		}
	}
	return b.String()
}
