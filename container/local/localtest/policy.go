package localtest

import (
	"context"
	"slices"
	"sync"

	"github.com/mailetd/mailetd/container/local"
)

// Policies keeps drop lists and DLP rules in memory. It is safe for concurrent
// use. Its zero value is empty.
type Policies struct {
	mu    sync.Mutex
	lists map[local.DropOwner][]string
	rules map[string][]local.DLPRule
	reads int
	fail  error
}

var _ local.PolicyStorage = (*Policies)(nil)

// Reads returns how often DLP rules were read.
func (p *Policies) Reads() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reads
}

// FailWith makes every call return err from now on; nil ends it.
func (p *Policies) FailWith(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

// DropList is described at local.PolicyStorage, like the other methods.
func (p *Policies) DropList(_ context.Context, o local.DropOwner) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lists[o]), p.fail
}

// AddDenied adds to a list.
func (p *Policies) AddDenied(_ context.Context, o local.DropOwner, denied string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lists == nil {
		p.lists = map[local.DropOwner][]string{}
	}
	if !slices.Contains(p.lists[o], denied) {
		p.lists[o] = append(p.lists[o], denied)
		slices.Sort(p.lists[o])
	}
	return p.fail
}

// RemoveDenied removes from a list.
func (p *Policies) RemoveDenied(_ context.Context, o local.DropOwner, denied string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.lists[o], denied); i >= 0 {
		p.lists[o] = slices.Delete(p.lists[o], i, i+1)
	}
	return p.fail
}

// DeniedBy returns the owners that deny one of denied.
func (p *Policies) DeniedBy(_ context.Context, owners []local.DropOwner, denied []string) ([]int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []int
	for i, o := range owners {
		if slices.ContainsFunc(denied, func(d string) bool { return slices.Contains(p.lists[o], d) }) {
			out = append(out, i)
		}
	}
	return out, p.fail
}

// DLPRules returns the rules of a domain.
func (p *Policies) DLPRules(_ context.Context, domain string) ([]local.DLPRule, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads++
	return slices.Clone(p.rules[domain]), p.fail
}

// PutDLPRules replaces the rules of a domain.
func (p *Policies) PutDLPRules(_ context.Context, domain string, rules []local.DLPRule) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rules == nil {
		p.rules = map[string][]local.DLPRule{}
	}
	p.rules[domain] = slices.Clone(rules)
	return p.fail
}
