package javaregex

import (
	"fmt"
	"time"

	"github.com/dlclark/regexp2"
)

// matchTime is the limit of one match: what is matched is short, and only a
// pattern that backtracks without end needs longer.
const matchTime = 200 * time.Millisecond

// Pattern is a compiled expression. It is safe for concurrent use.
type Pattern struct {
	source string
	re     *regexp2.Regexp
}

// Compile reads an expression in Java's syntax.
func Compile(source string) (*Pattern, error) {
	translated, err := translate(source)
	if err != nil {
		return nil, fmt.Errorf("malformed pattern %q: %w", source, err)
	}
	re, err := regexp2.Compile(`\A(?:`+translated+`)\z`, regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("malformed pattern %q: %w", source, err)
	}
	re.MatchTimeout = matchTime
	return &Pattern{source, re}, nil
}

// Match reports whether the expression covers the whole of text. It gives up
// with an error after 200 milliseconds.
func (p *Pattern) Match(text string) (bool, error) {
	ok, err := p.re.MatchString(text)
	if err != nil {
		return false, fmt.Errorf("match pattern %q: %w", p.source, err)
	}
	return ok, nil
}

// MatchBy is Match for one of many texts, none of which is looked at after
// deadline: that is an error.
func (p *Pattern) MatchBy(text string, deadline time.Time) (bool, error) {
	if !time.Now().Before(deadline) {
		return false, fmt.Errorf("match pattern %q: time is up", p.source)
	}
	return p.Match(text)
}

// String returns the expression as it was given to Compile.
func (p *Pattern) String() string { return p.source }
