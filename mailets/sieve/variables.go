package sieve

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// template is a string of a script: what it says, and the pieces it is made of
// when it refers to variables (RFC 5229 §3).
type template struct {
	pos   position
	text  string
	parts []part // nil for a string without variables
}

// part is a piece of text, or the name of a variable.
type part struct {
	text  string
	name  string // lower case, "" for a match variable or text
	match int    // number of a match variable, -1 for none
}

func (t template) constant() bool { return t.parts == nil }

// maxMatchVariable is the largest match variable (RFC 5229 §3.2 asks for 9).
const maxMatchVariable = 32

// template decodes the characters of a string that are given by number, and then
// finds its variables (RFC 5228 §2.4.2.4, RFC 5229 §3).
func (c *checker) template(s stringAt) template {
	t := template{pos: s.pos, text: s.text}
	if c.ext["encoded-character"] {
		t.text = c.decodeCharacters(s)
	}
	if !c.ext["variables"] || !strings.Contains(t.text, "${") {
		return t
	}
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			t.parts = append(t.parts, part{text: plain.String(), match: -1})
			plain.Reset()
		}
	}
	rest, found := t.text, false
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			break
		}
		p, n := c.reference(rest[i:], s.pos)
		if n == 0 {
			plain.WriteString(rest[:i+2])
			rest = rest[i+2:]
			continue
		}
		plain.WriteString(rest[:i])
		flush()
		t.parts = append(t.parts, p)
		rest, found = rest[i+n:], true
	}
	if !found {
		return t
	}
	plain.WriteString(rest)
	flush()
	return t
}

// maxReference bounds ${name}: longer names are none.
const maxReference = 128

// reference reads ${name} at the start of s and returns its length, 0 when there
// is none: such text stands for itself.
func (c *checker) reference(s string, pos position) (part, int) {
	end := strings.IndexByte(s[:min(len(s), maxReference)], '}')
	if end < 3 {
		return part{}, 0
	}
	name := strings.ToLower(s[2:end])
	if isNumber(name) {
		n, err := strconv.Atoi(name)
		if err != nil || n > maxMatchVariable {
			c.errorf(pos, "match variable ${%s} is beyond ${%d}", shorten(name), maxMatchVariable)
			n = 0
		}
		return part{match: n}, end + 1
	}
	space, base, dotted := strings.Cut(name, ".")
	if !dotted {
		base = name
	}
	for _, piece := range strings.Split(base, ".") {
		if !isIdentifier(piece) {
			return part{}, 0
		}
	}
	if dotted {
		if !isIdentifier(space) {
			return part{}, 0
		}
		c.errorf(pos, "variables in the namespace %q are not known", shorten(space))
	}
	return part{name: name, match: -1}, end + 1
}

func isNumber(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		if !isLetter(s[i]) && s[i] != '_' && (!isDigit(s[i]) || i == 0) {
			return false
		}
	}
	return s != ""
}

// decodeCharacters replaces ${hex: 40 41} by octets and ${unicode: 40 41} by
// characters. Text that only looks like it stands for itself; characters that
// there are not are an error (RFC 5228 §2.4.2.4).
func (c *checker) decodeCharacters(s stringAt) string {
	var b strings.Builder
	rest := s.text
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			break
		}
		b.WriteString(rest[:i])
		rest = rest[i:]
		if dec, n := c.decodeHex(rest, s.pos); n > 0 {
			b.WriteString(dec)
			rest = rest[n:]
			continue
		}
		b.WriteString(rest[:2])
		rest = rest[2:]
	}
	b.WriteString(rest)
	if out := b.String(); utf8.ValidString(out) && strings.IndexByte(out, 0) < 0 {
		return out
	}
	c.errorf(s.pos, "the encoded characters do not make text in UTF-8")
	return ""
}

