package local

import "context"

// PolicyStorage keeps drop lists and rules against data leaks. Package
// repository/sqlite implements it. Not-found is an empty result, never an error.
// Everything it gets is in lower case, except for rules.
type PolicyStorage interface {
	// DropList returns what the list of an owner denies, sorted.
	DropList(ctx context.Context, o DropOwner) ([]string, error)
	AddDenied(ctx context.Context, o DropOwner, denied string) error
	RemoveDenied(ctx context.Context, o DropOwner, denied string) error
	// DeniedBy returns which of owners have at least one of denied on their
	// list, as indexes into owners.
	DeniedBy(ctx context.Context, owners []DropOwner, denied []string) ([]int, error)

	// DLPRules returns the rules of a sender domain in their order.
	DLPRules(ctx context.Context, domain string) ([]DLPRule, error)
	// PutDLPRules replaces all rules of a domain in one step; none removes them.
	PutDLPRules(ctx context.Context, domain string, rules []DLPRule) error
}
