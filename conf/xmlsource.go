package conf

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// decodeXML returns the text of an XML file as UTF-8, without byte order mark.
func decodeXML(data []byte) ([]byte, error) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, errors.New("the file is in UTF-16; save it as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	switch enc := declaredEncoding(data); strings.ToLower(enc) {
	case "", "utf-8", "utf8":
		return bytes.Clone(data), nil
	case "iso-8859-1", "latin1":
		return fromLatin1(data), nil
	case "us-ascii", "ascii":
		for _, c := range data {
			if c >= utf8.RuneSelf {
				return nil, fmt.Errorf("the file says encoding=%q, but has other characters; save it as UTF-8 and say so", enc)
			}
		}
		return bytes.Clone(data), nil
	default:
		return nil, fmt.Errorf("encoding %q is not supported; save the file as UTF-8 and say so in its first line", enc)
	}
}

// declaredEncoding returns the encoding="..." of the XML declaration.
func declaredEncoding(data []byte) string {
	if !bytes.HasPrefix(data, []byte("<?xml")) {
		return ""
	}
	decl, _, _ := bytes.Cut(data[:min(len(data), 400)], []byte("?>"))
	_, after, ok := bytes.Cut(decl, []byte("encoding"))
	if !ok {
		return ""
	}
	after = bytes.TrimLeft(after, " \t\r\n=")
	if len(after) == 0 || after[0] != '"' && after[0] != '\'' {
		return ""
	}
	enc, _, _ := bytes.Cut(after[1:], after[:1])
	return string(enc)
}

// edit replaces n octets at an offset.
type edit struct {
	at, n int
	text  string
}

// source is a text that is being mended, and can tell where each octet of the
// mended text stood in the original.
type source struct {
	name  string
	text  []byte // as mended so far
	orig  []byte
	lines []int     // offsets of the line starts in orig
	done  []applied // sorted

	seen, col int // the last offset pos was asked for, and its column
}

// applied is an edit in offsets of the original.
type applied struct{ at, oldLen, newLen int }

func newSource(name string, text []byte) *source {
	s := &source{name: name, text: text, orig: text, lines: []int{0}, col: 1}
	for i, c := range text {
		if c == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// replaceIllegal notes the characters that XML does not allow, and puts
// question marks in their place.
func (s *source) replaceIllegal(r *Report) {
	badUTF8, text := false, slices.Clone(s.text)
	for i := 0; i < len(text); {
		c, n := utf8.DecodeRune(text[i:])
		switch {
		case c == utf8.RuneError && n == 1:
			if !badUTF8 {
				r.Errorf(s.pos(i), "octet %#02x is not UTF-8; save the file as UTF-8, or name its encoding in the first line", text[i])
			}
			badUTF8 = true
			text[i] = '?'
		case c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF:
			r.Errorf(s.pos(i), "character %U is not allowed in XML; remove it", c)
			copy(text[i:i+n], "???")
		}
		i += n
	}
	s.text = text
}

// pos returns the position of an offset in the mended text. Asking in ascending
// order is cheap even when the file is one long line.
func (s *source) pos(at int) Pos {
	o := s.original(at)
	line := sort.SearchInts(s.lines, o+1) - 1
	if begin := s.lines[line]; s.seen < begin || s.seen > o {
		s.seen, s.col = begin, 1
	}
	s.col += utf8.RuneCount(s.orig[s.seen:o])
	s.seen = o
	return Pos{s.name, line + 1, s.col}
}

func (s *source) original(at int) int {
	shift := 0
	for _, e := range s.done {
		start := e.at + shift
		if at < start {
			break
		}
		if at < start+e.newLen {
			return min(e.at+min(at-start, e.oldLen), len(s.orig))
		}
		shift += e.newLen - e.oldLen
	}
	return max(0, min(at-shift, len(s.orig)))
}

func (s *source) apply(e edit) {
	from, to := s.original(e.at), s.original(e.at+e.n)
	s.text = slices.Concat(s.text[:e.at], []byte(e.text), s.text[e.at+e.n:])
	i, _ := slices.BinarySearchFunc(s.done, from+1, func(a applied, at int) int { return a.at - at })
	s.done = slices.Insert(s.done, i, applied{from, to - from, len(e.text)})
}
