package javaregex

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxDepth bounds the nesting of groups, which costs stack.
const maxDepth = 200

// Line ends as Java sees them, for use within a class.
const lineEnds = `\n\r\x85\u2028\u2029`

// flags are those that are dealt with here; (?i) is left to regexp2.
type flags struct {
	unixLines, multiline, dotAll, comments, unicodeClass bool
}

// translator rewrites an expression from Java's syntax to that of regexp2.
type translator struct {
	src     []rune
	pos     int
	out     []byte
	flags   flags
	quoting bool // between \Q and \E
	depth   int
	groups  int
	names   map[string]int
}

func translate(source string) (string, error) {
	t := translator{src: []rune(source), names: map[string]int{}}
	if err := t.sequence(); err != nil {
		return "", fmt.Errorf("%w, at character %d", err, t.pos)
	}
	if t.pos < len(t.src) {
		return "", errors.New("unmatched closing )")
	}
	return string(t.out), nil
}

func (t *translator) has(s string) bool {
	r := []rune(s)
	return len(t.src)-t.pos >= len(r) && slices.Equal(t.src[t.pos:t.pos+len(r)], r)
}

// accept passes over s if it comes next.
func (t *translator) accept(s string) bool {
	ok := t.has(s)
	if ok {
		t.pos += len([]rune(s))
	}
	return ok
}

func (t *translator) end() bool { return t.pos >= len(t.src) }

func (t *translator) emit(s string) { t.out = append(t.out, s...) }

// literal appends a character that stands for itself, in a class and outside.
func (t *translator) literal(r rune) {
	if r < 0x80 && !isWord(r) {
		t.out = fmt.Appendf(t.out, `\x%02x`, r)
		return
	}
	t.emit(string(r))
}

// skip passes over \Q and \E, and over blanks and comments where they do not
// count.
func (t *translator) skip() {
	for !t.end() {
		switch c := t.src[t.pos]; {
		case t.quoting && t.accept(`\E`):
			t.quoting = false
		case t.quoting:
			return
		case t.accept(`\Q`):
			t.quoting = true
		case t.flags.comments && strings.ContainsRune(" \t\n\v\f\r", c):
			t.pos++
		case t.flags.comments && c == '#':
			for !t.end() && t.src[t.pos] != '\n' && t.src[t.pos] != '\r' {
				t.pos++
			}
		default:
			return
		}
	}
}

// sequence translates up to the end or an unmatched ")".
func (t *translator) sequence() error {
	for t.skip(); !t.end(); t.skip() {
		start := len(t.out)
		repeatable := true
		c := t.src[t.pos]
		switch {
		case t.quoting:
			t.pos++
			t.literal(c)
		case c == ')':
			return nil
		case c == '|':
			t.pos++
			t.emit("|")
			continue
		default:
			t.pos++
			var err error
			if repeatable, err = t.atom(c); err != nil {
				return err
			}
		}
		if repeatable {
			if err := t.quantifier(start); err != nil {
				return err
			}
		}
	}
	return nil
}

// atom translates what begins with c. A group that only sets flags cannot be
// repeated.
func (t *translator) atom(c rune) (repeatable bool, err error) {
	switch c {
	case '(':
		return t.group()
	case '[':
		return true, t.class()
	case '\\':
		return true, t.escape()
	case '.':
		t.emit(t.dot())
	case '^':
		t.emit(t.caret())
	case '$':
		t.emit(t.dollar(t.flags.multiline))
	case '*', '+', '?':
		return false, fmt.Errorf("nothing to repeat before %c", c)
	case '{':
		return false, errors.New("illegal repetition {")
	default:
		t.literal(c)
	}
	return true, nil
}

func (t *translator) dot() string {
	switch {
	case t.flags.dotAll:
		return `[\s\S]`
	case t.flags.unixLines:
		return `[^\n]`
	}
	return `[^` + lineEnds + `]`
}

func (t *translator) caret() string {
	switch {
	case !t.flags.multiline:
		return `\A`
	case t.flags.unixLines:
		return `(?:(?:\A|(?<=\n))(?!\z))`
	}
	return `(?:(?:\A|(?<=[\n\x85\u2028\u2029])|(?<=\r)(?!\n))(?!\z))`
}