// decodeHex decodes one group of characters at the start of s and returns its
// length, 0 when there is none.
func (c *checker) decodeHex(s string, pos position) (string, int) {
	kind := ""
	for _, k := range []string{"hex", "unicode"} {
		if n := len(k) + 3; len(s) > n && strings.EqualFold(s[2:n], k+":") {
			kind = k
		}
	}
	if kind == "" {
		return "", 0
	}
	start := len(kind) + 3
	end := start
	for end < len(s) && strings.IndexByte("0123456789abcdefABCDEF \t\r\n", s[end]) >= 0 {
		end++
	}
	fields := strings.Fields(s[start:end])
	if end == len(s) || s[end] != '}' || len(fields) == 0 {
		return "", 0
	}
	var out []byte
	for _, f := range fields {
		n, err := strconv.ParseUint(f, 16, 32)
		switch {
		case kind == "hex" && len(f) > 2:
			return "", 0
		case kind == "hex":
			out = append(out, byte(n))
		case err != nil || n > utf8.MaxRune || 0xd800 <= n && n <= 0xdfff:
			c.errorf(pos, "%s is no character of Unicode", shorten(f))
		default:
			out = utf8.AppendRune(out, rune(n))
		}
	}
	return string(out), end + 1
}

// maxExpanded bounds a string with its variables filled in.
const maxExpanded = 256 << 10

// expand fills the variables in. Unknown ones are empty.
func (r *run) expand(t template) (string, error) {
	if t.constant() {
		return t.text, nil
	}
	n := 0
	for _, p := range t.parts {
		n += len(r.part(p))
	}
	if n > maxExpanded {
		return "", t.pos.errorf("the string has %d octets with its variables, more than %d", n, maxExpanded)
	}
	if err := r.spend(n + 16*len(t.parts)); err != nil {
		return "", err
	}
	var b strings.Builder
	b.Grow(n)
	for _, p := range t.parts {
		b.WriteString(r.part(p))
	}
	return b.String(), nil
}

func (r *run) part(p part) string {
	switch {
	case p.match >= len(r.matched):
		return ""
	case p.match >= 0:
		return r.matched[p.match]
	case p.name != "":
		return r.variables[p.name]
	default:
		return p.text
	}
}

func (r *run) expandAll(v value) ([]string, error) {
	out := make([]string, len(v.list))
	for i, t := range v.list {
		s, err := r.expand(t)
		if err != nil {
			return nil, err
		}
		out[i] = s
	}
	return out, nil
}

// one is the only string of an argument, "" when it is not there.
func (r *run) one(v value) (string, error) {
	if !v.present {
		return "", nil
	}
	return r.expand(v.list[0])
}

// cutText returns s, or the longest beginning of it that has at most n octets and
// does not end within a character.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// setTags are the modifiers of set; the group is their precedence (RFC 5229 §4.1).
func setTags() []tagSpec {
	return []tagSpec{
		{name: "lower", group: "40"}, {name: "upper", group: "40"},
		{name: "lowerfirst", group: "30"}, {name: "upperfirst", group: "30"},
		{name: "quotewildcard", group: "20"}, {name: "length", group: "10"},
	}
}

func checkSet(c *checker, call *call) { c.variable(call.args[0]) }

// variable checks the name of a variable that is to be changed.
func (c *checker) variable(v value) {
	name := strings.ToLower(v.list[0].text)
	if !isIdentifier(name) {
		c.errorf(v.pos, "%q is not the name of a variable that can be set", shorten(name))
		return
	}
	c.variables[name] = true
	if len(c.variables) == c.limits.Variables+1 {
		c.errorf(v.pos, "more than %d variables", c.limits.Variables)
	}
}

func execSet(r *run, c *call) error {
	s, err := r.one(c.args[1])
	if err != nil {
		return err
	}
	if err := r.spend(len(s)); err != nil {
		return err
	}
	switch {
	case c.has("lower"):
		s = flip(s, 'A')
	case c.has("upper"):
		s = flip(s, 'a')
	}
	n := min(1, len(s))
	switch {
	case c.has("lowerfirst"):
		s = flip(s[:n], 'A') + s[n:]
	case c.has("upperfirst"):
		s = flip(s[:n], 'a') + s[n:]
	}
	if c.has("quotewildcard") {
		s = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `\`, `\\`).Replace(s)
	}
	if c.has("length") {
		s = strconv.Itoa(utf8.RuneCountInString(s))
	}
	r.set(c.args[0].list[0].text, s)
	return nil
}

// set gives a variable a value, which is cut at the limit.
func (r *run) set(name, value string) {
	r.variables[strings.ToLower(name)] = cutText(value, r.script.limits.Variable)
}

// flip changes the case of the ASCII letters from first to first+25, and of nothing
// else (RFC 5229 §4.1).
func flip(s string, first byte) string {
	b := []byte(s)
	for i, c := range b {
		if c -= first; c < 26 {
			b[i] ^= 'a' - 'A'
		}
	}
	return string(b)
}
