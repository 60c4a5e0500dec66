package local

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// QuotaScope says whose mailboxes a quota is for.
type QuotaScope string

// The scopes of quotas. Of each limit the narrowest scope that has it counts.
const (
	QuotaGlobal QuotaScope = "global"
	QuotaDomain QuotaScope = "domain"
	QuotaUser   QuotaScope = "user"
)

// QuotaOwner is whose quota is meant: a domain, an account, or nobody's name for
// the global one.
type QuotaOwner struct {
	Scope QuotaScope
	Name  string
}

// Unlimited is a limit that lets everything pass.
const Unlimited = -1

// QuotaLimits are the limits of one scope; nil is one that it does not have.
type QuotaLimits struct {
	Count *int64 // messages
	Size  *int64 // octets
}

// IsZero reports that there is neither limit.
func (l QuotaLimits) IsZero() bool { return l.Count == nil && l.Size == nil }

// MailboxUse is how much a user's mailbox holds.
type MailboxUse struct{ Count, Size int64 }

// QuotaDetails are the limits for one account.
type QuotaDetails struct {
	Global, Domain, User QuotaLimits
	Computed             QuotaLimits // what counts
}

// QuotaStorage keeps quotas. Package repository/sqlite implements it. What is
// not there is no error.
type QuotaStorage interface {
	// Quotas returns the limits of each of owners.
	Quotas(ctx context.Context, owners []QuotaOwner) ([]QuotaLimits, error)
	// SetQuota replaces the limits of an owner; none removes them.
	SetQuota(ctx context.Context, o QuotaOwner, l QuotaLimits) error
}

// Mailboxes measures mailboxes.
type Mailboxes interface {
	// Use returns what the mailbox of user in domain holds, nothing when there is
	// none.
	Use(ctx context.Context, user, domain string) (MailboxUse, error)
}

// Quotas knows how much mailboxes may hold. It is safe for concurrent use;
// changes count at once.
type Quotas struct {
	store     QuotaStorage
	directory *Directory
	boxes     Mailboxes
}

// NewQuotas returns the quotas in store.
func NewQuotas(store QuotaStorage, d *Directory, boxes Mailboxes) *Quotas {
	return &Quotas{store, d, boxes}
}

// Limits returns the limits that an owner has.
func (q *Quotas) Limits(ctx context.Context, o QuotaOwner) (QuotaLimits, error) {
	list, err := q.store.Quotas(ctx, []QuotaOwner{o})
	if err != nil {
		return QuotaLimits{}, fmt.Errorf("read quota: %w", err)
	}
	return list[0], nil
}

// Set replaces the limits of an owner.
func (q *Quotas) Set(ctx context.Context, o QuotaOwner, l QuotaLimits) error {
	if err := q.store.SetQuota(ctx, o, l); err != nil {
		return fmt.Errorf("set quota: %w", err)
	}
	return nil
}

// Details returns the limits for an account.
func (q *Quotas) Details(ctx context.Context, account string) (QuotaDetails, error) {
	_, domain := q.split(account)
	list, err := q.store.Quotas(ctx, []QuotaOwner{{Scope: QuotaGlobal}, {QuotaDomain, domain}, {QuotaUser, account}})
	if err != nil {
		return QuotaDetails{}, fmt.Errorf("read quotas of %s: %w", account, err)
	}
	d := QuotaDetails{Global: list[0], Domain: list[1], User: list[2]}
	for _, l := range list {
		if l.Count != nil {
			d.Computed.Count = l.Count
		}
		if l.Size != nil {
			d.Computed.Size = l.Size
		}
	}
	return d, nil
}

// Use returns what the mailbox of an account holds.
func (q *Quotas) Use(ctx context.Context, account string) (MailboxUse, error) {
	user, domain := q.split(account)
	use, err := q.boxes.Use(ctx, user, domain)
	if err != nil {
		return use, fmt.Errorf("measure mailbox of %s: %w", account, err)
	}
	return use, nil
}

// split returns user and domain of a mailbox, as local delivery has them.
func (q *Quotas) split(account string) (user, domain string) {
	if i := strings.LastIndexByte(account, '@'); i >= 0 {
		return account[:i], account[i+1:]
	}
	return account, q.directory.DefaultDomain()
}

// Over reports whether one more message of size octets is too much for the
// mailbox that mail for a goes to. A mailbox without limit is not measured.
func (q *Quotas) Over(ctx context.Context, a container.Address, size int64) (bool, error) {
	account := q.directory.Username(a)
	if account == "" {
		account = lower(a.String())
	}
	d, err := q.Details(ctx, account)
	if err != nil || !limited(d.Computed.Count) && !limited(d.Computed.Size) {
		return false, err
	}
	use, err := q.Use(ctx, account)
	if err != nil {
		return false, err
	}
	return exceeds(d.Computed.Count, use.Count, 1) || exceeds(d.Computed.Size, use.Size, size), nil
}

func limited(limit *int64) bool { return limit != nil && *limit != Unlimited }

func exceeds(limit *int64, used, more int64) bool { return limited(limit) && used > *limit-more }
