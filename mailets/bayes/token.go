package bayes

import (
	"bufio"
	"io"
	"strings"
	"unicode"
)

// MaxTokens is how many different tokens are taken from one message.
const MaxTokens = 20000

// maxToken is the length of a token with its header name, in characters, from
// which on it is not taken (James: Tokenizer).
const maxToken = 90

// headers are the names, with their colon, that mark the tokens behind them on
// the line: "Subject:money" is not "money".
var headers = map[string]bool{"From:": true, "Return-Path:": true, "Subject:": true, "To:": true}

// Count reads a message and counts its tokens: runs of letters, digits, - $ € !
// and ', with . and , between digits, other than numbers.
func Count(r io.Reader) (map[string]int64, error) {
	t := tokenizer{r: bufio.NewReader(r), counts: map[string]int64{}}
	for {
		end, err := t.next()
		if err != nil {
			return nil, err
		}
		if t.text.Len() > 0 {
			t.take()
		}
		if end == endOfLine {
			t.header = ""
		}
		if end == endOfText {
			return t.counts, nil
		}
	}
}

type tokenizer struct {
	r      *bufio.Reader
	counts map[string]int64
	header string // name that marks the tokens of this line
	text   strings.Builder
	length int // of text, in characters, and of what was too much for it
	digits bool
}

type ending int

const (
	endOfToken ending = iota
	endOfLine
	endOfText
)

// next reads a token into text, "" when there is none before the end.
func (t *tokenizer) next() (ending, error) {
	t.text.Reset()
	t.length, t.digits = 0, true
	afterDigit := false
	for {
		c, _, err := t.r.ReadRune()
		if err == io.EOF {
			return endOfText, nil
		}
		if err != nil {
			return endOfText, err
		}
		switch {
		case c == ':' && headers[t.text.String()+":"]:
			t.add(c)
			return endOfToken, nil
		case isWord(c):
			t.add(c)
			t.digits, afterDigit = false, false
		case isDigit(c):
			t.add(c)
			afterDigit = true
		case afterDigit && (c == '.' || c == ','):
			if next, ok := t.peekDigit(); ok {
				t.add(c)
				t.add(next)
				t.digits = false
				continue
			}
			return endOfToken, nil
		case c == '\n':
			return endOfLine, nil
		case c != '\r' && t.length > 0:
			return endOfToken, nil
		}
	}
}

// peekDigit reads the next character if it is a digit.
func (t *tokenizer) peekDigit() (rune, bool) {
	c, _, err := t.r.ReadRune()
	if err != nil {
		return 0, false // met again by the next read
	}
	if isDigit(c) {
		return c, true
	}
	_ = t.r.UnreadRune() // it was just read
	return 0, false
}

func (t *tokenizer) add(c rune) {
	if t.length++; t.length < maxToken {
		t.text.WriteRune(c)
	}
}

// take counts the token in text, or lets it mark the line.
func (t *tokenizer) take() {
	text := t.text.String()
	switch {
	case len(t.header)+t.length >= maxToken || t.digits:
		return
	case headers[text]:
		t.header = text
		return
	}
	text = t.header + text
	if _, known := t.counts[text]; known || len(t.counts) < MaxTokens {
		t.counts[text]++
	}
}

func isWord(c rune) bool {
	switch {
	case c < 0x80:
		return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '-' || c == '$' || c == '!' || c == '\''
	case c == '€':
		return true
	}
	return c <= 0xffff && unicode.IsLetter(c)
}

func isDigit(c rune) bool {
	return c >= '0' && c <= '9' || c >= 0x80 && c <= 0xffff && unicode.IsDigit(c)
}

// tooManyMarks are more exclamation marks than fewer are tried of: a message of
// such words, each with a form for each of eighty marks, would cost a lot.
const tooManyMarks = "!!!!!!!!!"

// degenerate returns the tokens that stand for one that was never seen: without
// the mark of the header, in lower case, with a capital at the beginning only,
// with fewer exclamation marks.
func degenerate(token string) []string {
	header, text := "", token
	if i := strings.IndexByte(token, ':'); i >= 0 {
		header, text = token[:i+1], token[i+1:]
	}
	var out []string
	add := func(s string) {
		if s == "" {
			return
		}
		if header+s != token {
			out = append(out, header+s)
		}
		if header != "" {
			out = append(out, s)
		}
	}
	lower := strings.ToLower(text)
	for {
		add(text)
		if lower != text {
			add(lower)
			if text[0] >= 'A' && text[0] <= 'Z' && text[1:] != lower[1:] {
				add(text[:1] + lower[1:])
			}
		}
		if !strings.HasSuffix(text, "!") || len(lower) != len(text) {
			return out
		}
		fewer := len(text) - 1
		for strings.HasSuffix(text[:fewer], tooManyMarks) {
			fewer--
		}
		text, lower = text[:fewer], lower[:fewer]
	}
}
