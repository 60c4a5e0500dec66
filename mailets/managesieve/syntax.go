package managesieve

import (
	"strconv"
	"strings"
)

// arguments cuts a line into words and quoted strings (RFC 5804 §4).
func arguments(line string) ([]string, error) {
	var out []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return out, nil
		}
		if line[0] != '"' {
			n := strings.IndexAny(line, " \t")
			if n < 0 {
				n = len(line)
			}
			out, line = append(out, line[:n]), line[n:]
			continue
		}
		s, rest, ok := unquote(line)
		if !ok {
			return nil, reply{`"A quoted string does not end"`}
		}
		out, line = append(out, s), rest
	}
}

// unquote reads the quoted string at the start of a line.
func unquote(line string) (s, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			return b.String(), line[i+1:], true
		case c == '\\' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// maxQuoted bounds a quoted string, in octets (RFC 5804 §4).
const maxQuoted = 1024

// quoted returns a string as a reply shows it: quoted, or as a literal when it has
// line ends or is long.
func quoted(s string) string {
	if len(s) > maxQuoted || strings.ContainsAny(s, "\r\n\x00") {
		return literal(s)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// literal returns a string, its line ends CRLF, behind its length in octets.
func literal(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
	return "{" + strconv.Itoa(len(s)) + "}\r\n" + s
}
