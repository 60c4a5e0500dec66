package mime

import (
	"bytes"
	"strings"
)

// maxName bounds a field name so that a line can always hold it.
const maxName = 512

// ValidName reports whether name can be a field name: printable ASCII without
// colon (RFC 5322 §2.2), of a length that fits a line.
func ValidName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}

// Add puts a field on top of header. The value may be any text: see
// FormatField. A name that is no field name changes nothing.
func Add(header []byte, name, value string) []byte {
	if !ValidName(name) {
		return header
	}
	return AddRaw(header, FormatField(name, value))
}

// Append puts a field below all others, otherwise as Add.
func Append(header []byte, name, value string) []byte {
	if !ValidName(name) {
		return header
	}
	out := make([]byte, 0, len(header)+len(name)+len(value)+8)
	out = append(out, header...)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, "\r\n"...)
	}
	return append(out, FormatField(name, value)...)
}

// AddRaw puts one or more complete fields, each line ending with CRLF, on top
// of header. The caller vouches for their form.
func AddRaw(header, field []byte) []byte {
	out := make([]byte, 0, len(field)+len(header))
	out = append(out, field...)
	return append(out, header...)
}

// Set gives the first field called name a new value where it stands, and drops
// further ones; without any it is Add.
func Set(header []byte, name, value string) []byte {
	start, end := next(header, 0, name)
	if start < 0 {
		return Add(header, name, value)
	}
	field := FormatField(name, value)
	out := make([]byte, 0, len(header)+len(field))
	out = append(out, header[:start]...)
	out = append(out, field...)
	return append(out, Remove(header[end:], name)...)
}

// Remove drops all fields called one of names. It returns header itself when
// there is none.
func Remove(header []byte, names ...string) []byte {
	if !hasAny(header, names) {
		return header
	}
	out := make([]byte, 0, len(header))
	for rest := header; len(rest) > 0; {
		n := fieldLength(rest)
		if !hasAny(rest[:lineLength(rest)], names) {
			out = append(out, rest[:n]...)
		}
		rest = rest[n:]
	}
	return out
}

func hasAny(header []byte, names []string) bool {
	for _, name := range names {
		if start, _ := next(header, 0, name); start >= 0 {
			return true
		}
	}
	return false
}

// RemoveFunc drops the fields for which drop says so. It returns header itself
// when there is none.
func RemoveFunc(header []byte, drop func(Field) bool) []byte {
	var out []byte
	kept := 0 // header[:kept] is in out, or dropped
	for pos := 0; pos < len(header); {
		end := pos + fieldLength(header[pos:])
		if f, ok := parseField(header[pos:end]); ok && drop(f) {
			out = append(out, header[kept:pos]...)
			kept = end
		}
		pos = end
	}
	if kept == 0 {
		return header
	}
	return append(out, header[kept:]...)
}

// Lengths of header lines without line end (RFC 5322 §2.1.1).
const (
	wantedLine = 78
	hardLine   = 990
)

// FormatField returns a complete field. Whatever the value holds, the result is
// one field: line ends become blanks, other control characters vanish, text
// outside ASCII becomes encoded words (RFC 2047) unless it is part of an
// address in a field that may have some, and long lines are folded at blanks.
func FormatField(name, value string) []byte {
	v := encodeValue(name, Clean(value))
	out := make([]byte, 0, len(name)+len(v)+8)
	out = append(out, name...)
	out = append(out, ':')
	if v != "" {
		out = append(out, ' ')
	}
	return append(Fold(out, v), "\r\n"...)
}

// Fold appends value to dst, whose last line it continues, folding at blanks
// after 78 characters, and anywhere before the hard limit of a line. Taking out
// the line ends gives the value back unless it has a word that is too long for
// a line, or very many blanks in a row. Blanks at the end are dropped.
func Fold(dst []byte, value string) []byte {
	col := len(dst) - 1 - bytes.LastIndexByte(dst, '\n')
	atStart := true // nothing but the field name on this line
	for value = strings.TrimRight(value, " \t"); value != ""; {
		word := nextWord(value)
		value = value[len(word):]
		if blanks := len(word) - len(strings.TrimLeft(word, " \t")); blanks > maxBlanks {
			word = word[blanks-maxBlanks:]
		}
		// A continuation line begins with a blank that was there already.
		if col+len(word) > wantedLine && !atStart {
			dst = append(dst, "\r\n"...)
			col = 0
		}
		for col+len(word) > hardLine {
			n := max(hardLine-col, 1)
			for n > 1 && word[n]&0xc0 == 0x80 {
				n--
			}
			dst = append(dst, word[:n]...)
			dst = append(dst, "\r\n "...)
			word, col = word[n:], 1
		}
		dst = append(dst, word...)
		col += len(word)
		atStart = false
	}
	return dst
}

const maxBlanks = 60

// nextWord returns the blanks at the start of s and the text up to the next
// blank.
func nextWord(s string) string {
	i := 0
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	for i < len(s) && s[i] != ' ' && s[i] != '\t' {
		i++
	}
	return s[:i]
}

// Clean makes s fit for one header line: each run of line ends (and the blanks
// around it) becomes one blank, other control characters except the tab vanish,
// octets that are not UTF-8 become "?", and the ends are trimmed.
func Clean(s string) string {
	if isClean(s) {
		return strings.Trim(s, " \t")
	}
	s = strings.ToValidUTF8(s, "?")
	var b strings.Builder
	b.Grow(len(s))
	broken := false
	for _, r := range s {
		switch {
		case r == '\r' || r == '\n' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			broken = true
			continue
		case r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0:
			continue
		case broken && (r == ' ' || r == '\t'):
			continue
		}
		if broken {
			b.WriteByte(' ')
			broken = false
		}
		b.WriteRune(r)
	}
	return strings.Trim(b.String(), " \t")
}

func isClean(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}
