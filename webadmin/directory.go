package webadmin

import (
	"context"
	"errors"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

// Directory is the local data: domains, users, mappings. *local.Directory has
// it. Rules that refuse a change are *local.RuleError.
type Directory interface {
	domains
	users
	mappings
}

var _ Directory = (*local.Directory)(nil)

type domains interface {
	Domains(ctx context.Context) ([]string, error)
	IsLocalDomain(ctx context.Context, domain string) (bool, error)
	AddDomain(ctx context.Context, domain string) error
	RemoveDomain(ctx context.Context, domain string) error
}

type users interface {
	VirtualHosting() bool
	CheckUserName(ctx context.Context, name string) (string, error)
	Users(ctx context.Context) ([]string, error)
	HasUser(ctx context.Context, name string) (bool, error)
	AddUser(ctx context.Context, name, password string) error
	SetPassword(ctx context.Context, name, password string) error
	DeleteUser(ctx context.Context, name string) error
	Authenticate(ctx context.Context, user, password string) (name string, ok bool, err error)
	SenderAddresses(ctx context.Context, user string) ([]string, error)
	RemoveUserMappings(ctx context.Context, user string) error
	RenameForwards(ctx context.Context, from, to string) error
}

type mappings interface {
	UserExists(ctx context.Context, a container.Address) (bool, error)
	Mappings(ctx context.Context, source string) ([]local.Mapping, error)
	AllMappings(ctx context.Context) (map[string][]local.Mapping, error)
	AddMapping(ctx context.Context, source string, m local.Mapping) error
	PutMapping(ctx context.Context, source string, m local.Mapping) error
	RemoveMapping(ctx context.Context, source string, m local.Mapping) error
	SourcesOf(ctx context.Context, m local.Mapping) ([]string, error)
}

// ruled turns a refusal of the rules into the answer James gives: 409 for what
// contradicts other data, 400 for the rest. Other errors stay.
func ruled(err error) error {
	var rule *local.RuleError
	if !errors.As(err, &rule) {
		return err
	}
	switch {
	case errors.Is(err, local.ErrUserExists), errors.Is(err, local.ErrShadowed), errors.Is(err, local.ErrLoop):
		return conflict("%s", rule.Text)
	case errors.Is(err, local.ErrNoSuchUser):
		return notFoundInvalid("%s", rule.Text)
	case errors.Is(err, local.ErrReadOnly):
		return internal(err)
	default:
		return badRequest("%s", rule.Text)
	}
}

// isRule reports whether err is a refusal of the given kind.
func isRule(err, kind error) bool { return err != nil && errors.Is(err, kind) }
