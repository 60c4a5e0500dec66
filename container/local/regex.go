package local

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dlclark/regexp2"
)

// matchTime is the limit of one match: an address is short, and only a pattern
// that backtracks without end needs longer.
const matchTime = 200 * time.Millisecond

// rewriter is the value of a regex mapping, pattern:replacement.
type rewriter struct {
	re          *regexp2.Regexp
	replacement string
}

// parseRegex compiles the value of a regex mapping. A value without exactly one
// colon gives nil: it never matches, as in James. The pattern must match the
// whole address.
func parseRegex(value string) (*rewriter, error) {
	pattern, replacement, ok := strings.Cut(value, ":")
	if !ok || strings.Contains(replacement, ":") {
		pattern, ok = value, false
	}
	// What stands alone must compile alone: "a)(b" does not.
	if _, err := regexp2.Compile(pattern, regexp2.None); err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	re, err := regexp2.Compile(`\A(?:`+pattern+`)\z`, regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	if !ok {
		return nil, nil
	}
	re.MatchTimeout = matchTime
	return &rewriter{re, replacement}, nil
}

// rewrite returns the replacement with ${n} standing for the groups; ok is false
// when the address does not match. A group that is not there stands for itself,
// one that took no part for nothing.
func (r *rewriter) rewrite(addr string) (out string, ok bool, err error) {
	m, err := r.re.FindStringMatch(addr)
	if err != nil {
		return "", false, fmt.Errorf("match mapping pattern %q: %w", r.re, err)
	}
	if m == nil {
		return "", false, nil
	}
	var b strings.Builder
	for rest := r.replacement; ; {
		before, after, found := strings.Cut(rest, "${")
		b.WriteString(before)
		if !found {
			return b.String(), true, nil
		}
		num, tail, closed := strings.Cut(after, "}")
		n, err := strconv.Atoi(num)
		if !closed || err != nil || n < 1 || n >= m.GroupCount() {
			b.WriteString("${")
			rest = after
			continue
		}
		if g := m.GroupByNumber(n); g != nil {
			b.WriteString(g.String())
		}
		rest = tail
	}
}

// regexCache keeps compiled patterns, so that the expiry of cached mappings
// does not compile them again.
type regexCache struct {
	mu      sync.Mutex
	entries map[string]*rewriter
}

const maxRegexes = 2000

func (c *regexCache) get(value string) *rewriter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.entries[value]; ok {
		return r
	}
	r, err := parseRegex(value)
	if err != nil {
		r = nil // stored before patterns were checked: never matches
	}
	if c.entries == nil || len(c.entries) >= maxRegexes {
		c.entries = map[string]*rewriter{}
	}
	c.entries[value] = r
	return r
}
