package conf

import (
	"os"
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// Vars are the variables a configuration may refer to:
//
//	${env:NAME}            the environment variable NAME
//	${env:NAME:-fallback}  the same, or fallback when it is not set
//	${sys:name}            a value of jvm.properties or of a -D flag
//	${key}                 another value of the same file
//
// What cannot be resolved stays as written, with a warning; $${x} stands for
// the text ${x}. ${const:...} names a constant of a Java class and is an error.
type Vars struct {
	Sys map[string]string           // sys:
	Env func(string) (string, bool) // env:, nil means the environment of this process
}

func (v *Vars) resolve(name string) (string, bool) {
	if v == nil {
		return "", false
	}
	if key, ok := strings.CutPrefix(name, "env:"); ok {
		if v.Env == nil {
			return os.LookupEnv(key)
		}
		return v.Env(key)
	}
	if key, ok := strings.CutPrefix(name, "sys:"); ok {
		s, ok := v.Sys[key]
		return s, ok
	}
	return "", false
}

// Bounds of values that refer to values: ${a} may be ${b}.
const (
	maxExpansionDepth = 10
	maxExpansions     = 1000 // of one value
)

// expander replaces the variables of one value.
type expander struct {
	vars   *Vars
	lookup func(key string) (string, bool) // ${key}, may be nil
	report *Report
	pos    Pos

	within []string // the keys whose values are being expanded
	left   *int     // expansions left
}

// value replaces the variables of one value, which stands at pos.
func (x expander) value(pos Pos, s string) string {
	left := maxExpansions
	x.pos, x.left = pos, &left
	return x.expand(s)
}

func (x expander) expand(s string) string {
	if !strings.Contains(s, "${") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			break
		}
		end := closingBrace(s, i+2)
		if end < 0 {
			break
		}
		ref := s[i : end+1]
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1] + ref)
		} else {
			b.WriteString(s[:i])
			b.WriteString(x.resolve(ref))
		}
		s = s[end+1:]
	}
	b.WriteString(s)
	return b.String()
}

// closingBrace returns the index of the } that belongs to the ${ before from.
func closingBrace(s string, from int) int {
	depth := 1
	for i := from; i < len(s); i++ {
		switch {
		case s[i] == '}':
			if depth--; depth == 0 {
				return i
			}
		case s[i] == '$' && i+1 < len(s) && s[i+1] == '{':
			depth++
		}
	}
	return -1
}

// resolve returns what ref, such as ${env:NAME:-x}, stands for.
func (x expander) resolve(ref string) string {
	name, fallback, hasFallback := strings.Cut(ref[2:len(ref)-1], ":-")
	if strings.HasPrefix(name, "const:") {
		x.report.Errorf(x.pos, "%s names a Java constant, which is not available here; write its value instead", ref)
		return ref
	}
	if v, ok := x.vars.resolve(name); ok {
		return v
	}
	*x.left--
	if *x.left > 0 && len(x.within) < maxExpansionDepth && !slices.Contains(x.within, name) {
		inner := x
		inner.within = append(slices.Clone(x.within), name)
		if x.lookup != nil {
			if v, ok := x.lookup(name); ok {
				return inner.expand(v)
			}
		}
		if hasFallback {
			return inner.expand(fallback)
		}
	}
	// ${1} is a group of a regular expression, as in a regex mapping.
	if strings.Trim(name, "0123456789") != "" {
		x.report.Warnf(x.pos, "%s has no value and stays as written%s", ref, unsetHint(name))
	}
	return ref
}

func unsetHint(name string) string {
	if key, ok := strings.CutPrefix(name, "env:"); ok {
		return "; set the environment variable " + key + ", or give a default: ${env:" + key + ":-default}"
	}
	if key, ok := strings.CutPrefix(name, "sys:"); ok {
		return "; add " + key + " to jvm.properties or give -D" + key + "=value"
	}
	return ""
}

// ExpandXML replaces the variables in every attribute and text of f.
func (v *Vars) ExpandXML(f *File, r *Report) {
	if f.Root == nil {
		return
	}
	x := expander{vars: v, report: r, lookup: func(key string) (string, bool) {
		var found *etree.Element
		walkParams(f.Root, "", func(name string, e *etree.Element) {
			if found == nil && name == key {
				found = e
			}
		})
		if found == nil {
			return "", false
		}
		return Text(found), true
	}}
	x.element(f, f.Root)
}

func (x expander) element(f *File, e *etree.Element) {
	for i := range e.Attr {
		e.Attr[i].Value = x.value(f.Pos(e), e.Attr[i].Value)
	}
	for _, c := range e.Child {
		switch c := c.(type) {
		case *etree.CharData:
			c.Data = x.value(f.Pos(e), c.Data)
		case *etree.Element:
			x.element(f, c)
		}
	}
}
