package local

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// DropScope says for whom a drop list counts, named as webadmin shows it.
type DropScope string

// The scopes of drop lists.
const (
	DropGlobal DropScope = "GLOBAL" // for every recipient
	DropDomain DropScope = "DOMAIN" // for the recipients in a domain
	DropUser   DropScope = "USER"   // for one recipient
)

// DropOwner is whom a drop list belongs to. Name is empty for the global one.
type DropOwner struct {
	Scope DropScope
	Name  string
}

// ParseDropOwner checks and normalises the owner of a drop list. Errors are
// *RuleError with the text that James answers; its kind is ErrInvalid.
func ParseDropOwner(scope DropScope, name string) (DropOwner, error) {
	switch scope {
	case DropDomain:
		d, err := droppedDomain(name)
		return DropOwner{scope, d}, err
	case DropUser:
		a, err := droppedAddress(name)
		return DropOwner{scope, a}, err
	}
	return DropOwner{Scope: DropGlobal}, nil
}

// ParseDenied checks and normalises what a drop list denies: an address, or a
// domain. Errors are those of ParseDropOwner.
func ParseDenied(s string) (string, error) {
	if IsDeniedAddress(s) {
		return droppedAddress(s)
	}
	return droppedDomain(s)
}

// IsDeniedAddress tells an address on a drop list from a domain.
func IsDeniedAddress(denied string) bool { return strings.Contains(denied, "@") }

func droppedDomain(s string) (string, error) {
	d, err := container.ParseDomain(s)
	if err != nil {
		return "", refuse(ErrInvalid, "Invalid domain "+s)
	}
	return d, nil
}

func droppedAddress(s string) (string, error) {
	a, err := container.ParseAddress(s)
	if err != nil {
		return "", refuse(ErrInvalid, "Invalid mail address "+s)
	}
	return a.Key(), nil
}

// DropLists knows which senders are not welcome: to anybody, to a domain, or to
// one recipient. Changes count at once. It is safe for concurrent use.
type DropLists struct{ store PolicyStorage }

// NewDropLists returns the drop lists in store.
func NewDropLists(store PolicyStorage) *DropLists { return &DropLists{store} }

// List returns the addresses and domains that an owner denies, sorted.
func (d *DropLists) List(ctx context.Context, o DropOwner) ([]string, error) {
	list, err := d.store.DropList(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("read drop list: %w", err)
	}
	return list, nil
}

// Add puts an address or a domain, as ParseDenied returns it, on the list of an
// owner. One that is there is no error.
func (d *DropLists) Add(ctx context.Context, o DropOwner, denied string) error {
	if err := d.store.AddDenied(ctx, o, denied); err != nil {
		return fmt.Errorf("change drop list: %w", err)
	}
	return nil
}

// Remove takes an address or a domain off the list of an owner. One that is not
// there is no error.
func (d *DropLists) Remove(ctx context.Context, o DropOwner, denied string) error {
	if err := d.store.RemoveDenied(ctx, o, denied); err != nil {
		return fmt.Errorf("change drop list: %w", err)
	}
	return nil
}

// Has reports whether the list of an owner has exactly this address or domain.
func (d *DropLists) Has(ctx context.Context, o DropOwner, denied string) (bool, error) {
	by, err := d.store.DeniedBy(ctx, []DropOwner{o}, []string{denied})
	if err != nil {
		return false, fmt.Errorf("read drop list: %w", err)
	}
	return len(by) > 0, nil
}

// Allowed returns the recipients that sender may write to, in their order: those
// for whom neither the address nor the domain of the sender is on the global
// list, on that of their domain, or on their own. The null sender may write to
// everybody, else no bounce would arrive.
func (d *DropLists) Allowed(ctx context.Context, sender container.Address, recipients []container.Address) ([]container.Address, error) {
	if sender.IsNull() || len(recipients) == 0 {
		return recipients, nil
	}
	denied := []string{sender.Key()}
	if sender.Domain != "" {
		denied = append(denied, sender.Domain)
	}
	owners := []DropOwner{{Scope: DropGlobal}}
	domains := map[string]bool{}
	for _, r := range recipients {
		owners = append(owners, DropOwner{DropUser, r.Key()})
		if r.Domain != "" && !domains[r.Domain] {
			domains[r.Domain] = true
			owners = append(owners, DropOwner{DropDomain, r.Domain})
		}
	}
	by, err := d.store.DeniedBy(ctx, owners, denied)
	if err != nil {
		return nil, fmt.Errorf("read drop lists: %w", err)
	}
	if len(by) == 0 {
		return recipients, nil
	}
	blocked := map[DropOwner]bool{}
	for _, i := range by {
		blocked[owners[i]] = true
	}
	if blocked[owners[0]] {
		return nil, nil
	}
	return slices.DeleteFunc(slices.Clone(recipients), func(r container.Address) bool {
		return blocked[DropOwner{DropUser, r.Key()}] || blocked[DropOwner{DropDomain, r.Domain}]
	}), nil
}
