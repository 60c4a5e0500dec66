package mailets

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/emersion/go-message/charset"

	"github.com/mailetd/mailetd/container/javaregex"
)

// replaceTime is how long the rules of one mail may take together.
const replaceTime = 5 * time.Second

// replaceRules are the rules of ReplaceContent: /expression/replacement/flags/.
type replaceRules []*javaregex.Replacer

// parseReplaceRules reads a list of rules separated by commas. In an expression
// or replacement a slash is written \/, and /,/ is written \/,/.
func parseReplaceRules(list string) (replaceRules, error) {
	inner, err := betweenSlashes(strings.TrimSpace(list))
	if err != nil {
		return nil, err
	}
	var out replaceRules
	for _, rule := range splitEscaped(inner, "/,/") {
		r, err := parseReplaceRule(rule)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func betweenSlashes(s string) (string, error) {
	if len(s) < 2 || s[0] != '/' || s[len(s)-1] != '/' {
		return "", fmt.Errorf("%q is not /expression/replacement/flags/", s)
	}
	return s[1 : len(s)-1], nil
}

// parseReplaceRule reads a rule without its outer slashes.
func parseReplaceRule(rule string) (*javaregex.Replacer, error) {
	fields := splitEscaped(rule, "/")
	if len(fields) < 3 {
		return nil, fmt.Errorf("%q has no replacement or no place for flags: want /expression/replacement/flags/", "/"+rule+"/")
	}
	with := strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\t`, "\t").Replace(fields[1])
	return javaregex.CompileReplacer(fields[0], with, fields[2])
}

// splitEscaped splits at sep, except where a backslash stands before it, which
// is taken off.
func splitEscaped(s, sep string) []string {
	var out []string
	var b strings.Builder
	for {
		i := strings.Index(s, sep)
		if i < 0 {
			b.WriteString(s)
			return append(out, b.String())
		}
		if i > 0 && s[i-1] == '\\' {
			b.WriteString(s[:i-1])
			b.WriteString(sep)
		} else {
			b.WriteString(s[:i])
			out = append(out, b.String())
			b.Reset()
		}
		s = s[i+len(sep):]
	}
}

// maxRuleFile bounds a file of rules, in octets.
const maxRuleFile = 1 << 20

// readReplaceRules reads a file with a rule on each line; empty lines and those
// that begin with # do not count. name may end in ?charset. The error wraps
// fs.ErrNotExist when there is no such file.
func readReplaceRules(name string) (replaceRules, error) {
	label := ""
	if i := strings.LastIndexByte(name, '?'); i >= 0 {
		name, label = name[:i], name[i+1:]
	}
	if strings.HasPrefix(name, "#") {
		return nil, fmt.Errorf("there is no class path to read %s from: %w", name[1:], fs.ErrNotExist)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRuleFile {
		return nil, fmt.Errorf("%s is no regular file of at most %d octets", name, maxRuleFile)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if label != "" {
		if r, err = charset.Reader(label, f); err != nil {
			return nil, err
		}
	}
	return scanReplaceRules(name, r)
}

func scanReplaceRules(name string, r io.Reader) (replaceRules, error) {
	var out replaceRules
	s := bufio.NewScanner(io.LimitReader(r, 4*maxRuleFile))
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(s.Text(), "\ufeff"))
		if line == "" || line[0] == '#' {
			continue
		}
		inner, err := betweenSlashes(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		rule, err := parseReplaceRule(inner)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		out = append(out, rule)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return out, nil
}

// apply applies the rules one after another; limit is the largest number of
// characters that the text may grow to. matched is told each rule that matches.
func (rules replaceRules) apply(text string, limit int, deadline time.Time, matched func(rule string)) (string, error) {
	for _, r := range rules {
		out, changed, err := r.Replace(text, limit, deadline)
		if err != nil {
			return "", err
		}
		if changed {
			matched(r.String())
		}
		text = out
	}
	return text, nil
}
