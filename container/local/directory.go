package local

import (
	"context"
	"errors"
)

// MappingType is a type of recipient mapping, named as webadmin shows it.
type MappingType string

// The mapping types of James's recipient rewrite table.
const (
	MapDomain      MappingType = "Domain"
	MapDomainAlias MappingType = "DomainAlias"
	MapGroup       MappingType = "Group"
	MapForward     MappingType = "Forward"
	MapAlias       MappingType = "Alias"
	MapRegex       MappingType = "Regex"
	MapError       MappingType = "Error"
	MapAddress     MappingType = "Address"
)

// Mapping is one target of a mapping source, without type prefix.
type Mapping struct {
	Type   MappingType
	Target string
}

// User is one account. Hash is in the form of hash.go; never a clear password.
type User struct {
	Name      string // lower case; local@domain with virtual hosting
	Algorithm string
	Hash      string
}

// Storage keeps the local data. Package repository/sqlite implements it.
// Not-found is reported by ok or an empty result, never by an error.
type Storage interface {
	Domains(ctx context.Context) ([]string, error)
	AddDomain(ctx context.Context, domain string) error
	RemoveDomain(ctx context.Context, domain string) error

	Users(ctx context.Context) ([]string, error)
	User(ctx context.Context, name string) (u User, ok bool, err error)
	PutUser(ctx context.Context, u User) error
	RemoveUser(ctx context.Context, name string) error

	// Mappings of one source: "user@domain", "domain" for *@domain, or "*".
	Mappings(ctx context.Context, source string) ([]Mapping, error)
	AllMappings(ctx context.Context) (map[string][]Mapping, error)
	AddMapping(ctx context.Context, source string, m Mapping) error
	RemoveMapping(ctx context.Context, source string, m Mapping) error
	// SourcesOf returns the sources that have m.
	SourcesOf(ctx context.Context, m Mapping) ([]string, error)
}

// Errors of Directory.
var (
	// ErrTooManyMappings: rewriting does not come to an end.
	ErrTooManyMappings = errors.New("554 Too many mappings to process")
	ErrUserExists      = errors.New("user already exist")
	ErrNoSuchUser      = errors.New("no such user")
)

// MappingError is the text of an error mapping that rewriting met.
type MappingError struct{ Text string }

// Error returns the text.
func (e *MappingError) Error() string { return e.Text }

// Config is what domainlist.xml, usersrepository.xml and
// recipientrewritetable.xml say.
type Config struct {
	DefaultDomain    string
	StaticDomains    []string // configured ones that cannot be removed
	VirtualHosting   bool
	Algorithm        string // password hash for new users
	RecursiveMapping bool
	MappingLimit     int
	Administrators   []string
}

// Directory answers what is local here: domains, users and the rewriting of
// recipients. It is safe for concurrent use.
type Directory struct {
	cfg   Config
	store Storage
}

// New returns a directory over store.
func New(cfg Config, store Storage) *Directory { return &Directory{cfg: cfg, store: store} }
