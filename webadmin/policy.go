package webadmin

import (
	"context"

	"github.com/mailetd/mailetd/container/local"
)

// DropLists are the senders that are not welcome. *local.DropLists has them.
type DropLists interface {
	List(ctx context.Context, o local.DropOwner) ([]string, error)
	Add(ctx context.Context, o local.DropOwner, denied string) error
	Remove(ctx context.Context, o local.DropOwner, denied string) error
	Has(ctx context.Context, o local.DropOwner, denied string) (bool, error)
}

// DLP are the rules against data leaks. *local.DLP has them; those that it
// refuses are *local.RuleError.
type DLP interface {
	Rules(ctx context.Context, domain string) ([]local.DLPRule, error)
	Rule(ctx context.Context, domain, id string) (r local.DLPRule, ok bool, err error)
	SetRules(ctx context.Context, domain string, rules []local.DLPRule) error
}

var (
	_ DropLists = (*local.DropLists)(nil)
	_ DLP       = (*local.DLP)(nil)
)
