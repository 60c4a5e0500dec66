package conf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pos is a place in a configuration file. Line and Col count from 1; 0 means
// that the problem belongs to the file as a whole.
type Pos struct {
	File      string
	Line, Col int
}

// String returns file:line:column, or the file alone when there is no line.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Severity tells whether a problem stops the start.
type Severity int

// An Error stops the start; a Warning does not.
const (
	Error Severity = iota
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Problem is one mistake in a configuration file: where it is, how bad it is,
// what is wrong and what to do about it.
type Problem struct {
	Pos      Pos
	Severity Severity
	Text     string
}

// String returns the line an operator reads: file:line:column: severity: text.
func (p Problem) String() string {
	return fmt.Sprintf("%s: %s: %s", p.Pos, p.Severity, strings.ReplaceAll(p.Text, "\n", " "))
}

// Report collects problems while a configuration is read, so that one start
// shows every mistake. It is not safe for concurrent use.
type Report struct {
	problems []Problem
}

// Errorf notes a problem that stops the start.
func (r *Report) Errorf(pos Pos, format string, args ...any) {
	r.add(pos, Error, fmt.Sprintf(format, args...))
}

// Warnf notes a problem that does not stop the start.
func (r *Report) Warnf(pos Pos, format string, args ...any) {
	r.add(pos, Warning, fmt.Sprintf(format, args...))
}

func (r *Report) add(pos Pos, severity Severity, text string) {
	r.problems = append(r.problems, Problem{pos, severity, text})
}

// Problems returns what was noted, each once, sorted by file and position.
func (r *Report) Problems() []Problem {
	out := slices.Clone(r.problems)
	slices.SortStableFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Col, b.Pos.Col), cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(out)
}

// HasErrors reports whether anything noted stops the start.
func (r *Report) HasErrors() bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool { return p.Severity == Error })
}
