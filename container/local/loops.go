package local

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// checkLoop refuses a mapping whose target leads back to its source, however far
// the way is. What regular expressions make of an address that is not in the table
// is not seen here; it ends at MappingLimit.
func (d *Directory) checkLoop(ctx context.Context, source string, m Mapping) error {
	if !d.cfg.RecursiveMapping || source == m.Target {
		return nil
	}
	var loops bool
	var err error
	switch m.Type {
	case MapRegex, MapError:
		return nil
	case MapDomain, MapDomainAlias:
		loops, err = d.domainLoops(ctx, source, m)
	default:
		var target container.Address
		if target, err = container.ParseAddress(m.Target); err != nil {
			return refuse(ErrInvalid, err.Error())
		}
		if strings.Contains(source, "@") {
			loops, err = d.leadsTo(ctx, target, source)
		} else {
			loops, err = d.leads(ctx, target, func(a container.Address) (bool, error) { return d.falls(ctx, a, source, target) })
		}
	}
	if loops {
		return refuse(ErrLoop, "Creation of redirection of "+source+" to "+m.String()+" would lead to a loop, operation not performed")
	}
	return err
}

// step is an address on a way, and how often a regular expression made one before
// it: they can make new ones without end.
type step struct {
	addr  container.Address
	regex int
}

// leadsTo reports whether some way from a leads through source, an address.
func (d *Directory) leadsTo(ctx context.Context, a container.Address, source string) (bool, error) {
	return d.leads(ctx, a, func(b container.Address) (bool, error) { return lower(b.String()) == source, nil })
}

// falls reports whether a mapping of a whole domain to target would send a on.
func (d *Directory) falls(ctx context.Context, a container.Address, domain string, target container.Address) (bool, error) {
	if lower(a.Domain) != domain || a.Equal(target) {
		return false, nil
	}
	own, err := d.rulesOf(ctx, lower(a.String()))
	return len(own) == 0, err
}

// leads reports whether some way from a leads through an address that is one of
// those meant. Each address is looked at once. Errors on the way hide nothing:
// they can be removed.
func (d *Directory) leads(ctx context.Context, a container.Address, is func(container.Address) (bool, error)) (bool, error) {
	seen := map[string]bool{lower(a.String()): true}
	for todo := []step{{addr: a}}; len(todo) > 0; todo = todo[1:] {
		at := todo[0]
		if found, err := is(at.addr); found || err != nil {
			return found, err
		}
		targets, err := d.targets(ctx, at)
		if err != nil {
			return false, err
		}
		for _, t := range targets {
			if key := lower(t.addr.String()); !seen[key] && t.regex < d.cfg.MappingLimit && len(seen) < maxSteps {
				seen[key] = true
				todo = append(todo, t)
			}
		}
	}
	return false, nil
}

// targets returns where the mappings of an address lead to. As in Resolve, one
// that leads to the address itself is the last, unless it is a forward.
func (d *Directory) targets(ctx context.Context, at step) ([]step, error) {
	rules, err := d.rules(ctx, at.addr)
	if err != nil {
		return nil, err
	}
	var out []step
	for _, rule := range rules {
		if rule.Type == MapError {
			continue
		}
		target, ok, err := rule.apply(at.addr)
		if err != nil {
			return nil, err
		}
		switch to := (step{target, at.regex}); {
		case !ok:
		case !target.Equal(at.addr):
			if rule.Type == MapRegex {
				to.regex++
			}
			out = append(out, to)
		case rule.Type != MapForward:
			return out, nil
		}
	}
	return out, nil
}

// nobody is a local part that has no mappings.
const nobody = "nobody-has-this-name"

// domainLoops reports whether m, of the domain source, would make a loop of some
// address: one that has no mappings of its own there, and to which m leads back.
// Only local parts that are in the table can differ from the others.
func (d *Directory) domainLoops(ctx context.Context, source string, m Mapping) (bool, error) {
	all, err := d.AllMappings(ctx)
	if err != nil {
		return false, err
	}
	if !canReturn(all, m.Target, source) {
		return false, nil
	}
	all[source] = append(all[source], m) // a way may use it twice
	cfg := d.cfg
	cfg.StaticMappings = all
	still := New(cfg, d.store)
	tried := map[string]bool{}
	names := append(slices.Collect(maps.Keys(all)), nobody+"@"+source)
	for _, ms := range all {
		for _, m := range ms {
			if m.Type != MapRegex && m.Type != MapError {
				names = append(names, m.Target)
			}
		}
	}
	for _, name := range names {
		i := strings.LastIndexByte(name, '@')
		if i < 0 || tried[name[:i]] {
			continue
		}
		tried[name[:i]] = true
		from := container.Address{Local: name[:i], Domain: source}
		if len(all[lower(from.String())]) > 0 {
			continue // they hide those of the domain
		}
		loops, err := still.leadsTo(ctx, container.Address{Local: name[:i], Domain: m.Target}, lower(from.String()))
		if loops || err != nil {
			return loops, err
		}
	}
	return false, nil
}

// canReturn reports whether mappings lead from one domain to another, whatever the
// local parts are: mostly they do not, and that is found out in one go.
func canReturn(all map[string][]Mapping, from, to string) bool {
	next := map[string]map[string]bool{}
	for source, ms := range all {
		d := domainOf(source)
		if next[d] == nil {
			next[d] = map[string]bool{}
		}
		for _, m := range ms {
			switch m.Type {
			case MapRegex:
				return true // it may make any
			case MapError:
			default:
				next[d][domainOf(m.Target)] = true
			}
		}
	}
	from, to = domainOf(from), domainOf(to)
	seen := map[string]bool{from: true}
	for todo := []string{from}; len(todo) > 0; todo = todo[1:] {
		if todo[0] == to {
			return true
		}
		for d := range next[todo[0]] {
			if !seen[d] {
				seen[d] = true
				todo = append(todo, d)
			}
		}
	}
	return false
}

// domainOf returns the domain of an address, and a domain as it is.
func domainOf(s string) string {
	return strings.Trim(lower(s[strings.LastIndexByte(s, '@')+1:]), "[]")
}
