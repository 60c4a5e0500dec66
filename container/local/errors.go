package local

import "errors"

// Kinds of RuleError, beside ErrUserExists and ErrNoSuchUser.
var (
	ErrInvalid         = errors.New("invalid argument")
	ErrInvalidDomain   = errors.New("invalid domain")
	ErrNotRemovable    = errors.New("domain cannot be removed")
	ErrInvalidUser     = errors.New("invalid user name")
	ErrUnmanagedDomain = errors.New("domain is not in the domain list")
	ErrSameAddress     = errors.New("source and target are the same")
	ErrInvalidRegex    = errors.New("invalid regular expression")
	ErrShadowed        = errors.New("address has other mappings")
	ErrLoop            = errors.New("mapping would loop")
	ErrReadOnly        = errors.New("read-only")
	ErrDuplicateRule   = errors.New("two rules have the same id")
)

// RuleError is a change that the rules refuse. Text is what James answers;
// errors.Is compares with Kind.
type RuleError struct {
	Kind error
	Text string
}

// Error returns the text.
func (e *RuleError) Error() string { return e.Text }

// Unwrap returns the kind.
func (e *RuleError) Unwrap() error { return e.Kind }

// isRule reports whether err is a refusal, not a failure.
func isRule(err error) bool {
	var rule *RuleError
	return errors.As(err, &rule)
}

func refuse(kind error, text string) error { return &RuleError{Kind: kind, Text: text} }