// dollar is the end of the text, or before the line end there; or that of any
// line. It is never between CR and LF.
func (t *translator) dollar(multiline bool) string {
	switch {
	case multiline && t.flags.unixLines:
		return `(?=\n|\z)`
	case multiline:
		return `(?:(?=[` + lineEnds + `]|\z)(?!(?<=\r)\n))`
	case t.flags.unixLines:
		return `(?=\n?\z)`
	}
	return `(?:(?=(?:\r\n|[` + lineEnds + `])?\z)(?!(?<=\r)\n))`
}

// group translates what follows "(".
func (t *translator) group() (repeatable bool, err error) {
	if t.depth++; t.depth > maxDepth {
		return false, errors.New("groups are nested too deeply")
	}
	defer func() { t.depth-- }()
	before := t.flags
	plain := true
	switch {
	case !t.has("?"):
		t.capture("")
	case t.accept("?:"), t.accept("?="), t.accept("?!"), t.accept("?>"), t.accept("?<="), t.accept("?<!"):
		i := t.pos - 1
		for t.src[i] != '?' {
			i--
		}
		t.emit("(" + string(t.src[i:t.pos]))
	case t.accept("?<"):
		name := t.word()
		if !t.accept(">") || name == "" || name[0] <= '9' || t.names[name] != 0 {
			return false, fmt.Errorf("bad name of a group: %q", name)
		}
		t.capture(name)
	default:
		t.pos++
		if plain, err = t.setFlags(); err != nil {
			return false, err
		}
	}
	if !plain {
		return false, nil // (?i): until the enclosing group ends
	}
	if err := t.sequence(); err != nil {
		return false, err
	}
	if !t.accept(")") {
		return false, errors.New("unclosed group")
	}
	t.emit(")")
	t.flags = before
	return true, nil
}

// capture opens a capturing group. Java counts named and other groups
// together, from left to right.
func (t *translator) capture(name string) {
	t.groups++
	if name != "" {
		t.names[name] = t.groups
	}
	t.emit("(?<" + strconv.Itoa(t.groups) + ">")
}

// word reads ASCII letters and digits.
func (t *translator) word() string {
	start := t.pos
	for !t.end() && isWord(t.src[t.pos]) {
		t.pos++
	}
	return string(t.src[start:t.pos])
}

func isWord(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z' && r < 0x80
}

// setFlags translates what follows "(?": flags for a group (group is true then)
// or for what follows.
func (t *translator) setFlags() (group bool, err error) {
	on, fold := true, ""
	for !t.end() {
		c := t.src[t.pos]
		t.pos++
		switch c {
		case '-':
			on = false
		case 'i':
			fold = "-i"
			if on {
				fold = "i"
			}
		case 'd':
			t.flags.unixLines = on
		case 'm':
			t.flags.multiline = on
		case 's':
			t.flags.dotAll = on
		case 'x':
			t.flags.comments = on
		case 'U':
			t.flags.unicodeClass = on
		case 'u':
		case ':', ')':
			if c == ':' || fold != "" {
				t.emit("(?" + fold + string(c))
			}
			return c == ':', nil
		default:
			return false, fmt.Errorf("unknown kind of group (?%c", c)
		}
	}
	return false, errors.New("unclosed group")
}

// quantifier translates a quantifier, if one comes next, for the atom that
// begins at out[start].
func (t *translator) quantifier(start int) error {
	t.skip()
	if t.quoting || t.end() {
		return nil
	}
	switch c := t.src[t.pos]; c {
	case '*', '+', '?':
		t.pos++
		t.emit(string(c))
	case '{':
		t.pos++
		if err := t.counts(); err != nil {
			return err
		}
	default:
		return nil
	}
	switch {
	case t.accept("?"):
		t.emit("?")
	case t.accept("+"): // possessive
		t.out = slices.Insert(t.out, start, []byte("(?>")...)
		t.emit(")")
	}
	return nil
}

// counts translates what follows "{".
func (t *translator) counts() error {
	low, high, ranged := t.word(), "", false
	if t.accept(",") {
		ranged, high = true, t.word()
	}
	n, err := strconv.ParseInt(low, 10, 32)
	if err != nil || !t.accept("}") {
		return errors.New("illegal repetition {")
	}
	if high != "" {
		if m, err := strconv.ParseInt(high, 10, 32); err != nil || m < n {
			return errors.New("illegal repetition range")
		}
	}
	t.emit("{" + low)
	if ranged {
		t.emit("," + high)
	}
	t.emit("}")
	return nil
}
