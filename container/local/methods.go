package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// Username returns the user that an address belongs to: the whole address in
// lower case with virtual hosting, the local part without.
func (d *Directory) Username(a container.Address) string {
	if a.IsNull() {
		return ""
	}
	if !d.cfg.VirtualHosting {
		return lower(a.Local)
	}
	return lower(a.String())
}

// UserExists reports whether there is an account for the address. Without
// virtual hosting only addresses in local domains have one.
func (d *Directory) UserExists(ctx context.Context, a container.Address) (bool, error) {
	name := d.Username(a)
	if name == "" {
		return false, nil
	}
	if !d.cfg.VirtualHosting {
		if ok, err := d.IsLocalDomain(ctx, a.Domain); err != nil || !ok {
			return false, err
		}
	}
	return d.hasUser(ctx, name)
}

func (d *Directory) hasUser(ctx context.Context, name string) (bool, error) {
	now := d.cfg.Now()
	exists, ok, gen := d.users.get(name, now)
	if ok {
		return exists, nil
	}
	_, exists, err := d.store.User(ctx, name)
	if err != nil {
		return false, fmt.Errorf("look user up: %w", err)
	}
	d.users.put(name, exists, now, gen)
	return exists, nil
}

// isAccount reports whether a is the address of an account in a local domain.
func (d *Directory) isAccount(ctx context.Context, a container.Address) (bool, error) {
	if ok, err := d.IsLocalDomain(ctx, a.Domain); err != nil || !ok {
		return false, err
	}
	return d.UserExists(ctx, a)
}

// IsLocalAddress reports whether a belongs to an account here, by itself or by
// an alias or domain alias (James: MailetContext.isLocalEmail).
func (d *Directory) IsLocalAddress(ctx context.Context, a container.Address) (bool, error) {
	if ok, err := d.isAccount(ctx, a); err != nil || ok {
		return ok, err
	}
	targets, err := d.resolveAliases(ctx, a)
	if err != nil {
		return false, err
	}
	for _, t := range targets {
		if ok, err := d.isAccount(ctx, t); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// resolveAliases follows aliases and domain aliases only. Rewriting that fails
// by its own rules gives nothing.
func (d *Directory) resolveAliases(ctx context.Context, a container.Address) ([]container.Address, error) {
	ms, err := d.Resolve(ctx, a, MapAlias, MapDomainAlias)
	var mapErr *MappingError
	if errors.Is(err, ErrTooManyMappings) || errors.As(err, &mapErr) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []container.Address
	for _, m := range ms {
		if t, err := container.ParseAddress(m.Target); err == nil {
			out = append(out, t)
		}
	}
	return out, nil
}

// MaySendAs reports whether user may use the address a as sender: it is the
// user's own, or an alias or domain alias leads from it to the user.
func (d *Directory) MaySendAs(ctx context.Context, user string, a container.Address) (bool, error) {
	user = lower(user)
	if user == "" || a.IsNull() {
		return false, nil
	}
	if d.Username(a) == user {
		if d.cfg.VirtualHosting {
			return true, nil
		}
		return d.IsLocalDomain(ctx, a.Domain)
	}
	targets, err := d.resolveAliases(ctx, a)
	return slices.ContainsFunc(targets, func(t container.Address) bool { return d.Username(t) == user }), err
}

// SenderAddresses returns, sorted, the addresses that user may send from, as
// webadmin lists them (James: CanSendFrom.allValidFromAddressesForUser).
func (d *Directory) SenderAddresses(ctx context.Context, user string) ([]string, error) {
	user = lower(user)
	if !strings.Contains(user, "@") {
		user += "@" + d.cfg.DefaultDomain
	}
	seen := map[string]bool{user: true}
	// Each round goes one mapping back; no more rounds than rewriting has hops.
	for frontier, n := []string{user}, 0; len(frontier) > 0 && n < d.cfg.MappingLimit; n++ {
		var found []string
		for _, addr := range frontier {
			more, err := d.aliasesOf(ctx, addr)
			if err != nil {
				return nil, err
			}
			for _, s := range more {
				if !seen[s] {
					seen[s] = true
					found = append(found, s)
				}
			}
		}
		frontier = found
	}
	out := make([]string, 0, len(seen))
	for s := range seen {
		out = append(out, s)
	}
	slices.Sort(out)
	return out, nil
}

// aliasesOf returns the addresses that an alias or domain alias turns into addr.
func (d *Directory) aliasesOf(ctx context.Context, addr string) ([]string, error) {
	at := strings.LastIndexByte(addr, '@')
	if at < 0 {
		return nil, nil
	}
	sources, err := d.SourcesOf(ctx, Mapping{MapAlias, addr})
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(sources, func(s string) bool { return !strings.Contains(s, "@") })
	domains, err := d.SourcesOf(ctx, Mapping{MapDomainAlias, addr[at+1:]})
	for _, dom := range domains {
		if !strings.Contains(dom, "@") && dom != "*" {
			out = append(out, addr[:at+1]+dom)
		}
	}
	return out, err
}

// IsAdministrator reports whether user may act for others.
func (d *Directory) IsAdministrator(user string) bool {
	return slices.ContainsFunc(d.cfg.Administrators, func(a string) bool { return strings.EqualFold(a, user) })
}

// VirtualHosting reports whether user names are whole addresses.
func (d *Directory) VirtualHosting() bool { return d.cfg.VirtualHosting }
