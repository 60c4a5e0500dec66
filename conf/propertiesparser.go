package conf

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Include finds the text of a properties file that another one includes.
type Include func(name string) ([]byte, error)

// ParseProperties reads one James properties file: key = value, key: value or
// key value; # and ! start a comment; \ at the end of a line joins the next
// one; commas separate items and \, is a comma; the keys include and
// includeoptional pull in other files through include (nil: there are none).
// Variables are replaced item by item, so that a comma in one does not split.
//
// Source: commons-configuration, PropertiesConfiguration.
func ParseProperties(name string, data []byte, include Include, vars *Vars, r *Report) *Properties {
	p := &Properties{Name: name, Exists: true, report: r}
	pr := propertiesParser{out: p, include: include}
	pr.file(name, data, []string{name})
	x := expander{vars: vars, report: r, lookup: func(key string) (string, bool) {
		if e := p.find(key); e != nil {
			return strings.Join(e.items, ","), true
		}
		return "", false
	}}
	done := make([][]string, len(p.entries)) // apart, since values refer to each other
	for i, e := range p.entries {
		x.within = []string{e.key}
		for _, item := range e.items {
			done[i] = append(done[i], x.value(e.pos, item))
		}
	}
	for i, e := range p.entries {
		e.items = done[i]
	}
	return p
}

type propertiesParser struct {
	out     *Properties
	include Include
}

func (pr *propertiesParser) file(name string, data []byte, chain []string) {
	if !utf8.Valid(data) {
		// Java reads such files as ISO-8859-1.
		data = fromLatin1(data)
	}
	lines := strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(strings.TrimPrefix(lines[i], "\ufeff"))
		if line == "" || isComment(line) {
			continue
		}
		at := Pos{name, i + 1, 1 + columnOf(lines[i])}
		for continues(line) {
			line = line[:len(line)-1]
			for i++; i < len(lines) && isComment(strings.TrimSpace(lines[i])); i++ {
			}
			if i >= len(lines) {
				break
			}
			line += strings.TrimSpace(lines[i])
		}
		pr.line(line, at, chain)
	}
}

// columnOf returns the number of blanks before the text.
func columnOf(line string) int {
	return utf8.RuneCountInString(line[:len(line)-len(strings.TrimLeft(line, " \t\f"))])
}

func isComment(line string) bool {
	return line != "" && (line[0] == '#' || line[0] == '!')
}

// continues reports whether line ends in an odd number of backslashes.
func continues(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

func (pr *propertiesParser) line(line string, at Pos, chain []string) {
	r := pr.out.report
	key, value := cutProperty(line)
	if key == "" {
		r.Warnf(at, "%q has no key; want key=value", line)
		return
	}
	items, bad := splitItems(value)
	if bad != "" {
		r.Errorf(at, "%s: %q is not a character; want \\u and four hexadecimal digits", key, bad)
	}
	switch strings.ToLower(key) {
	case "include", "includeoptional":
		for _, name := range items {
			pr.pull(name, strings.EqualFold(key, "includeoptional"), at, chain)
		}
		return
	}
	if e := pr.out.find(key); e != nil {
		e.items = append(e.items, items...)
		return
	}
	pr.out.entries = append(pr.out.entries, &property{key: key, items: items, pos: at})
}

func (pr *propertiesParser) pull(name string, optional bool, at Pos, chain []string) {
	r := pr.out.report
	if slices.Contains(chain, name) || len(chain) > 10 {
		r.Errorf(at, "include of %s: %s already includes this file", name, strings.Join(chain, " > "))
		return
	}
	if pr.include == nil {
		r.Errorf(at, "include of %s: files cannot be included here", name)
		return
	}
	data, err := pr.include(name)
	switch {
	case err == nil:
		pr.file(name, data, append(slices.Clone(chain), name))
	case !optional:
		r.Errorf(at, "include of %s: %v", name, err)
	}
}

// cutProperty separates key and value at the first =, : or blank that no
// backslash protects.
func cutProperty(line string) (key, value string) {
	var b strings.Builder
	i := 0
	for ; i < len(line); i++ {
		c := line[i]
		if c == '\\' && i+1 < len(line) {
			i++
			b.WriteByte(line[i])
			continue
		}
		if strings.IndexByte("=: \t\f", c) >= 0 {
			break
		}
		b.WriteByte(c)
	}
	rest := strings.TrimLeft(line[i:], " \t\f")
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = rest[1:]
	}
	return b.String(), strings.TrimSpace(rest)
}

// splitItems splits a value at its commas and resolves the escapes; bad is an
// escape that cannot be.
func splitItems(value string) (items []string, bad string) {
	var b strings.Builder
	done := func() {
		s := strings.TrimSpace(b.String())
		if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
			s = s[1 : len(s)-1]
		}
		items = append(items, s)
		b.Reset()
	}
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == ',':
			done()
		case c == '\\' && i+1 < len(value):
			i++
			n, ok := unescape(&b, value[i:])
			if !ok {
				bad = value[i-1 : min(i+5, len(value))]
			}
			i += n - 1
		default:
			b.WriteByte(c)
		}
	}
	done()
	return items, bad
}

// unescape writes the character that s, the text after a backslash, stands
// for. It returns the number of octets used.
func unescape(b *strings.Builder, s string) (n int, ok bool) {
	switch s[0] {
	case 't':
		b.WriteByte('\t')
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 'f':
		b.WriteByte('\f')
	case 'u':
		if len(s) < 5 {
			return 1, false
		}
		v, err := strconv.ParseUint(s[1:5], 16, 16)
		if err != nil {
			return 1, false
		}
		b.WriteRune(rune(v))
		return 5, true
	default:
		b.WriteByte(s[0])
	}
	return 1, true
}

// fromLatin1 turns ISO-8859-1 into UTF-8.
func fromLatin1(data []byte) []byte {
	out := make([]byte, 0, len(data)+len(data)/8)
	for _, c := range data {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}
