package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailetd/mailetd/container"
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

// ErrTooManyMappings and the other errors of Directory are compared with
// errors.Is; see also RuleError.
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
	DefaultDomain string
	// StaticDomains are the configured ones: local from the start, written to
	// the store by Init, and back at the next start when they were removed.
	StaticDomains []string
	// AutoDomains were detected (autodetect: the name of this machine); like the
	// default domain they cannot be removed.
	AutoDomains []string
	// LookupIPs, when not nil, returns the addresses of a domain, which then
	// count as local address literals (autodetectIP). A failure means none.
	LookupIPs func(ctx context.Context, domain string) []string
	// DetectTimeout bounds the lookups of all domains; 0: 2 s.
	DetectTimeout   time.Duration
	ReadOnlyDomains bool // XMLDomainList: changes are refused

	VirtualHosting bool
	Algorithm      string // as configured; new passwords are stored as hash.go says
	HashIterations int    // PBKDF2 rounds of new passwords, 0: ScramIterations
	Administrators []string
	// VerifyFailureDelay passes before a wrong password is answered.
	VerifyFailureDelay time.Duration

	RecursiveMapping bool
	MappingLimit     int // 0: 10
	// StaticMappings, when not nil, are the whole table, which is then read-only
	// (XMLRecipientRewriteTable). Keys are normalised sources.
	StaticMappings map[string][]Mapping

	Now func() time.Time // nil: time.Now
}

// Directory answers what is local here: domains, users and the rewriting of
// recipients. It keeps what it read from the store for ten seconds, less when
// the change came through it. It is safe for concurrent use.
type Directory struct {
	cfg   Config
	store Storage

	domains   cache[domainSet]
	users     cache[bool]
	mappings  cache[[]rule]
	verified  cache[[32]byte]
	allSCRAM  cache[bool]
	regexes   regexCache
	adding    sync.Mutex // held from the check of a new mapping until it is stored
	detection detection
	hashing   chan struct{} // a place for each password that is hashed at a time: one processor is left for the mail
	macKey    [32]byte
	secretMu  sync.Mutex
	secret    []byte   // of SCRAM, nil until read
	removed   sync.Map // static domains removed since the start
}

// New returns a directory over store.
func New(cfg Config, store Storage) *Directory {
	cfg.DefaultDomain = lower(cfg.DefaultDomain)
	if cfg.MappingLimit <= 0 {
		cfg.MappingLimit = 10
	}
	if cfg.HashIterations <= 0 {
		cfg.HashIterations = ScramIterations
	}
	if cfg.DetectTimeout <= 0 {
		cfg.DetectTimeout = detectTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	d := &Directory{cfg: cfg, store: store, hashing: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))}
	d.domains.init(1, cacheTime)
	d.users.init(maxCached, cacheTime)
	d.mappings.init(maxCached, cacheTime)
	d.verified.init(maxCached, verifiedTime)
	d.allSCRAM.init(1, cacheTime)
	_, _ = rand.Read(d.macKey[:]) // never fails: crypto/rand
	return d
}

// Init writes the default, detected and configured domains to the store where
// they are missing, as James does at start.
func (d *Directory) Init(ctx context.Context) error {
	have, err := d.store.Domains(ctx)
	if err != nil {
		return fmt.Errorf("read domain list: %w", err)
	}
	defer d.domains.clear()
	for _, list := range [][]string{{d.cfg.DefaultDomain}, d.cfg.AutoDomains, d.cfg.StaticDomains} {
		for _, name := range list {
			dom, err := container.ParseDomain(strings.TrimSpace(name))
			if err != nil {
				return fmt.Errorf("configured domain %q: %w", name, err)
			}
			if slices.Contains(have, dom) {
				continue
			}
			if err := d.store.AddDomain(ctx, dom); err != nil {
				return fmt.Errorf("add domain %s: %w", dom, err)
			}
			have = append(have, dom)
		}
	}
	return nil
}
