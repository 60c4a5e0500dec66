package javaregex

import (
	"fmt"
	"time"

	"github.com/dlclark/regexp2"
)

// Searcher finds an expression anywhere in a text, as Matcher.find of
// java.util.regex does. It is safe for concurrent use.
type Searcher struct {
	source string
	re     *regexp2.Regexp
}

// CompileSearcher reads an expression in Java's syntax.
func CompileSearcher(source string) (*Searcher, error) {
	translated, err := translate(source)
	if err != nil {
		return nil, fmt.Errorf("malformed pattern %q: %w", source, err)
	}
	re, err := regexp2.Compile(translated, regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("malformed pattern %q: %w", source, err)
	}
	return &Searcher{source, re}, nil
}

// Find reports whether the expression matches a part of text. It gives up with
// an error at deadline. The text comes as runes, so that several expressions can
// be searched for in a long one without converting it each time.
func (s *Searcher) Find(text []rune, deadline time.Time) (bool, error) {
	re := *s.re // the time limit is that of this call
	if re.MatchTimeout = time.Until(deadline); re.MatchTimeout <= 0 {
		return false, fmt.Errorf("search for pattern %q: time is up", s.source)
	}
	ok, err := re.MatchRunes(text)
	if err != nil {
		return false, fmt.Errorf("search for pattern %q: %w", s.source, err)
	}
	return ok, nil
}

// String returns the expression as it was given to CompileSearcher.
func (s *Searcher) String() string { return s.source }
