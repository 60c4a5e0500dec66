package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/mailetd/mailetd/container"
)

// Members returns those of addresses, in their order, that belong to a member of
// a group: the entries in its attribute member. An entry belongs to an address
// that is a value of the configured attribute for addresses; it need not be one
// of the users. The error is ErrNotFound when there is no such group.
func (c *Client) Members(ctx context.Context, group string, addresses []container.Address) ([]container.Address, error) {
	names, err := c.memberNames(ctx, group)
	if err != nil {
		return nil, fmt.Errorf("ask LDAP for the members of %s: %w", group, err)
	}
	if len(names) == 0 {
		return nil, nil
	}
	g := &groupSearch{Client: c, members: map[string]bool{}}
	if err := g.sort(names); err != nil {
		return nil, fmt.Errorf("group %s in LDAP: %w", group, err)
	}
	var out []container.Address
	for _, a := range addresses {
		ok, err := g.has(ctx, a)
		if err != nil {
			return nil, fmt.Errorf("ask LDAP whether %s is in %s: %w", a, group, err)
		}
		if ok {
			out = append(out, a)
		}
	}
	return out, nil
}

// memberNames reads the attribute member. A directory may give it in pieces,
// called member;range=0-1499 and so on, the last one member;range=1500-*.
func (c *Client) memberNames(ctx context.Context, group string) ([]string, error) {
	var names []string
	for ask := memberOf; ask != ""; {
		entries, err := c.search(ctx, group, goldap.ScopeBaseObject, "(objectClass=*)", ask)
		if err != nil {
			return nil, err
		}
		ask = ""
		for _, e := range entries {
			for _, a := range e.Attributes {
				next, ok := nextRange(a.Name)
				if !ok {
					continue
				}
				names = append(names, a.Values...)
				if next > 0 && len(a.Values) > 0 {
					ask = memberOf + ";range=" + strconv.Itoa(next) + "-*"
				}
			}
		}
		if len(names) > maxMembers {
			return nil, fmt.Errorf("it has more than %d members", maxMembers)
		}
	}
	return names, nil
}

// nextRange reports whether an attribute is member or a piece of it, and where
// the next piece begins; 0 when there is none.
func nextRange(attribute string) (next int, ok bool) {
	name, piece, ranged := strings.Cut(strings.ToLower(attribute), ";range=")
	if name != memberOf {
		return 0, false
	}
	_, last, _ := strings.Cut(piece, "-")
	n, err := strconv.Atoi(last)
	if !ranged || err != nil || n < 0 || n > maxMembers {
		return 0, true
	}
	return n + 1, true
}

// groupSearch finds out about one group.
type groupSearch struct {
	*Client
	members map[string]bool // keys of names
	outside []string        // members below no base
	asked   bool            // foreign is known
	foreign []string        // addresses of those outside
}

func (g *groupSearch) sort(names []string) error {
	for _, n := range names {
		dn, err := goldap.ParseDN(n)
		if err != nil {
			return fmt.Errorf("member %q: %w", n, err)
		}
		if slices.ContainsFunc(g.bases, func(b base) bool { return b.dn.AncestorOfFold(dn) || b.dn.EqualFold(dn) }) {
			g.members[key(dn)] = true
		} else {
			g.outside = append(g.outside, n)
		}
	}
	return nil
}

// has reports whether an address belongs to a member: to one below a base, whose
// entry the directory finds by the address, or to one of the others, whose entries
// are all read.
func (g *groupSearch) has(ctx context.Context, a container.Address) (bool, error) {
	for _, b := range g.bases {
		if len(g.members) == 0 {
			break
		}
		entries, err := g.search(ctx, b.name, goldap.ScopeWholeSubtree, equals(g.settings.UserIDAttribute, a.String()), onlyTheName)
		if errors.Is(err, ErrNotFound) { // of the base, which is another thing than no group
			return false, fmt.Errorf("the directory has no base %s", b.name)
		}
		if err != nil {
			return false, err
		}
		for _, e := range entries {
			if dn, err := goldap.ParseDN(e.DN); err == nil && g.members[key(dn)] {
				return true, nil
			}
		}
	}
	if err := g.readOutside(ctx); err != nil {
		return false, err
	}
	return slices.ContainsFunc(g.foreign, func(text string) bool {
		other, err := container.ParseAddress(text)
		return err == nil && other.Equal(a)
	}), nil
}

func (g *groupSearch) readOutside(ctx context.Context) error {
	if g.asked {
		return nil
	}
	for _, name := range g.outside {
		entries, err := g.search(ctx, name, goldap.ScopeBaseObject, "(objectClass=*)", g.settings.UserIDAttribute)
		if errors.Is(err, ErrNotFound) {
			continue // a member that was removed
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			g.foreign = append(g.foreign, e.GetEqualFoldAttributeValues(g.settings.UserIDAttribute)...)
		}
	}
	g.asked = true
	return nil
}

// SameName reports whether a and b name the same entry; false when one of them
// is no name.
func SameName(a, b string) bool {
	x, err := goldap.ParseDN(a)
	if err != nil {
		return false
	}
	y, err := goldap.ParseDN(b)
	return err == nil && len(x.RDNs) > 0 && key(x) == key(y)
}

// CommonName returns the value of the first cn in the name of an entry.
func CommonName(name string) (string, bool) {
	dn, err := goldap.ParseDN(name)
	if err != nil {
		return "", false
	}
	for _, rdn := range dn.RDNs {
		for _, a := range rdn.Attributes {
			if strings.EqualFold(a.Type, "cn") {
				return a.Value, true
			}
		}
	}
	return "", false
}

// key returns a text that is the same for all spellings of a name: upper and
// lower case, blanks (RFC 4518 §2.6.1), escapes, and the order within a part do
// not count.
func key(dn *goldap.DN) string {
	var b strings.Builder
	for _, rdn := range dn.RDNs {
		parts := make([]string, len(rdn.Attributes))
		for i, a := range rdn.Attributes {
			parts[i] = strings.ToLower(a.Type) + "=" + strconv.Quote(strings.ToLower(strings.Join(strings.Fields(a.Value), " ")))
		}
		slices.Sort(parts)
		b.WriteString(strings.Join(parts, "+"))
		b.WriteByte(',')
	}
	return b.String()
}
