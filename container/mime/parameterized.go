package mime

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
)

// Parameterized is the value of a Content-Type or Content-Disposition field.
type Parameterized struct {
	Main   string // before the parameters, in lower case: "text/plain", "attachment"
	params []param
}

type param struct{ name, value string }

// Param returns the value of the parameter called name, ignoring case, and
// whether it is there. When it is there several times, the forms of RFC 2231
// win.
func (p Parameterized) Param(name string) (string, bool) {
	for _, q := range p.params {
		if strings.EqualFold(q.name, name) {
			return q.value, true
		}
	}
	return "", false
}

// ParamAll returns every value that any reader might take for the parameter
// called name.
func (p Parameterized) ParamAll(name string) []string {
	var out []string
	for _, q := range p.params {
		if strings.EqualFold(q.name, name) {
			out = append(out, q.value)
		}
	}
	return out
}

// ParseParameterized reads a value with parameters (RFC 2045 §5.1, RFC 2183 §2)
// and undoes the encodings and continuations of RFC 2231. It makes the best of
// what is malformed, as mail readers do: values with blanks need no quotes, a
// quoted string ends with the field at the latest, and what is no parameter is
// passed over. So a filter sees the file name that a reader will show.
func ParseParameterized(v string) Parameterized {
	main, rest, _ := strings.Cut(v, ";")
	main, _, _ = strings.Cut(main, "(")
	p := Parameterized{Main: strings.ToLower(strings.TrimSpace(main))}
	var plain, extended []param
	for rest != "" {
		var q param
		q, rest = nextParam(rest)
		switch {
		case q.name == "":
		case strings.Contains(q.name, "*"):
			extended = append(extended, q)
		default:
			q.value = DecodeText(q.value)
			plain = append(plain, q)
		}
	}
	p.params = append(joinExtended(extended), plain...)
	return p
}

// nextParam reads one parameter and the semicolon behind it. The name is empty
// when there is none.
func nextParam(s string) (p param, rest string) {
	i := strings.IndexAny(s, "=;")
	if i < 0 {
		return param{}, ""
	}
	name := strings.TrimSpace(s[:i])
	if s[i] == ';' {
		return param{}, s[i+1:]
	}
	s = strings.TrimLeft(s[i+1:], " \t")
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ := strings.Cut(s, ";")
		return param{name, strings.TrimSpace(value)}, rest
	}
	value, s := quotedString(s[1:])
	_, rest, _ = strings.Cut(s, ";")
	return param{name, value}, rest
}

// quotedString reads up to the closing quote and takes out the backslashes.
func quotedString(s string) (value, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:]
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// segment is a piece of a value: name*0, name*1*, or the whole of it, name*.
type segment struct {
	number  int
	encoded bool
	value   string
}

// joinExtended puts together the values of RFC 2231 §3 and §4, in the order in
// which their names appear.
func joinExtended(list []param) []param {
	var names []string
	pieces := map[string][]segment{}
	for _, q := range list {
		name, num, _ := strings.Cut(q.name, "*")
		s := segment{value: q.value}
		if num, s.encoded = strings.CutSuffix(num, "*"); num == "" {
			s.encoded = true
		} else if n, err := strconv.ParseUint(num, 10, 16); err == nil {
			s.number = int(n)
		} else {
			continue
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if pieces[name] == nil {
			names = append(names, name)
		}
		pieces[name] = append(pieces[name], s)
	}
	out := make([]param, 0, len(names))
	for _, name := range names {
		slices.SortStableFunc(pieces[name], func(a, b segment) int { return a.number - b.number })
		out = append(out, param{name, joinSegments(pieces[name])})
	}
	return out
}

// joinSegments decodes the segments, in order. The first one names the charset.
func joinSegments(list []segment) string {
	var b strings.Builder
	label := ""
	for i, s := range list {
		if s.encoded && i == 0 {
			if parts := strings.SplitN(s.value, "'", 3); len(parts) == 3 {
				label, s.value = parts[0], parts[2]
			}
		}
		if s.encoded {
			s.value = percentDecode(s.value)
		}
		b.WriteString(s.value)
	}
	return toUTF8(b.String(), label)
}

func percentDecode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// toUTF8 converts from the charset called label; an unknown one leaves s as it
// is when that is UTF-8, and is ISO 8859-1 otherwise.
func toUTF8(s, label string) string {
	if label != "" && !strings.EqualFold(label, "utf-8") {
		if r, err := charset.Reader(label, strings.NewReader(s)); err == nil {
			if out, err := io.ReadAll(r); err == nil {
				return string(out)
			}
		}
	}
	if !utf8.ValidString(s) {
		return latin1(s)
	}
	return s
}
