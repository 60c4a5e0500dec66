package container

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// RecipientLookup answers RecipientString for many recipients of a mail, in a time
// that does not grow with their number. It knows the map attributes as they
// were when it was first asked, and is for one goroutine.
type RecipientLookup struct {
	attrs  Attributes
	folded map[string]map[string]string // by attribute and folded recipient
}

// Lookup returns a RecipientLookup of these attributes. It costs nothing before
// it is used.
func (a Attributes) Lookup() RecipientLookup { return RecipientLookup{attrs: a} }

// RecipientString is Attributes.RecipientString.
func (l *RecipientLookup) RecipientString(name string, rcpt Address) (string, bool) {
	all, ok := l.attrs.Map(name)
	if !ok {
		return "", false
	}
	key := rcpt.String()
	if v, ok := all[key]; ok {
		s, isString := v.(string)
		return s, isString
	}
	if len(all) <= 4 {
		return l.attrs.RecipientString(name, rcpt)
	}
	folded, ok := l.folded[name]
	if !ok {
		folded = foldKeys(all)
		if l.folded == nil {
			l.folded = map[string]map[string]string{}
		}
		l.folded[name] = folded
	}
	s, ok := folded[fold(key)]
	return s, ok
}

// foldKeys returns the strings of a map by their folded keys.
func foldKeys(all map[string]Value) map[string]string {
	out := make(map[string]string, len(all))
	for k, v := range all {
		if s, ok := v.(string); ok {
			out[fold(k)] = s
		}
	}
	return out
}

// fold returns a form that is the same for all texts that strings.EqualFold
// takes for equal, and for no others.
func fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s) // as below: of each orbit ASCII comes first
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		s = s[n:]
		least := r
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			least = min(least, o)
		}
		if 'A' <= least && least <= 'Z' {
			least += 'a' - 'A'
		}
		b.WriteRune(least)
	}
	return b.String()
}
