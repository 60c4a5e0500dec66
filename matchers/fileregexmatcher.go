package matchers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/javaregex"
	"github.com/mailetd/mailetd/container/mime"
)

// FileRegexMatcher matches messages in which a regular expression covers the
// whole value of a header field. Names and expressions come from a file, one
// Name:expression on each line. Values are compared as they are in the message,
// folded and encoded; the dot of an expression does not go beyond a fold.
//
//	<mailet match="FileRegexMatcher=testdata/header-patterns.txt" class="Null"/>
//
// Condition: the path of the file, relative to the folder in which the server
// runs. It is read once at start, in ISO 8859-1. Nothing on a line is trimmed:
// a blank behind the colon is part of the expression. Empty lines are not
// allowed.
//
// Differs from James: as RecipientIsRegex; the file is limited to 1 MiB.
type FileRegexMatcher struct{ patterns []headerPattern }

type headerPattern struct {
	name    string
	pattern *javaregex.Pattern
}

// maxPatternFile is the limit of the file of FileRegexMatcher.
const maxPatternFile = 1 << 20

func newFileRegexMatcher(condition string) (container.Matcher, error) {
	if condition == "" {
		return nil, errors.New("want the path of a file of patterns")
	}
	data, err := readPlainFile(condition, maxPatternFile)
	if err != nil {
		return nil, err
	}
	f := &FileRegexMatcher{}
	n := 0
	for line := range strings.Lines(isoLatin1(data)) {
		n++
		name, expr, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !ok || name == "" {
			return nil, fmt.Errorf("%s:%d: want Name:expression", condition, n)
		}
		p, err := javaregex.Compile(expr)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", condition, n, err)
		}
		f.patterns = append(f.patterns, headerPattern{name, p})
	}
	return f, nil
}

// readPlainFile reads a file that must not be a pipe or a device, on which the
// start would hang.
func readPlainFile(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s is no plain file of at most %d octets", name, limit)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

func isoLatin1(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}

// Match returns all recipients when an expression covers a value.
func (f *FileRegexMatcher) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	deadline := time.Now().Add(matchTime)
	for field := range mime.Fields(m.Message.Header()) {
		value := ""
		for _, p := range f.patterns {
			if !field.Is(p.name) {
				continue
			}
			if value == "" {
				value = rawValue(field)
			}
			ok, err := p.pattern.MatchBy(value, deadline)
			if err != nil {
				return nil, err
			}
			if ok {
				return m.Recipients, nil
			}
		}
	}
	return nil, nil
}

// rawValue returns the value of a field with its folding, from the first
// character that is no blank. Octets that are not UTF-8 are ISO 8859-1.
func rawValue(f mime.Field) string {
	v := bytes.TrimLeft(bytes.TrimRight(f.Body, "\r\n"), " \t")
	if !utf8.Valid(v) {
		return isoLatin1(v)
	}
	return string(v)
}
