package javaregex

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// ranges are pairs of the first and the last character.
type ranges []rune

// Classes that have a letter of their own, in capitals the complement.
func shorthand(c rune) ranges {
	switch unicode.ToLower(c) {
	case 'd':
		return ranges{'0', '9'}
	case 'w':
		return ranges{'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}
	case 's':
		return ranges{'\t', '\r', ' ', ' '}
	case 'h':
		return ranges{'\t', '\t', ' ', ' ', 0xa0, 0xa0, 0x1680, 0x1680, 0x180e, 0x180e, 0x2000, 0x200a, 0x202f, 0x202f, 0x205f, 0x205f, 0x3000, 0x3000}
	case 'v':
		return ranges{'\n', '\r', 0x85, 0x85, 0x2028, 0x2029}
	}
	return nil
}

// posix returns the classes of \p{…} that are ASCII in Java.
func posix(name string) ranges {
	switch name {
	case "Lower":
		return ranges{'a', 'z'}
	case "Upper":
		return ranges{'A', 'Z'}
	case "ASCII":
		return ranges{0, 0x7f}
	case "Alpha":
		return ranges{'A', 'Z', 'a', 'z'}
	case "Digit":
		return ranges{'0', '9'}
	case "Alnum":
		return ranges{'0', '9', 'A', 'Z', 'a', 'z'}
	case "Punct":
		return ranges{'!', '/', ':', '@', '[', '`', '{', '~'}
	case "Graph":
		return ranges{'!', '~'}
	case "Print":
		return ranges{' ', '~'}
	case "Blank":
		return ranges{'\t', '\t', ' ', ' '}
	case "Cntrl":
		return ranges{0, 0x1f, 0x7f, 0x7f}
	case "XDigit":
		return ranges{'0', '9', 'A', 'F', 'a', 'f'}
	case "Space":
		return shorthand('s')
	}
	return nil
}

// complement returns the characters that are not in r.
func (r ranges) complement() ranges {
	var out ranges
	from := rune(0)
	for i := 0; i < len(r); i += 2 {
		if r[i] > from {
			out = append(out, from, r[i]-1)
		}
		from = r[i+1] + 1
	}
	if from <= utf8.MaxRune {
		out = append(out, from, utf8.MaxRune)
	}
	return out
}

// members appends the ranges as they stand within a class.
func (t *translator) members(r ranges) {
	for i := 0; i < len(r); i += 2 {
		t.literal(r[i])
		if r[i+1] > r[i] {
			t.emit("-")
			t.literal(r[i+1])
		}
	}
}

// escape translates what follows a backslash outside a class.
func (t *translator) escape() error {
	if t.end() {
		return errors.New("backslash at the end")
	}
	switch c := t.src[t.pos]; {
	case '1' <= c && c <= '9':
		return t.backReference()
	case c == 'b' && t.accept("b{"), strings.ContainsRune("XN", c):
		return fmt.Errorf(`\%c is not supported here`, c)
	case strings.ContainsRune("bBAzG", c):
		t.pos++
		t.emit(`\` + string(c))
		return nil
	case t.accept("Z"):
		t.emit(t.dollar(false))
		return nil
	case t.accept("R"):
		t.emit(`(?:\r\n|[\n-\r\x85\u2028\u2029])`)
		return nil
	case t.accept("k<"):
		n := t.names[t.word()]
		if !t.accept(">") || n == 0 {
			return errors.New(`\k names no group before it`)
		}
		t.emit(`\k<` + strconv.Itoa(n) + `>`)
		return nil
	}
	start := len(t.out)
	t.emit("[")
	if set, err := t.set(); set || err != nil {
		t.emit("]")
		return err
	}
	t.out = t.out[:start]
	r, err := t.char()
	t.literal(r)
	return err
}

// backReference reads as many digits as there are groups so far.
func (t *translator) backReference() error {
	n := int(t.src[t.pos] - '0')
	for t.pos++; !t.end() && '0' <= t.src[t.pos] && t.src[t.pos] <= '9'; t.pos++ {
		more := n*10 + int(t.src[t.pos]-'0')
		if more > t.groups {
			break
		}
		n = more
	}
	t.emit(`\k<` + strconv.Itoa(n) + `>`)
	return nil
}

// set translates an escape that stands for a class, as members of one. It
// returns false, and reads nothing, when it is another escape.
func (t *translator) set() (bool, error) {
	c := t.src[t.pos]
	if strings.ContainsRune("dDwWsS", c) && t.flags.unicodeClass {
		t.pos++
		t.emit(`\` + string(c))
		return true, nil
	}
	if r := shorthand(c); r != nil {
		t.pos++
		if unicode.IsUpper(c) {
			r = r.complement()
		}
		t.members(r)
		return true, nil
	}
	if c != 'p' && c != 'P' {
		return false, nil
	}
	t.pos++
	name, err := t.propertyName()
	if err != nil {
		return false, err
	}
	if r := posix(name); r != nil {
		if c == 'P' {
			r = r.complement()
		}
		t.members(r)
		return true, nil
	}
	general := strings.TrimPrefix(name, "Is")
	_, category := unicode.Categories[general]
	_, script := unicode.Scripts[general]
	if !category && (!script || general == name) {
		return false, fmt.Errorf(`\p{%s} is not supported here`, name)
	}
	t.emit(`\` + string(c) + `{` + general + `}`)
	return true, nil
}

// propertyName reads L or {Lu} behind \p.
func (t *translator) propertyName() (string, error) {
	if t.end() {
		return "", errors.New(`\p without a property`)
	}
	if !t.accept("{") {
		t.pos++
		return string(t.src[t.pos-1]), nil
	}
	n := slices.Index(t.src[t.pos:], '}')
	if n < 0 {
		return "", errors.New(`\p{ is not closed`)
	}
	name := string(t.src[t.pos : t.pos+n])
	t.pos += n + 1
	return name, nil
}

// char reads an escape that stands for one character.
func (t *translator) char() (rune, error) {
	if t.end() {
		return 0, errors.New("backslash at the end")
	}
	c := t.src[t.pos]
	t.pos++
	switch c {
	case 't':
		return '\t', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 'f':
		return '\f', nil
	case 'a':
		return 7, nil
	case 'e':
		return 0x1b, nil
	case 'c':
		if t.end() {
			return 0, errors.New(`\c without a character`)
		}
		t.pos++
		return t.src[t.pos-1] ^ 64, nil
	case '0':
		return t.octal()
	case 'x':
		if t.accept("{") {
			return t.braced()
		}
		return t.hex(2)
	case 'u':
		return t.utf16()
	}
	if isWord(c) {
		return 0, fmt.Errorf(`illegal escape \%c`, c)
	}
	return c, nil
}

// octal reads one to three digits, up to 377.
func (t *translator) octal() (rune, error) {
	var r rune
	n := 0
	for ; n < 3 && !t.end() && '0' <= t.src[t.pos] && t.src[t.pos] <= '7' && r*8 <= 0o377-7; n++ {
		r = r*8 + t.src[t.pos] - '0'
		t.pos++
	}
	if n == 0 {
		return 0, errors.New(`\0 without octal digits`)
	}
	return r, nil
}

func (t *translator) hex(n int) (rune, error) {
	if len(t.src)-t.pos < n {
		return 0, errors.New("too few hexadecimal digits")
	}
	v, err := strconv.ParseUint(string(t.src[t.pos:t.pos+n]), 16, 32)
	if err != nil {
		return 0, errors.New("bad hexadecimal digits")
	}
	t.pos += n
	return rune(v), nil
}

func (t *translator) braced() (rune, error) {
	v, err := strconv.ParseUint(t.word(), 16, 32)
	if err != nil || !t.accept("}") || !utf8.ValidRune(rune(v)) || v > utf8.MaxRune {
		return 0, errors.New(`bad character \x{…}`)
	}
	return rune(v), nil
}

// utf16 reads what follows \u; a character beyond U+FFFF is two of them.
func (t *translator) utf16() (rune, error) {
	r, err := t.hex(4)
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if t.accept(`\u`) {
		low, err := t.hex(4)
		if full := utf16.DecodeRune(r, low); err == nil && full != unicode.ReplacementChar {
			return full, nil
		}
	}
	return 0, errors.New(`\u is half a character`)
}

// class translates what follows "[".
func (t *translator) class() error {
	t.emit("[")
	if t.accept("^") {
		t.emit("^")
	}
	for empty := true; ; empty = false {
		t.skip()
		if t.end() {
			return errors.New("unclosed character class")
		}
		if !t.quoting {
			switch {
			case !empty && t.accept("]"):
				t.emit("]")
				return nil
			case t.has("["):
				return errors.New("a class within a character class is not supported here")
			case t.has("&&"):
				return errors.New("the intersection && of character classes is not supported here")
			}
		}
		if err := t.member(); err != nil {
			return err
		}
	}
}

// member translates one character, range or shorthand of a class.
func (t *translator) member() error {
	if !t.quoting && t.has(`\`) && len(t.src) > t.pos+1 {
		t.pos++
		if set, err := t.set(); set || err != nil {
			return err
		}
		t.pos--
	}
	low, err := t.memberChar()
	if err != nil {
		return err
	}
	t.literal(low)
	t.skip()
	if t.quoting || !t.has("-") || t.has("-]") || t.has("-[") {
		return nil
	}
	t.pos++
	if t.end() {
		return errors.New("unclosed character class")
	}
	high, err := t.memberChar()
	if err != nil {
		return err
	}
	if high < low {
		return errors.New("illegal character range")
	}
	t.emit("-")
	t.literal(high)
	return nil
}

func (t *translator) memberChar() (rune, error) {
	c := t.src[t.pos]
	t.pos++
	if c == '\\' && !t.quoting {
		return t.char()
	}
	return c, nil
}
