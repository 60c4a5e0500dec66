package sieve

import (
	"cmp"
	"strconv"
	"strings"
)

// matching is how a test compares (RFC 5228 §2.7).
type matching struct {
	kind       string // is, contains, matches, value, count
	relation   string // of value and count (RFC 5231)
	comparator string
}

// Comparators (RFC 4790 §9).
const (
	octets       = "i;octet"
	asciiCasemap = "i;ascii-casemap"
	asciiNumeric = "i;ascii-numeric"
)

// matchTags are the tags of every test that compares strings.
func matchTags(more ...tagSpec) []tagSpec {
	return append([]tagSpec{
		{name: "comparator", value: constant},
		{name: "is", group: "match"}, {name: "contains", group: "match"}, {name: "matches", group: "match"},
		{name: "value", value: constant, group: "match", require: "relational"},
		{name: "count", value: constant, group: "match", require: "relational"},
	}, more...)
}

// matching reads the tags of a call.
func (c *checker) matching(call *call) {
	m := matching{kind: "is", comparator: asciiCasemap}
	for _, kind := range []string{"contains", "matches", "value", "count"} {
		if call.has(kind) {
			m.kind = kind
		}
	}
	if m.kind == "value" || m.kind == "count" {
		v := call.tags[m.kind]
		m.relation = strings.ToLower(v.list[0].text)
		switch m.relation {
		case "gt", "ge", "lt", "le", "eq", "ne":
		default:
			c.errorf(v.pos, ":%s needs gt, ge, lt, le, eq or ne, not %q", m.kind, shorten(m.relation))
		}
	}
	if v := call.tags["comparator"]; v.present {
		m.comparator = v.list[0].text
		switch {
		case m.comparator == asciiNumeric && !c.ext["comparator-i;ascii-numeric"]:
			c.errorf(v.pos, "comparator i;ascii-numeric needs require %q", "comparator-i;ascii-numeric")
		case m.comparator == asciiNumeric && (m.kind == "contains" || m.kind == "matches"):
			c.errorf(v.pos, "comparator i;ascii-numeric cannot do :%s", m.kind)
		case m.comparator != octets && m.comparator != asciiCasemap && m.comparator != asciiNumeric:
			c.errorf(v.pos, "comparator %q is not known", shorten(m.comparator))
		}
	}
	call.match = m
}

// fold makes equal what the comparator takes for equal, octet by octet.
func (m matching) fold(s string) string {
	if m.comparator != asciiCasemap {
		return s
	}
	for i := range len(s) {
		if 'a' <= s[i] && s[i] <= 'z' {
			return foldFrom(s, i)
		}
	}
	return s
}

func foldFrom(s string, i int) string {
	b := []byte(s)
	for ; i < len(b); i++ {
		if 'a' <= b[i] && b[i] <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

// matchAny reports whether one of values matches one of keys. With :count it is
// their number that is compared. keepMatch tells whether the match variables of
// the script follow a :matches (RFC 5229 §3.2).
func (r *run) matchAny(m matching, values []string, keyArg value, keepMatch bool) (bool, error) {
	keys, err := r.expandAll(keyArg)
	if err != nil {
		return false, err
	}
	if m.kind == "count" {
		values = []string{strconv.Itoa(len(values))}
	}
	var globs []glob
	for i := range keys {
		keys[i] = m.fold(keys[i])
		if m.kind == "matches" {
			if err := r.spend(len(keys[i])); err != nil {
				return false, err
			}
			globs = append(globs, newGlob(keys[i], m.comparator == octets))
		}
	}
	for _, v := range values {
		folded := m.fold(v)
		if err := r.spend(1 + len(v)/8); err != nil {
			return false, err
		}
		for i, k := range keys {
			var ok bool
			var err error
			if globs != nil {
				ok, err = r.matchGlob(globs[i], v, folded, keepMatch)
			} else {
				ok, err = r.matchOne(m, folded, k)
			}
			if ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}

// matchGlob matches one value with one pattern.
func (r *run) matchGlob(g glob, value, folded string, keepMatch bool) (bool, error) {
	ok, found, err := g.match(folded, r.spend)
	if ok && keepMatch && r.script.captures {
		r.matched = g.captures(value, found)
		for i := range r.matched {
			r.matched[i] = cutText(r.matched[i], r.script.limits.Variable)
		}
	}
	return ok, err
}

// matchOne compares one value with one key, both folded.
func (r *run) matchOne(m matching, folded, key string) (bool, error) {
	if err := r.spend(1 + (len(folded)+len(key))/8); err != nil {
		return false, err
	}
	switch m.kind {
	case "contains":
		return strings.Contains(folded, key), nil
	case "is":
		return m.compare(folded, key) == 0, nil
	default:
		return holds(m.relation, m.compare(folded, key)), nil
	}
}

// holds reports whether a relation holds for the sign of a comparison.
func holds(relation string, sign int) bool {
	switch relation {
	case "gt":
		return sign > 0
	case "ge":
		return sign >= 0
	case "lt":
		return sign < 0
	case "le":
		return sign <= 0
	case "eq":
		return sign == 0
	default:
		return sign != 0
	}
}

// compare returns the sign of a - b. Numbers of i;ascii-numeric are as long as
// they are, and what begins with no digit is infinite (RFC 4790 §9.1).
func (m matching) compare(a, b string) int {
	if m.comparator != asciiNumeric {
		return cmp.Compare(a, b)
	}
	x, xok := digits(a)
	y, yok := digits(b)
	switch {
	case !xok && !yok:
		return 0
	case !xok:
		return 1
	case !yok:
		return -1
	case len(x) != len(y):
		return cmp.Compare(len(x), len(y))
	}
	return cmp.Compare(x, y)
}

// digits returns the digits at the start of s without leading zeros.
func digits(s string) (string, bool) {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return strings.TrimLeft(s[:n], "0"), n > 0
}
