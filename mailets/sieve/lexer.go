package sieve

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// position is a place in a script, counted from 1.
type position struct{ line, column int }

func (p position) errorf(format string, args ...any) *Error {
	return &Error{Line: p.line, Column: p.column, Text: fmt.Sprintf(format, args...)}
}

// tokenKind is what a token is; punctuation is its own character.
type tokenKind byte

const (
	tokenEnd        tokenKind = 0
	tokenIdentifier tokenKind = 'a'
	tokenTag        tokenKind = ':'
	tokenNumber     tokenKind = '0'
	tokenString     tokenKind = '"'
)

type token struct {
	kind tokenKind
	pos  position
	text string // identifier and tag in lower case; value of a string
	num  int64
}

// String describes the token for an error.
func (t token) String() string {
	switch t.kind {
	case tokenEnd:
		return "end of the script"
	case tokenIdentifier:
		return `"` + shorten(t.text) + `"`
	case tokenTag:
		return `":` + shorten(t.text) + `"`
	case tokenNumber:
		return fmt.Sprintf("number %d", t.num)
	case tokenString:
		return "string"
	default:
		return `"` + string(rune(t.kind)) + `"`
	}
}

// shorten makes a piece of a script fit for an error.
func shorten(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// lexer makes tokens of a script (RFC 5228 §8.1). A line ends with CRLF or LF.
type lexer struct {
	text  string
	at    int
	line  int
	start int // where the line begins
}

func (l *lexer) pos() position { return position{l.line, l.at - l.start + 1} }

// newline notes that l.at is behind a line end.
func (l *lexer) newline() {
	l.line++
	l.start = l.at
}

// next returns the next token.
func (l *lexer) next() (token, *Error) {
	if err := l.skip(); err != nil {
		return token{}, err
	}
	t := token{pos: l.pos()}
	if l.at == len(l.text) {
		return t, nil
	}
	switch c := l.text[l.at]; {
	case strings.IndexByte("[]{}(),;", c) >= 0:
		l.at++
		t.kind = tokenKind(c)
	case c == '"':
		return l.quoted(t)
	case c == ':':
		l.at++
		t.kind = tokenTag
		if t.text = l.word(); t.text == "" {
			return t, t.pos.errorf(`":" without the name of a tag`)
		}
	case '0' <= c && c <= '9':
		return l.number(t)
	case isLetter(c) || c == '_':
		t.kind, t.text = tokenIdentifier, l.word()
		if t.text == "text" && l.at < len(l.text) && l.text[l.at] == ':' {
			return l.multiline(t)
		}
	default:
		r, _ := utf8.DecodeRuneInString(l.text[l.at:])
		return t, t.pos.errorf("unexpected character %q", r)
	}
	return t, nil
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// word reads an identifier, "" when there is none.
func (l *lexer) word() string {
	from := l.at
	for l.at < len(l.text) {
		c := l.text[l.at]
		if !isLetter(c) && c != '_' && (!isDigit(c) || l.at == from) {
			break
		}
		l.at++
	}
	return strings.ToLower(l.text[from:l.at])
}

// skip passes over white space and comments.
func (l *lexer) skip() *Error {
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c == ' ' || c == '\t' || c == '\r':
			l.at++
		case c == '\n':
			l.at++
			l.newline()
		case c == '#':
			n := strings.IndexByte(l.text[l.at:], '\n')
			if n < 0 {
				n = len(l.text) - l.at
			}
			l.at += n
		case strings.HasPrefix(l.text[l.at:], "/*"):
			start := l.pos()
			n := strings.Index(l.text[l.at+2:], "*/")
			if n < 0 {
				return start.errorf("comment does not end")
			}
			l.pass(n + 4)
		default:
			return nil
		}
	}
	return nil
}

// pass goes n octets on and counts the lines in them.
func (l *lexer) pass(n int) {
	end := l.at + n
	for {
		i := strings.IndexByte(l.text[l.at:end], '\n')
		if i < 0 {
			break
		}
		l.at += i + 1
		l.newline()
	}
	l.at = end
}

// maxNumber is the largest number (RFC 5228 §2.4.1 asks for 2^31-1).
const maxNumber = 1<<53 - 1

func (l *lexer) number(t token) (token, *Error) {
	t.kind = tokenNumber
	for l.at < len(l.text) && isDigit(l.text[l.at]) {
		if t.num > maxNumber {
			break
		}
		t.num = t.num*10 + int64(l.text[l.at]-'0')
		l.at++
	}
	if l.at < len(l.text) {
		if shift := strings.IndexByte("kmg", l.text[l.at]|0x20); shift >= 0 {
			l.at++
			if t.num > maxNumber>>(10*(shift+1)) {
				return t, t.pos.errorf("number is too large")
			}
			t.num <<= 10 * (shift + 1)
		}
	}
	if t.num > maxNumber {
		return t, t.pos.errorf("number is too large")
	}
	if l.at < len(l.text) && (isLetter(l.text[l.at]) || isDigit(l.text[l.at]) || l.text[l.at] == '_') {
		return t, l.pos().errorf("unexpected character %q in a number", l.text[l.at])
	}
	return t, nil
}

// quoted reads a quoted string; line ends in it become CRLF. A backslash before
// anything but a quote or a backslash is dropped (RFC 5228 §2.4.2).
func (l *lexer) quoted(t token) (token, *Error) {
	t.kind = tokenString
	var b strings.Builder
	l.at++
	for l.at < len(l.text) {
		c := l.text[l.at]
		l.at++
		switch {
		case c == '"':
			t.text = b.String()
			return t, nil
		case c == '\\' && l.at < len(l.text) && l.text[l.at] != '\r' && l.text[l.at] != '\n':
			b.WriteByte(l.text[l.at])
			l.at++
		case c == '\\':
		case c == '\r' && l.at < len(l.text) && l.text[l.at] == '\n':
		case c == '\n':
			b.WriteString("\r\n")
			l.newline()
		default:
			b.WriteByte(c)
		}
	}
	return t, t.pos.errorf("string does not end")
}

// multiline reads the rest of text: and the lines up to one with a dot alone
// (RFC 5228 §2.4.2).
func (l *lexer) multiline(t token) (token, *Error) {
	t.kind = tokenString
	l.at++
	rest, ok := l.takeLine()
	if !ok {
		return t, t.pos.errorf("text: does not end")
	}
	if rest = strings.TrimLeft(rest, " \t"); rest != "" && rest[0] != '#' {
		return t, t.pos.errorf("only a comment may follow text: on its line")
	}
	var b strings.Builder
	for {
		line, more := l.takeLine()
		if line == "." {
			t.text = b.String()
			return t, nil
		}
		if !more {
			return t, t.pos.errorf("text: does not end; a line with a dot alone is missing")
		}
		if strings.HasPrefix(line, ".") {
			line = line[1:] // dot-stuffed, or a dot that should have been (§2.4.2)
			if !strings.HasPrefix(line, ".") {
				b.WriteByte('.')
			}
		}
		b.WriteString(line)
		b.WriteString("\r\n")
	}
}

// takeLine returns the rest of the line without its end; ok is false when it is
// the last one and has none.
func (l *lexer) takeLine() (line string, ok bool) {
	n := strings.IndexByte(l.text[l.at:], '\n')
	if n < 0 {
		line = l.text[l.at:]
		l.at = len(l.text)
		return strings.TrimSuffix(line, "\r"), false
	}
	line = l.text[l.at : l.at+n]
	l.at += n + 1
	l.newline()
	return strings.TrimSuffix(line, "\r"), true
}
