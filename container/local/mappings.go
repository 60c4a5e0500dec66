package local

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// ParseSource normalises a mapping source: "user@domain", "domain" (also
// written "*@domain"), or "*", in lower case.
func ParseSource(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "*" {
		return s, nil
	}
	if dom, ok := strings.CutPrefix(s, "*@"); ok {
		s = dom
	}
	if strings.Contains(s, "@") {
		a, err := container.ParseAddress(s)
		if err != nil {
			return "", refuse(ErrInvalid, err.Error())
		}
		return lower(a.String()), nil
	}
	dom, err := container.ParseDomain(s)
	if err != nil {
		return "", refuse(ErrInvalid, err.Error())
	}
	return dom, nil
}

// AllMappings returns the whole table.
func (d *Directory) AllMappings(ctx context.Context) (map[string][]Mapping, error) {
	all := maps.Clone(d.cfg.StaticMappings)
	if all == nil {
		var err error
		if all, err = d.store.AllMappings(ctx); err != nil {
			return nil, fmt.Errorf("read mappings: %w", err)
		}
	}
	for source, ms := range all {
		all[source] = sortMappings(slices.Clone(ms))
	}
	return all, nil
}

// SourcesOf returns, sorted, the sources that have mapping m.
func (d *Directory) SourcesOf(ctx context.Context, m Mapping) ([]string, error) {
	m.Target = normalTarget(m, "")
	if d.cfg.StaticMappings == nil {
		out, err := d.store.SourcesOf(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("read sources of %s: %w", m, err)
		}
		slices.Sort(out)
		return out, nil
	}
	var out []string
	for source, ms := range d.cfg.StaticMappings {
		if slices.Contains(ms, m) {
			out = append(out, source)
		}
	}
	slices.Sort(out)
	return out, nil
}

// normalTarget returns the target of m as it is stored: addresses and domains in
// lower case, an address without domain completed with defaultDomain.
func normalTarget(m Mapping, defaultDomain string) string {
	t := strings.TrimSpace(m.Target)
	switch m.Type {
	case MapRegex, MapError:
		return t
	case MapDomain, MapDomainAlias:
		if dom, err := container.ParseDomain(t); err == nil {
			return dom
		}
		return lower(t)
	}
	if !strings.Contains(t, "@") && defaultDomain != "" {
		t += "@" + defaultDomain
	}
	return lower(t)
}

// AddMapping adds a mapping after the checks of its type; one that is there
// already is no error. The source is in a form that ParseSource takes. Errors
// are *RuleError with the text that James answers.
//
// A mapping that would close a loop is refused; James looks at the end points of
// the new target only, and lets the others fail at delivery.
func (d *Directory) AddMapping(ctx context.Context, source string, m Mapping) error {
	source, m, err := d.checkMapping(ctx, source, m)
	if err != nil {
		return err
	}
	d.adding.Lock()
	defer d.adding.Unlock()
	have, err := d.mappingsOf(ctx, source)
	if err != nil || slices.Contains(have, m) {
		return err
	}
	switch m.Type {
	case MapAlias, MapGroup:
		err = d.checkShadow(ctx, source, m, have)
	case MapForward:
		err = d.checkForward(ctx, source)
	}
	if err == nil {
		err = d.checkLoop(ctx, source, m)
	}
	if err != nil {
		return err
	}
	return d.storeMapping(ctx, source, m)
}

// PutMapping stores a mapping as it is, without the checks but that it is on one
// line: the bulk import of webadmin.
func (d *Directory) PutMapping(ctx context.Context, source string, m Mapping) error {
	source, err := ParseSource(source)
	if err != nil {
		return err
	}
	if _, ok := kinds[m.Type]; !ok {
		return refuse(ErrInvalid, fmt.Sprintf("unknown mapping type %q", m.Type))
	}
	m.Target = normalTarget(m, d.cfg.DefaultDomain)
	if strings.ContainsAny(m.Target, "\r\n\x00") {
		return refuse(ErrInvalid, "the target of a mapping is on one line")
	}
	have, err := d.mappingsOf(ctx, source)
	if err != nil || slices.Contains(have, m) {
		return err
	}
	return d.storeMapping(ctx, source, m)
}

func (d *Directory) storeMapping(ctx context.Context, source string, m Mapping) error {
	if d.cfg.StaticMappings != nil {
		return refuse(ErrReadOnly, "Read-Only implementation")
	}
	defer d.mappings.clear()
	if err := d.store.AddMapping(ctx, source, m); err != nil {
		return fmt.Errorf("add mapping %s to %s: %w", m, source, err)
	}
	return nil
}

// RemoveMapping removes a mapping; one that is not there is no error.
func (d *Directory) RemoveMapping(ctx context.Context, source string, m Mapping) error {
	source, err := ParseSource(source)
	if err != nil {
		return err
	}
	if d.cfg.StaticMappings != nil {
		return refuse(ErrReadOnly, "Read-Only implementation")
	}
	m.Target = normalTarget(m, d.cfg.DefaultDomain)
	defer d.mappings.clear()
	if err := d.store.RemoveMapping(ctx, source, m); err != nil {
		return fmt.Errorf("remove mapping %s from %s: %w", m, source, err)
	}
	return nil
}

