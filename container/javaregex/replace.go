package javaregex

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// ErrTooLong is returned when replacing makes a text longer than it may be.
var ErrTooLong = errors.New("replacing makes the text too long")

// Replacer replaces what an expression finds in a text. It is safe for
// concurrent use.
type Replacer struct {
	source string
	re     *regexp2.Regexp
	pieces []replacement
	repeat bool
}

// replacement is a piece of the replacement: the text of a group, or a text
// when group is negative.
type replacement struct {
	text  []rune
	group int
}

// CompileReplacer reads an expression and a replacement in Java's syntax: $1 and
// ${name} are groups, a backslash takes the meaning from what follows. flags are
// letters: i ignores case, m lets ^ and $ stand at every line, s lets the dot
// match line ends, r repeats. Others have no effect.
func CompileReplacer(source, with, flags string) (*Replacer, error) {
	inline := ""
	for _, f := range "ims" {
		if strings.ContainsRune(flags, f) {
			inline += "(?" + string(f) + ")"
		}
	}
	t := translator{src: []rune(inline + source), names: map[string]int{}}
	err := t.sequence()
	if err == nil && t.pos < len(t.src) {
		err = errors.New("unmatched closing )")
	}
	if err != nil {
		return nil, fmt.Errorf("malformed pattern %q: %w", source, err)
	}
	re, err := regexp2.Compile(string(t.out), regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("malformed pattern %q: %w", source, err)
	}
	r := &Replacer{source: source, re: re, repeat: strings.Contains(flags, "r")}
	if r.pieces, err = parseReplacement(with, t.groups, t.names); err != nil {
		return nil, fmt.Errorf("replacement %q of pattern %q: %w", with, source, err)
	}
	return r, nil
}

// parseReplacement reads a replacement as java.util.regex.Matcher does.
func parseReplacement(with string, groups int, names map[string]int) ([]replacement, error) {
	src := []rune(with)
	var out []replacement
	var text []rune
	for i := 0; i < len(src); {
		switch {
		case src[i] == '\\':
			if i+1 == len(src) {
				return nil, errors.New("backslash at the end")
			}
			text = append(text, src[i+1])
			i += 2
		case src[i] == '$':
			n, size, err := groupReference(src[i+1:], groups, names)
			if err != nil {
				return nil, err
			}
			out = append(out, replacement{text, -1}, replacement{nil, n})
			text = nil
			i += 1 + size
		default:
			text = append(text, src[i])
			i++
		}
	}
	return append(out, replacement{text, -1}), nil
}

// groupReference reads what follows a dollar sign: as many digits as name a
// group, or a name in braces.
func groupReference(src []rune, groups int, names map[string]int) (group, size int, err error) {
	if len(src) > 0 && src[0] == '{' {
		name, _, closed := strings.Cut(string(src[1:]), "}")
		if n := names[name]; closed && n > 0 {
			return n, len([]rune(name)) + 2, nil
		}
		return 0, 0, fmt.Errorf("no group is called %q", name)
	}
	n := 0
	for size < len(src) && '0' <= src[size] && src[size] <= '9' {
		next := n*10 + int(src[size]-'0')
		if size > 0 && next > groups {
			break
		}
		n, size = next, size+1
	}
	if size == 0 {
		return 0, 0, errors.New("$ without the number of a group")
	}
	if n > groups {
		return 0, 0, fmt.Errorf("there is no group %d", n)
	}
	return n, size, nil
}

// Replace replaces the first match in text. A repeating Replacer goes on as long
// as there are matches; each search begins one character behind the beginning of
// the one before, or there again when the text became shorter. All of it takes no longer than until deadline, and the text
// grows to limit characters at most. changed is false when nothing matches.
func (r *Replacer) Replace(text string, limit int, deadline time.Time) (out string, changed bool, err error) {
	runes := []rune(text)
	re := *r.re // the time limit is that of this call
	for start := 0; start <= len(runes); {
		re.MatchTimeout = time.Until(deadline)
		if re.MatchTimeout <= 0 {
			return "", false, fmt.Errorf("match pattern %q: time is up", r.source)
		}
		m, err := re.FindRunesMatchStartingAt(runes, start)
		if err != nil {
			return "", false, fmt.Errorf("match pattern %q: %w", r.source, err)
		}
		if m == nil {
			break
		}
		changed = true
		before := len(runes)
		if runes = r.substitute(runes, m); len(runes) >= before {
			start++
		}
		if len(runes) > limit {
			return "", false, fmt.Errorf("replace pattern %q: %w", r.source, ErrTooLong)
		}
		if !r.repeat {
			break
		}
	}
	if !changed {
		return text, false, nil
	}
	return string(runes), true, nil
}

func (r *Replacer) substitute(runes []rune, m *regexp2.Match) []rune {
	out := make([]rune, 0, len(runes)+64)
	out = append(out, runes[:m.Index]...)
	for _, p := range r.pieces {
		if p.group < 0 {
			out = append(out, p.text...)
			continue
		}
		if g := m.GroupByNumber(p.group); g != nil && len(g.Captures) > 0 {
			out = append(out, runes[g.Index:g.Index+g.Length]...)
		}
	}
	return append(out, runes[m.Index+m.Length:]...)
}

// String returns the expression as it was given.
func (r *Replacer) String() string { return strconv.Quote(r.source) }
