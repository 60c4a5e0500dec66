package local

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailetd/mailetd/container/javaregex"
)

// DLPRule is one rule against data leaks (data loss prevention): an expression
// in Java's syntax and where it is searched for.
type DLPRule struct {
	ID          string
	Expression  string
	Explanation string // "" for none
	Sender      bool
	Recipients  bool
	Content     bool
}

// DLPSearch is a rule with its expression compiled.
type DLPSearch struct {
	DLPRule
	Searcher *javaregex.Searcher
}

// maxDLPRules bounds the rules of a domain: each mail of the domain is searched
// for all of them.
const maxDLPRules = 1000

// DLP knows the rules of each sender domain. It keeps what it read from the
// store for as long as its users allow, less when the change came through it. It
// is safe for concurrent use.
type DLP struct {
	store PolicyStorage
	now   func() time.Time

	mu      sync.Mutex
	entries map[string]dlpEntry
	gen     uint64
}

type dlpEntry struct {
	rules    []DLPRule
	searches []DLPSearch
	read     time.Time
}

// NewDLP returns the rules in store. A nil clock is time.Now.
func NewDLP(store PolicyStorage, now func() time.Time) *DLP {
	if now == nil {
		now = time.Now
	}
	return &DLP{store: store, now: now, entries: map[string]dlpEntry{}}
}

// Rules returns the rules of a domain in their order.
func (d *DLP) Rules(ctx context.Context, domain string) ([]DLPRule, error) {
	rules, err := d.store.DLPRules(ctx, lower(domain))
	if err != nil {
		return nil, fmt.Errorf("read DLP rules of %s: %w", domain, err)
	}
	return rules, nil
}

// Rule returns the rule called id; ok tells whether there is one.
func (d *DLP) Rule(ctx context.Context, domain, id string) (r DLPRule, ok bool, err error) {
	rules, err := d.Rules(ctx, domain)
	i := slices.IndexFunc(rules, func(r DLPRule) bool { return r.ID == id })
	if err != nil || i < 0 {
		return DLPRule{}, false, err
	}
	return rules[i], true, nil
}

// SetRules replaces the rules of a domain in one step; none removes them. Errors
// are *RuleError with the text that James answers: ErrDuplicateRule,
// ErrInvalidRegex, ErrInvalid.
func (d *DLP) SetRules(ctx context.Context, domain string, rules []DLPRule) error {
	if len(rules) > maxDLPRules {
		return refuse(ErrInvalid, fmt.Sprintf("a domain can have %d rules, not %d", maxDLPRules, len(rules)))
	}
	seen := map[string]bool{}
	for _, r := range rules {
		if strings.TrimSpace(r.ID) == "" {
			return refuse(ErrInvalid, "id should no be empty")
		}
		if seen[r.ID] {
			return refuse(ErrDuplicateRule, "'id' duplicates are not allowed in DLP rules")
		}
		seen[r.ID] = true
		if _, err := javaregex.CompileSearcher(r.Expression); err != nil {
			return refuse(ErrInvalidRegex, "`expression` must be a valid regex: "+err.Error())
		}
	}
	defer d.forget()
	if err := d.store.PutDLPRules(ctx, lower(domain), rules); err != nil {
		return fmt.Errorf("store DLP rules of %s: %w", domain, err)
	}
	return nil
}

// Searches returns the compiled rules of a domain, as they were in the store at
// most maxAge ago. The caller does not change them.
func (d *DLP) Searches(ctx context.Context, domain string, maxAge time.Duration) ([]DLPSearch, error) {
	domain = lower(domain)
	now := d.now()
	d.mu.Lock()
	e, have := d.entries[domain]
	gen := d.gen
	d.mu.Unlock()
	if have && now.Sub(e.read) <= maxAge {
		return e.searches, nil
	}
	rules, err := d.Rules(ctx, domain)
	if err != nil {
		return nil, err
	}
	if !have || !slices.Equal(rules, e.rules) {
		if e, err = compileRules(rules); err != nil {
			return nil, fmt.Errorf("DLP rules of %s: %w", domain, err)
		}
	}
	e.read = now
	d.keep(domain, e, gen)
	return e.searches, nil
}

func compileRules(rules []DLPRule) (dlpEntry, error) {
	e := dlpEntry{rules: rules}
	for _, r := range rules {
		s, err := javaregex.CompileSearcher(r.Expression)
		if err != nil {
			return e, fmt.Errorf("rule %s: %w", r.ID, err)
		}
		e.searches = append(e.searches, DLPSearch{r, s})
	}
	return e, nil
}

// keep remembers what was read, unless something changed since.
func (d *DLP) keep(domain string, e dlpEntry, gen uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gen != gen {
		return
	}
	if len(d.entries) >= maxCached {
		clear(d.entries) // strangers can send from any domain
	}
	d.entries[domain] = e
}

func (d *DLP) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gen++
	clear(d.entries)
}