// checkMapping normalises and makes the checks that need no other mapping.
func (d *Directory) checkMapping(ctx context.Context, source string, m Mapping) (string, Mapping, error) {
	source, err := ParseSource(source)
	if err != nil {
		return source, m, err
	}
	m.Target = normalTarget(m, d.cfg.DefaultDomain)
	if err := checkTarget(m); err != nil {
		return source, m, err
	}
	dom := source[strings.LastIndexByte(source, '@')+1:]
	local, err := d.IsLocalDomain(ctx, dom)
	if err != nil {
		return source, m, err
	}
	isDomain := m.Type == MapDomain || m.Type == MapDomainAlias
	switch {
	case isDomain && source == m.Target:
		return source, m, refuse(ErrSameAddress, "Source domain and destination domain can not have same value("+source+")")
	case (m.Type == MapAddress || m.Type == MapAlias) && source == m.Target:
		return source, m, refuse(ErrSameAddress, "Source and destination can't be the same!")
	case !local && isDomain && m.Type == MapDomainAlias:
		return source, m, refuse(ErrUnmanagedDomain, "The domain list does not contain: "+dom)
	case !local:
		return source, m, refuse(ErrUnmanagedDomain, "Source domain '"+dom+"' is not managed by the domainList")
	case isDomain && strings.Contains(source, "@"),
		m.Type == MapForward && !strings.Contains(source, "@"):
		return source, m, refuse(ErrInvalid, "a source "+source+" cannot have a mapping of type "+string(m.Type))
	}
	return source, m, nil
}

func checkTarget(m Mapping) error {
	switch m.Type {
	case MapRegex:
		if _, err := parseRegex(m.Target); err != nil || m.Target == "" {
			return refuse(ErrInvalidRegex, "Invalid regex: "+m.Target)
		}
	case MapError:
		if m.Target == "" || strings.ContainsAny(m.Target, "\r\n\x00") {
			return refuse(ErrInvalid, "an error mapping needs a text on one line")
		}
	case MapDomain, MapDomainAlias:
		if _, err := container.ParseDomain(m.Target); err != nil {
			return refuse(ErrInvalidDomain, err.Error())
		}
	case MapAddress, MapAlias, MapForward, MapGroup:
		if _, err := container.ParseAddress(m.Target); err != nil {
			return refuse(ErrInvalid, err.Error())
		}
	default:
		return refuse(ErrInvalid, fmt.Sprintf("unknown mapping type %q", m.Type))
	}
	return nil
}

// checkShadow refuses an alias or group that hides an account or that stands
// beside mappings of another type.
func (d *Directory) checkShadow(ctx context.Context, source string, m Mapping, have []Mapping) error {
	if a, err := container.ParseAddress(source); err == nil {
		exists, err := d.UserExists(ctx, a)
		if err != nil {
			return err
		}
		if exists {
			return refuse(ErrUserExists, "'"+source+"' user already exist")
		}
	}
	var others []string
	for _, h := range have {
		if h.Type != m.Type {
			others = append(others, h.String())
		}
	}
	if len(others) > 0 {
		return refuse(ErrShadowed, "'"+source+"' already have associated mappings: "+strings.Join(others, ", "))
	}
	return nil
}

func (d *Directory) checkForward(ctx context.Context, source string) error {
	a, err := container.ParseAddress(source)
	if err != nil {
		return refuse(ErrInvalid, err.Error())
	}
	if ok, err := d.UserExists(ctx, a); err != nil || ok {
		return err
	}
	return refuse(ErrNoSuchUser, "Requested base forward address does not correspond to a user")
}

// RemoveUserMappings removes every mapping whose source is the user, and the
// forwards and group memberships that point to the user (webadmin's task that
// deletes a user's data).
func (d *Directory) RemoveUserMappings(ctx context.Context, user string) error {
	user = lower(user)
	own, err := d.mappingsOf(ctx, user)
	if err != nil {
		return err
	}
	for _, m := range own {
		if err := d.RemoveMapping(ctx, user, m); err != nil {
			return err
		}
	}
	for _, t := range []MappingType{MapForward, MapGroup} {
		m := Mapping{t, user}
		sources, err := d.SourcesOf(ctx, m)
		if err != nil {
			return err
		}
		for _, s := range sources {
			if err := d.RemoveMapping(ctx, s, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// RenameForwards moves the forwards of a user to a new name, a local copy
// becoming one of the new name, and forwards the old name to the new
// (webadmin's task that renames a user). A forward from the new name to the old
// becomes a local copy: mail would go round.
func (d *Directory) RenameForwards(ctx context.Context, from, to string) error {
	from, to = lower(from), lower(to)
	ms, err := d.mappingsOf(ctx, from)
	if err != nil {
		return err
	}
	for _, m := range ms {
		if m.Type != MapForward {
			continue
		}
		moved := m
		if m.Target == from {
			moved.Target = to
		}
		if err := d.PutMapping(ctx, to, moved); err != nil {
			return err
		}
		if err := d.RemoveMapping(ctx, from, m); err != nil {
			return err
		}
	}
	own, err := d.mappingsOf(ctx, to)
	if err != nil {
		return err
	}
	if back := (Mapping{MapForward, from}); slices.Contains(own, back) {
		if err := d.PutMapping(ctx, to, Mapping{MapForward, to}); err != nil {
			return err
		}
		if err := d.RemoveMapping(ctx, to, back); err != nil {
			return err
		}
	}
	return d.PutMapping(ctx, from, Mapping{MapForward, to})
}
