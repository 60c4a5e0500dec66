package conf

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// section reads the children of one element of a file whose shape is known. A
// nil element has no children. A bad value is noted and the default returned.
type section struct {
	f *File
	e *etree.Element
	r *Report
}

func (s section) child(name string) *etree.Element {
	if s.e == nil {
		return nil
	}
	for _, c := range s.e.ChildElements() {
		if c.Tag == name {
			return c
		}
	}
	return nil
}

// section returns the child called name, which may not be there.
func (s section) section(name string) section { return section{s.f, s.child(name), s.r} }

// pos returns the position of the child called name, or of the element.
func (s section) pos(name string) Pos {
	if c := s.child(name); c != nil {
		return s.f.Pos(c)
	}
	if s.e != nil {
		return s.f.Pos(s.e)
	}
	return Pos{File: s.f.Name}
}

func (s section) str(name, def string) string {
	if c := s.child(name); c != nil {
		if v := Text(c); v != "" {
			return v
		}
	}
	return def
}

func (s section) attr(name string) string {
	if s.e == nil {
		return ""
	}
	return strings.TrimSpace(s.e.SelectAttrValue(name, ""))
}

func (s section) boolean(name string, def bool) bool {
	v := s.str(name, "")
	if v == "" {
		return def
	}
	b, ok := parseBool(v)
	if !ok {
		s.r.Errorf(s.pos(name), "<%s> is %q, not true or false", name, v)
		return def
	}
	return b
}

// integer reads a whole number of at least low.
func (s section) integer(name string, def, low int) int {
	v := s.str(name, "")
	if v == "" {
		return def
	}
	n, err := strconv.ParseInt(v, 10, 32)
	switch {
	case err != nil:
		s.r.Errorf(s.pos(name), "<%s> is %q, not a whole number", name, v)
		return def
	case int(n) < low:
		s.r.Errorf(s.pos(name), "<%s> is %d; want at least %d", name, n, low)
		return def
	}
	return int(n)
}

func (s section) duration(name string, unit, def time.Duration) time.Duration {
	v := s.str(name, "")
	if v == "" {
		return def
	}
	d, err := ParseDuration(v, unit)
	if err != nil {
		s.r.Errorf(s.pos(name), "<%s>: %v", name, err)
		return def
	}
	return d
}

// word is a value of a list, and where it was written.
type word struct {
	text string
	pos  Pos
}

// list returns the texts of every list/item, without empty ones, and warns
// about other elements of list.
func (s section) list(list, item string) []word {
	var out []word
	for _, c := range s.section(list).elements() {
		switch v := Text(c); {
		case c.Tag != item:
			s.r.Warnf(s.f.Pos(c), "<%s> is not an element of <%s>; ignored: want <%s>", c.Tag, list, item)
		case v != "":
			out = append(out, word{v, s.f.Pos(c)})
		}
	}
	return out
}

func (s section) elements() []*etree.Element {
	if s.e == nil {
		return nil
	}
	return s.e.ChildElements()
}

// known warns about the elements that are none of names, and about those given
// twice, of which the first counts. A name with dots behind it may be repeated.
func (s section) known(names ...string) {
	seen := map[string]bool{}
	plain := make([]string, len(names))
	repeated := map[string]bool{}
	for i, n := range names {
		plain[i], repeated[n] = strings.CutSuffix(n, "...")
	}
	for _, c := range s.elements() {
		switch {
		case !slices.Contains(plain, c.Tag):
			s.r.Warnf(s.f.Pos(c), "<%s> is not an element of <%s>; ignored%s", c.Tag, s.e.Tag, Suggest(c.Tag, plain))
		case seen[c.Tag] && !repeated[c.Tag+"..."]:
			s.r.Warnf(s.f.Pos(c), "<%s> is given twice; the first one counts", c.Tag)
		}
		seen[c.Tag] = true
	}
}

// root warns about a file whose outermost element is not the usual one. James
// does not look at it.
func (s section) root(want string) section {
	if s.e != nil && s.e.Tag != want {
		s.r.Warnf(s.f.Pos(s.e), "the outermost element is <%s>; James's is <%s>", s.e.Tag, want)
	}
	return s
}
