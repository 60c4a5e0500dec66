package local

import (
	"context"
	"errors"

	"github.com/mailetd/mailetd/container"
)

var errStub = errors.New("not written yet")

// IsLocalDomain reports whether domain is in the domain list.
func (d *Directory) IsLocalDomain(ctx context.Context, domain string) (bool, error) {
	return false, errStub
}

// Domains returns the domain list, sorted.
func (d *Directory) Domains(ctx context.Context) ([]string, error) { return nil, errStub }

// DefaultDomain returns the default domain.
func (d *Directory) DefaultDomain() string { return d.cfg.DefaultDomain }

// Username returns the user that an address belongs to: the whole address in
// lower case with virtual hosting, the local part without.
func (d *Directory) Username(a container.Address) string { return "" }

// UserExists reports whether there is an account for the address.
func (d *Directory) UserExists(ctx context.Context, a container.Address) (bool, error) {
	return false, errStub
}

// IsLocalAddress reports whether a belongs to an account here, by itself or by
// an alias or domain alias (James: MailetContext.isLocalEmail).
func (d *Directory) IsLocalAddress(ctx context.Context, a container.Address) (bool, error) {
	return false, errStub
}

// Resolve rewrites a as the mappings of the given types say (none: all types).
// No mapping gives an empty result. Errors: ErrTooManyMappings, *MappingError.
func (d *Directory) Resolve(ctx context.Context, a container.Address, types ...MappingType) ([]Mapping, error) {
	return nil, errStub
}

// MaySendAs reports whether user may use the address a as sender.
func (d *Directory) MaySendAs(ctx context.Context, user string, a container.Address) (bool, error) {
	return false, errStub
}

// Authenticate checks a password and returns the account name.
func (d *Directory) Authenticate(ctx context.Context, user, password string) (name string, ok bool, err error) {
	return "", false, errStub
}
