package sieve

import (
	"strings"
	"unicode/utf8"
)

// glob is a pattern of :matches, where * stands for any text and ? for one
// character, and a backslash takes the meaning from what follows
// (RFC 5228 §2.7.1). Segments are what stands between the stars.
type glob struct {
	segments [][]globPart
	octets   bool // ? is one octet, not one character
}

// globPart is literal text, or, when that is empty, one character.
type globPart struct{ text string }

func newGlob(pattern string, octets bool) glob {
	g := glob{octets: octets, segments: [][]globPart{nil}}
	var plain strings.Builder
	add := func(more ...globPart) {
		last := &g.segments[len(g.segments)-1]
		if plain.Len() > 0 {
			*last = append(*last, globPart{plain.String()})
			plain.Reset()
		}
		*last = append(*last, more...)
	}
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i++
			plain.WriteByte(pattern[i])
		case c == '*':
			add()
			g.segments = append(g.segments, nil)
		case c == '?':
			add(globPart{})
		default:
			plain.WriteByte(c)
		}
	}
	add()
	return g
}

// match reports whether s matches. found says where the segments begin: each star
// takes as little as it can, the first one first. spend is asked before work is
// done, with about the number of octets to look at.
//
// Putting every segment at the first place where it fits is enough: when the rest
// fits behind a later place, it fits behind the first one too, for the star in
// between takes up the difference. So nothing is tried twice.
func (g glob) match(s string, spend func(int) error) (ok bool, found []int, err error) {
	if err := spend(len(g.segments)); err != nil {
		return false, nil, err
	}
	last := len(g.segments) - 1
	at := 0
	found = make([]int, 0, len(g.segments))
	for i, seg := range g.segments {
		start, end := at, -1
		switch {
		case i == 0:
			end, err = g.fit(seg, s, 0, spend)
			if end >= 0 && last == 0 && end != len(s) {
				end = -1
			}
		case i == last:
			start, end, err = g.search(seg, s, at, true, spend)
		default:
			start, end, err = g.search(seg, s, at, false, spend)
		}
		if end < 0 || err != nil {
			return false, nil, err
		}
		found = append(found, start)
		at = end
	}
	return true, found, nil
}

// fit returns where seg ends when it begins at position at of s, -1 when it does
// not fit there.
func (g glob) fit(seg []globPart, s string, at int, spend func(int) error) (int, error) {
	for _, p := range seg {
		if err := spend(1 + len(p.text)/8); err != nil {
			return -1, err
		}
		switch {
		case p.text != "":
			if !strings.HasPrefix(s[at:], p.text) {
				return -1, nil
			}
			at += len(p.text)
		case at == len(s):
			return -1, nil
		default:
			at += g.width(s[at:])
		}
	}
	return at, nil
}

// width is the length of the first character of s.
func (g glob) width(s string) int {
	if g.octets {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// search returns the first place from at on where seg fits, with atEnd one where
// it ends with s.
func (g glob) search(seg []globPart, s string, at int, atEnd bool, spend func(int) error) (start, end int, err error) {
	if len(seg) == 0 {
		if atEnd {
			return len(s), len(s), nil
		}
		return at, at, nil
	}
	for at <= len(s) {
		if seg[0].text != "" {
			n := strings.Index(s[at:], seg[0].text)
			if n < 0 {
				return 0, -1, spend((len(s) - at) / 8)
			}
			at += n
			if err := spend(n / 8); err != nil {
				return 0, -1, err
			}
		}
		end, err := g.fit(seg, s, at, spend)
		if err != nil || end >= 0 && (!atEnd || end == len(s)) {
			return at, end, err
		}
		if at == len(s) {
			break
		}
		at += g.width(s[at:])
	}
	return 0, -1, nil
}

// captures returns what the wildcards of a match stood for, in s itself, the
// whole text first (RFC 5229 §3.2).
func (g glob) captures(s string, found []int) []string {
	out := []string{s}
	end := 0
	for i, seg := range g.segments {
		if i > 0 {
			out = append(out, s[end:found[i]])
		}
		end = found[i]
		for _, p := range seg {
			n := len(p.text)
			if n == 0 {
				n = g.width(s[end:])
				out = append(out, s[end:end+n])
			}
			end += n
		}
		if len(out) > maxMatchVariable {
			return out[:maxMatchVariable+1]
		}
	}
	return out
}
