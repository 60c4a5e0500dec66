package sieve

import (
	"slices"
	"strings"
)

// argKind is what a positional argument, or the value of a tag, must be.
type argKind byte

const (
	noValue   argKind = iota
	number            // a number
	text              // one string
	textList          // a list of strings, or one
	constant          // one string without variables
	constants         // a list of strings, or one, without variables
)

func (k argKind) String() string {
	return [...]string{"nothing", "a number", "a string", "a list of strings", "a string", "a list of strings"}[k]
}

// spec says how a command or test is written and what it does.
type spec struct {
	name    string
	require string // the extension that must be required for it; "a|b": one of them
	tags    []tagSpec
	args    []argKind
	// optional is how many arguments at the front (negative: at the end) may be
	// missing.
	optional int
	tests    int // how many tests: 0, 1 or many
	block    bool
	check    func(*checker, *call)
	exec     func(*run, *call) error         // of a command
	eval     func(*run, *call) (bool, error) // of a test
}

const many = 2

// tagSpec is one tag. Of those with the same group one may be given.
type tagSpec struct {
	name    string
	value   argKind
	require string
	group   string
}

// call is a command or test that was found good.
type call struct {
	pos   position
	spec  *spec
	tags  map[string]value
	args  []value // one for each of spec.args; missing ones are not present
	tests []*call
	block []*call
	match matching
}

// value is an argument.
type value struct {
	present bool
	pos     position
	num     int64
	list    []template
}

// has reports whether a tag was given.
func (c *call) has(tag string) bool { return c.tags[tag].present }

// checker turns the tree of a script into calls and collects mistakes.
type checker struct {
	limits    Limits
	ext       map[string]bool
	errs      Errors
	variables map[string]bool
}

// maxErrors bounds how many mistakes are reported.
const maxErrors = 50

func (c *checker) errorf(pos position, format string, args ...any) {
	if len(c.errs) < maxErrors {
		c.errs = append(c.errs, pos.errorf(format, args...))
	}
}

// has reports whether one of the extensions in require ("a|b") was asked for.
func (c *checker) has(require string) bool {
	if require == "" {
		return true
	}
	for e := range strings.SplitSeq(require, "|") {
		if c.ext[e] {
			return true
		}
	}
	return false
}

// script checks a whole script. require stands in front of everything else
// (RFC 5228 §3.2).
func (c *checker) script(tree []*node) []*call {
	n := 0
	for n < len(tree) && tree[n].name == "require" {
		c.requireCommand(tree[n])
		n++
	}
	return c.block(tree[n:])
}

func (c *checker) requireCommand(n *node) {
	if len(n.args) != 1 || len(n.args[0].strs) == 0 || len(n.tests) > 0 || n.braces {
		c.errorf(n.pos, "require takes a list of strings and nothing else")
		return
	}
	for _, s := range n.args[0].strs {
		if !slices.Contains(Extensions(), s.text) {
			c.errorf(s.pos, "extension %q is not known", shorten(s.text))
			continue
		}
		c.ext[s.text] = true
	}
}

// block checks commands that follow each other.
func (c *checker) block(nodes []*node) []*call {
	var calls []*call
	before := ""
	for _, n := range nodes {
		if (n.name == "elsif" || n.name == "else") && before != "if" && before != "elsif" {
			c.errorf(n.pos, "%s does not follow if or elsif", n.name)
		}
		before = n.name
		if n.name == "require" {
			c.errorf(n.pos, "require stands in front of all other commands")
			continue
		}
		s := commands()[n.name]
		if s == nil {
			c.errorf(n.pos, "command %q is not known", shorten(n.name))
			continue
		}
		calls = append(calls, c.call(n, s))
	}
	return calls
}

// call checks a command or test.
func (c *checker) call(n *node, s *spec) *call {
	out := &call{pos: n.pos, spec: s, args: make([]value, len(s.args))}
	if !c.has(s.require) {
		c.errorf(n.pos, "%s needs require %s", s.name, quoteEither(s.require))
	}
	mistakes := len(c.errs)
	rest := c.tags(n, s, out)
	c.positional(n, s, out, rest)
	c.subtests(n, s, out)
	switch {
	case s.block && !n.braces:
		c.errorf(n.pos, "%s needs a block in braces", s.name)
	case !s.block && n.braces:
		c.errorf(n.pos, "%s takes no block", s.name)
	}
	out.block = c.block(n.block)
	if len(c.errs) == mistakes && s.check != nil {
		s.check(c, out)
	}
	return out
}

