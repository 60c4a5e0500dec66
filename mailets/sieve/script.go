package sieve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Limits bound what a script may take. Zero means the default of each.
type Limits struct {
	Size      int // octets of the text; default 64 KiB
	Nesting   int // blocks, and tests, within each other; default 15 (RFC 5228 §2.10.5 and §2.10.7 ask for it)
	Actions   int // actions of one run; default 32
	Redirects int // of one run; default 5
	Variable  int // octets of one value; default 4000 (RFC 5229 §6)
	Variables int // different names; default 128 (RFC 5229 §6)
	Edits     int // header fields that one run adds; default 64
	// Steps is the budget of one run, in about the octets that are looked at;
	// default 10 million, a tenth of a second.
	Steps int
	Body  int64 // octets of the content that tests of the body look at; default 1 MiB
}

func (l Limits) withDefaults() Limits {
	def := func(p *int, n int) {
		if *p <= 0 {
			*p = n
		}
	}
	def(&l.Size, 64<<10)
	def(&l.Nesting, 15)
	def(&l.Actions, 32)
	def(&l.Redirects, 5)
	def(&l.Variable, 4000)
	def(&l.Variables, 128)
	def(&l.Edits, 64)
	def(&l.Steps, 10_000_000)
	if l.Body <= 0 {
		l.Body = 1 << 20
	}
	return l
}

// Error is one mistake in a script, found while it was compiled or run. Lines and
// columns count from 1; columns count octets.
type Error struct {
	Line, Column int
	Text         string
	cause        error
}

// Error returns line:column: text.
func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Text) }

// Unwrap returns what is behind the mistake, if anything.
func (e *Error) Unwrap() error { return e.cause }

// Errors are all mistakes of a script, in its order.
type Errors []*Error

// Error returns the mistakes, a line each.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes errors.As find the first Error.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i := range e {
		out[i] = e[i]
	}
	return out
}

// Script is a compiled script. It does not change and may be run by several
// goroutines at once.
type Script struct {
	tree     []*node
	calls    []*call
	limits   Limits
	captures bool // match variables can be seen
}

// Compile checks a script and makes it ready to run. The error is of type Errors.
// It does not keep text.
func Compile(text []byte, limits Limits) (*Script, error) {
	limits = limits.withDefaults()
	tree, err := parse(text, limits)
	if err != nil {
		return nil, Errors{err}
	}
	c := &checker{limits: limits, ext: map[string]bool{}, variables: map[string]bool{}}
	calls := c.script(tree)
	if len(c.errs) > 0 {
		slices.SortStableFunc(c.errs, func(a, b *Error) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, c.errs
	}
	return &Script{tree: tree, calls: calls, limits: limits, captures: c.ext["variables"]}, nil
}

// Extensions returns the names that require takes, sorted.
func Extensions() []string {
	return []string{
		"body", "comparator-i;ascii-casemap", "comparator-i;ascii-numeric", "comparator-i;octet", "copy", "date",
		"editheader", "encoded-character", "envelope", "ereject", "fileinto", "imap4flags", "index", "mailbox",
		"reject", "relational", "subaddress", "vacation", "vacation-seconds", "variables",
	}
}
