package local

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/mailetd/mailetd/container"
)

// domainSet has a key for each local domain, in lower case.
type domainSet map[string]bool

// IsLocalDomain reports whether domain is in the domain list: stored, default,
// detected, or an address of one of them with autodetectIP. Case does not count;
// an address literal is given without brackets, as in container.Address.
func (d *Directory) IsLocalDomain(ctx context.Context, domain string) (bool, error) {
	set, err := d.domainSet(ctx)
	if err != nil {
		return false, err
	}
	return set[lower(domain)], nil
}

// Domains returns the domain list, sorted.
func (d *Directory) Domains(ctx context.Context) ([]string, error) {
	set, err := d.domainSet(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(set)), nil
}

// DefaultDomain returns the default domain.
func (d *Directory) DefaultDomain() string { return d.cfg.DefaultDomain }

func (d *Directory) domainSet(ctx context.Context) (domainSet, error) {
	now := d.cfg.Now()
	set, ok, gen := d.domains.get("", now)
	if ok {
		return set, nil
	}
	stored, err := d.store.Domains(ctx)
	if err != nil {
		return nil, fmt.Errorf("read domain list: %w", err)
	}
	set = domainSet{}
	for _, s := range stored {
		set[lower(s)] = true
	}
	for _, s := range d.cfg.StaticDomains {
		if _, gone := d.removed.Load(lower(s)); !gone {
			set[lower(s)] = true
		}
	}
	for s := range d.fixedDomains() {
		set[s] = true
	}
	if d.cfg.LookupIPs != nil {
		d.detectIPs(ctx, set)
	}
	delete(set, "")
	d.domains.put("", set, now, gen)
	return set, nil
}

// fixedDomains are those that cannot be removed.
func (d *Directory) fixedDomains() domainSet {
	set := domainSet{d.cfg.DefaultDomain: true}
	for _, s := range d.cfg.AutoDomains {
		set[lower(s)] = true
	}
	return set
}

// AddDomain adds a domain to the list; one that is there already is no error.
// Errors: ErrInvalidDomain, with the reason as text; ErrReadOnly.
func (d *Directory) AddDomain(ctx context.Context, domain string) error {
	dom, err := container.ParseDomain(domain)
	if err != nil {
		return refuse(ErrInvalidDomain, err.Error())
	}
	if d.cfg.ReadOnlyDomains {
		return refuse(ErrReadOnly, "Read-Only DomainList implementation")
	}
	defer d.domains.clear()
	d.removed.Delete(dom)
	stored, err := d.store.Domains(ctx)
	if err != nil {
		return fmt.Errorf("read domain list: %w", err)
	}
	if slices.Contains(stored, dom) {
		return nil
	}
	if err := d.store.AddDomain(ctx, dom); err != nil {
		return fmt.Errorf("add domain %s: %w", dom, err)
	}
	return nil
}

// RemoveDomain removes a domain and every mapping whose source is the domain as
// such; mappings of single addresses in it, and those that point to it, stay.
// One that is not there is no error. Errors: ErrNotRemovable, ErrReadOnly,
// ErrInvalidDomain.
func (d *Directory) RemoveDomain(ctx context.Context, domain string) error {
	dom, err := container.ParseDomain(domain)
	if err != nil {
		return refuse(ErrInvalidDomain, err.Error())
	}
	if d.cfg.ReadOnlyDomains {
		return refuse(ErrReadOnly, "Read-Only DomainList implementation")
	}
	set, err := d.domainSet(ctx)
	if err != nil {
		return err
	}
	if d.fixedDomains()[dom] || set[dom] && d.isDetectedIP(ctx, dom) {
		return refuse(ErrNotRemovable, dom+" is autodetected and cannot be removed")
	}
	defer d.domains.clear()
	defer d.mappings.clear()
	ms, err := d.store.Mappings(ctx, dom)
	if err != nil {
		return fmt.Errorf("read mappings of %s: %w", dom, err)
	}
	for _, m := range ms {
		if err := d.store.RemoveMapping(ctx, dom, m); err != nil {
			return fmt.Errorf("remove mapping of %s: %w", dom, err)
		}
	}
	if err := d.store.RemoveDomain(ctx, dom); err != nil {
		return fmt.Errorf("remove domain %s: %w", dom, err)
	}
	d.removed.Store(dom, true)
	return nil
}

// isDetectedIP reports whether a local domain is local only because it is an
// address of another one.
func (d *Directory) isDetectedIP(ctx context.Context, dom string) bool {
	if d.cfg.LookupIPs == nil {
		return false
	}
	stored, err := d.store.Domains(ctx)
	return err == nil && !slices.Contains(stored, dom)
}
