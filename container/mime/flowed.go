package mime

import (
	"strings"
	"unicode/utf8"
)

// signature is the line in front of a signature (RFC 3676 §4.3). It ends with a
// blank and is not flowed all the same.
const signature = "-- "

// splitQuote takes the quote marks off a line, and returns how many there were.
func splitQuote(line string) (rest string, depth int) {
	rest = strings.TrimLeft(line, ">")
	return rest, len(line) - len(rest)
}

// lineEnd is CRLF or LF; what is written has CRLF.
func cutLine(s string) (line, rest string, ended bool) {
	i := strings.IndexByte(s, '\n')
	if i < 0 {
		return s, "", false
	}
	return strings.TrimSuffix(s[:i], "\r"), s[i+1:], true
}

// Flow breaks the lines of a text so that they have at most width characters,
// in the way of format=flowed (RFC 3676 §4.2). With delSp lines are broken
// anywhere but within Latin words, and a blank that does not count is added.
// Words longer than a line stay whole. Blanks at the end of a line get lost,
// since they would make it flow.
func Flow(text string, width int, delSp bool) string {
	var b strings.Builder
	b.Grow(len(text) + len(text)/16)
	for text != "" {
		line, rest, ended := cutLine(text)
		text = rest
		flowLine(&b, line, width, delSp)
		if ended {
			b.WriteString("\r\n")
		}
	}
	return b.String()
}

func flowLine(b *strings.Builder, line string, width int, delSp bool) {
	line, depth := splitQuote(line)
	prefix := strings.Repeat(">", depth)
	if depth > 0 {
		line = strings.TrimPrefix(line, " ")
	}
	if line != signature {
		line = strings.TrimRight(line, " ")
	}
	if line == "" {
		b.WriteString(prefix)
		return
	}
	for first := true; first || line != ""; first = false {
		lead := prefix
		if depth > 0 || line[0] == ' ' || line[0] == '>' || strings.HasPrefix(line, "From ") {
			lead += " " // space-stuffing, RFC 3676 §4.4
		}
		limit := width - len(lead)
		if delSp {
			limit--
		}
		n := len(line)
		if line != signature {
			n = breakAt(line, max(limit, 1), delSp)
		}
		b.WriteString(lead)
		b.WriteString(line[:n])
		if line = line[n:]; line != "" {
			if delSp {
				b.WriteByte(' ')
			}
			b.WriteString("\r\n")
		}
	}
}

// breakAt returns how many octets of line make the next one, of at most limit
// characters, or more when a word is longer.
func breakAt(line string, limit int, delSp bool) int {
	count, best, word := 0, 0, false
	for i, r := range line {
		count++
		if count > limit && best > 0 {
			return best
		}
		word = word || r != ' '
		if !word || r != ' ' && (!delSp || isLatin(r)) {
			continue
		}
		best = i + 1
		if r >= utf8.RuneSelf {
			_, size := utf8.DecodeRuneInString(line[i:])
			best = i + size
		}
		if count > limit {
			return best
		}
	}
	if count > limit && best > 0 {
		return best
	}
	return len(line)
}

// isLatin reports whether a line must not be broken behind r: words of such
// characters have blanks between them.
func isLatin(r rune) bool { return r < 0x300 }

// Deflow undoes Flow: lines that flow are joined, space-stuffing is taken off
// (RFC 3676 §4.1). Quoted lines have a blank behind their marks then.
func Deflow(text string, delSp bool) string {
	var b strings.Builder
	b.Grow(len(text))
	flowing, depth := false, 0
	for first := true; first || text != ""; first = false {
		line, rest, ended := cutLine(text)
		text = rest
		line, d := splitQuote(line)
		line = strings.TrimPrefix(line, " ")
		if flowing && (d != depth || line == signature) {
			b.WriteString("\r\n") // RFC 3676 §4.5: improper, a line of its own
			flowing = false
		}
		if !flowing && d > 0 {
			b.WriteString(strings.Repeat(">", d))
			b.WriteByte(' ')
		}
		depth = d
		flowing = ended && rest != "" && line != signature && strings.HasSuffix(line, " ")
		if flowing && delSp {
			line = line[:len(line)-1]
		}
		b.WriteString(line)
		if ended && !flowing {
			b.WriteString("\r\n")
		}
	}
	return b.String()
}
