package local

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// kinds has what the mapping types differ in: the prefix with which James
// stores and shows a mapping, the order of processing, and the type of a
// result. Source: org.apache.james.rrt.lib.Mapping.Type.
var kinds = map[MappingType]struct {
	prefix string
	order  int
	result MappingType
}{
	MapDomain:      {"domain:", 1, MapAddress},
	MapDomainAlias: {"domainAlias:", 1, MapAddress},
	MapGroup:       {"group:", 2, MapGroup},
	MapForward:     {"forward:", 3, MapForward},
	MapAlias:       {"alias:", 3, MapAlias},
	MapRegex:       {"regex:", 4, MapAddress},
	MapError:       {"error:", 4, MapError},
	MapAddress:     {"", 4, MapAddress},
}

// String returns the mapping with James's type prefix, such as "alias:a@b.test".
func (m Mapping) String() string { return kinds[m.Type].prefix + m.Target }

// ParseMapping reads the form that Mapping.String returns. Text without a known
// prefix is an address mapping.
func ParseMapping(s string) Mapping {
	for t, k := range kinds {
		if k.prefix != "" && strings.HasPrefix(s, k.prefix) {
			return Mapping{t, s[len(k.prefix):]}
		}
	}
	return Mapping{MapAddress, s}
}

// rule is a mapping made ready to be applied.
type rule struct {
	Mapping
	re *rewriter // for MapRegex; nil when it never matches
}

// Resolve rewrites a as the mappings of the given types say (none: all types).
// No mapping gives an empty result. Errors: ErrTooManyMappings, *MappingError.
//
// The mappings of the exact address hide those of its domain, even when none
// of them is of a wanted type. A limit of n allows n-1 hops, as in James; with
// recursion off one hop is made, where James refuses every address.
func (d *Directory) Resolve(ctx context.Context, a container.Address, types ...MappingType) ([]Mapping, error) {
	rules, err := d.rules(ctx, a)
	if err != nil || len(rules) == 0 {
		return nil, err
	}
	r := resolver{dir: d, types: types}
	return r.resolve(ctx, a, d.cfg.MappingLimit)
}

type resolver struct {
	dir   *Directory
	types []MappingType
	steps int
}

// maxSteps bounds the whole tree of one address: groups of groups grow with the
// power of the limit.
const maxSteps = 20000

func (r *resolver) resolve(ctx context.Context, a container.Address, n int) ([]Mapping, error) {
	if r.steps++; n == 0 || r.steps > maxSteps {
		return nil, ErrTooManyMappings
	}
	rules, err := r.dir.rules(ctx, a)
	if err != nil {
		return nil, err
	}
	var out []Mapping
	for _, rule := range rules {
		if len(r.types) > 0 && !slices.Contains(r.types, rule.Type) {
			continue
		}
		if rule.Type == MapError {
			return nil, &MappingError{Text: rule.Target}
		}
		target, ok, err := rule.apply(a)
		if err != nil {
			return nil, err
		}
		switch {
		case !ok:
			continue
		case target.Equal(a) && rule.Type == MapForward:
			out = append(out, Mapping{MapForward, target.String()})
			continue
		case target.Equal(a):
			return nil, nil
		}
		more, err := r.further(ctx, target, n)
		if err != nil {
			return nil, err
		}
		if len(more) == 0 {
			more = []Mapping{{kinds[rule.Type].result, target.String()}}
		}
		out = append(out, more...)
	}
	return unique(out), nil
}

func (r *resolver) further(ctx context.Context, target container.Address, n int) ([]Mapping, error) {
	if !r.dir.cfg.RecursiveMapping {
		return nil, nil
	}
	return r.resolve(ctx, target, n-1)
}

func unique(ms []Mapping) []Mapping {
	if len(ms) < 2 {
		return ms
	}
	seen := make(map[Mapping]bool, len(ms))
	out := ms[:0]
	for _, m := range ms {
		key := Mapping{m.Type, lower(m.Target)}
		if !seen[key] {
			seen[key] = true
			out = append(out, m)
		}
	}
	return out
}

// apply returns what the rule makes of a; ok is false when it makes nothing.
func (r rule) apply(a container.Address) (target container.Address, ok bool, err error) {
	text := r.Target
	switch r.Type {
	case MapDomain, MapDomainAlias:
		text = a.Local + "@" + container.LiteralDomain(r.Target)
	case MapRegex:
		if r.re == nil {
			return target, false, nil
		}
		if text, ok, err = r.re.rewrite(a.String()); err != nil || !ok {
			return target, false, err
		}
	}
	if !strings.Contains(text, "@") {
		text += "@" + container.LiteralDomain(a.Domain)
	}
	target, err = container.ParseAddress(text)
	return target, err == nil, nil // a malformed result is dropped, as in James
}

// rules returns the mappings that apply to a, in order of processing.
func (d *Directory) rules(ctx context.Context, a container.Address) ([]rule, error) {
	if a.IsNull() {
		return nil, nil
	}
	rules, err := d.rulesOf(ctx, lower(a.String()))
	if err != nil || len(rules) > 0 {
		return rules, err
	}
	return d.rulesOf(ctx, lower(a.Domain))
}

func (d *Directory) rulesOf(ctx context.Context, source string) ([]rule, error) {
	now := d.cfg.Now()
	rules, ok, gen := d.mappings.get(source, now)
	if ok {
		return rules, nil
	}
	ms, err := d.mappingsOf(ctx, source)
	if err != nil {
		return nil, err
	}
	rules = make([]rule, 0, len(ms))
	for _, m := range ms {
		r := rule{Mapping: m}
		if m.Type == MapRegex {
			r.re = d.regexes.get(m.Target)
		}
		rules = append(rules, r)
	}
	d.mappings.put(source, rules, now, gen)
	return rules, nil
}

// Mappings returns the mappings of one source, in any form that ParseSource
// takes, in order of processing.
func (d *Directory) Mappings(ctx context.Context, source string) ([]Mapping, error) {
	source, err := ParseSource(source)
	if err != nil {
		return nil, err
	}
	return d.mappingsOf(ctx, source)
}

// mappingsOf returns the mappings of a source in its normal form.
func (d *Directory) mappingsOf(ctx context.Context, source string) ([]Mapping, error) {
	if d.cfg.StaticMappings != nil {
		return sortMappings(slices.Clone(d.cfg.StaticMappings[source])), nil
	}
	ms, err := d.store.Mappings(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("read mappings of %s: %w", source, err)
	}
	return sortMappings(ms), nil
}

// sortMappings orders by type, then by the text with its prefix.
func sortMappings(ms []Mapping) []Mapping {
	slices.SortFunc(ms, func(a, b Mapping) int {
		return cmp.Or(cmp.Compare(kinds[a.Type].order, kinds[b.Type].order), cmp.Compare(a.String(), b.String()))
	})
	return ms
}

// Forwards returns the targets of the forward mappings that stand on the very
// address a, without following them.
func (d *Directory) Forwards(ctx context.Context, a container.Address) ([]container.Address, error) {
	if a.IsNull() {
		return nil, nil
	}
	rules, err := d.rulesOf(ctx, lower(a.String()))
	if err != nil {
		return nil, err
	}
	var out []container.Address
	for _, r := range rules {
		if r.Type != MapForward {
			continue
		}
		if t, ok, err := r.apply(a); err == nil && ok {
			out = append(out, t)
		}
	}
	return out, nil
}