func quoteEither(require string) string {
	return `"` + strings.ReplaceAll(require, "|", `" or "`) + `"`
}

// tags takes the tags, which stand in front of positional arguments
// (RFC 5228 §2.6.2), and returns the others.
func (c *checker) tags(n *node, s *spec, out *call) []argument {
	args := n.args
	for len(args) > 0 && args[0].kind == tokenTag {
		a := args[0]
		args = args[1:]
		t, ok := findTag(s, a.tag)
		if !ok {
			c.errorf(a.pos, "%s has no tag :%s", s.name, shorten(a.tag))
			if len(args) > 1 && args[0].kind != tokenTag && len(args) > len(s.args) {
				args = args[1:] // most likely its value
			}
			continue
		}
		if !c.has(t.require) {
			c.errorf(a.pos, ":%s needs require %s", t.name, quoteEither(t.require))
		}
		for name := range out.tags {
			if other, _ := findTag(s, name); name == t.name || t.group != "" && other.group == t.group {
				c.errorf(a.pos, ":%s after :%s", t.name, name)
			}
		}
		v := value{present: true, pos: a.pos}
		if t.value != noValue {
			if len(args) == 0 || args[0].kind == tokenTag {
				c.errorf(a.pos, ":%s needs %s", t.name, t.value)
				continue
			}
			v = c.value(args[0], t.value, ":"+t.name)
			args = args[1:]
		}
		if out.tags == nil {
			out.tags = map[string]value{}
		}
		out.tags[t.name] = v
	}
	return args
}

func findTag(s *spec, name string) (tagSpec, bool) {
	for _, t := range s.tags {
		if t.name == name {
			return t, true
		}
	}
	return tagSpec{}, false
}

// positional takes the arguments behind the tags.
func (c *checker) positional(n *node, s *spec, out *call, args []argument) {
	for _, a := range args {
		if a.kind == tokenTag {
			c.errorf(a.pos, "tag :%s stands behind an argument; tags come first", shorten(a.tag))
			return
		}
	}
	missing := len(s.args) - len(args)
	front, most := 0, s.optional
	if most < 0 {
		most = -most
	} else {
		front = missing
	}
	if missing < 0 || missing > most {
		c.errorf(n.pos, "%s has %d arguments besides tags, want %s", s.name, len(args), s.describe())
		return
	}
	for i, a := range args {
		out.args[front+i] = c.value(a, s.args[front+i], s.name)
	}
}

// describe names the arguments of a command or test.
func (s *spec) describe() string {
	if len(s.args) == 0 {
		return "none"
	}
	var names []string
	for i, k := range s.args {
		name := k.String()
		if i < s.optional || i >= len(s.args)+s.optional && s.optional < 0 {
			name = "perhaps " + name
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// value checks the type of an argument and reads the variables in its strings.
func (c *checker) value(a argument, k argKind, of string) value {
	v := value{present: true, pos: a.pos, num: a.num}
	ok := false
	switch k {
	case number:
		ok = a.kind == tokenNumber
	case text, constant:
		ok = a.kind == tokenString
	case textList, constants:
		ok = a.kind == tokenString || a.kind == '['
	}
	if !ok {
		c.errorf(a.pos, "%s needs %s here", of, k)
		v.list = []template{{}}
		return v
	}
	for _, s := range a.strs {
		t := c.template(s)
		if (k == constant || k == constants) && !t.constant() {
			c.errorf(s.pos, "%s takes no variables here", of)
		}
		v.list = append(v.list, t)
	}
	return v
}

func (c *checker) subtests(n *node, s *spec, out *call) {
	switch {
	case s.tests == 0 && len(n.tests) > 0:
		c.errorf(n.tests[0].pos, "%s takes no test", s.name)
	case s.tests == 1 && (len(n.tests) != 1 || n.list):
		c.errorf(n.pos, "%s needs one test", s.name)
	case s.tests == many && !n.list:
		c.errorf(n.pos, "%s needs a list of tests in parentheses", s.name)
	}
	for _, t := range n.tests {
		ts := tests()[t.name]
		if ts == nil {
			c.errorf(t.pos, "test %q is not known", shorten(t.name))
			continue
		}
		if t.braces {
			c.errorf(t.pos, "a test has no block")
		}
		out.tests = append(out.tests, c.call(t, ts))
	}
}
