package smtphooks

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/metrics"
	"github.com/mailetd/mailetd/repository"
)

// Local is what hooks need to know of the local data (*local.Directory).
type Local interface {
	IsLocalDomain(ctx context.Context, domain string) (bool, error)
	UserExists(ctx context.Context, a container.Address) (bool, error)
	Resolve(ctx context.Context, a container.Address, types ...local.MappingType) ([]local.Mapping, error)
	MaySendAs(ctx context.Context, user string, a container.Address) (bool, error)
	Authenticate(ctx context.Context, user, password string) (name string, ok bool, err error)
}

// Queue takes mails in (repository.Queues).
type Queue interface {
	NewBody() repository.BodyWriter
	Commit(ctx context.Context, c repository.Change) error
}

// Services is what hooks need of the server. While a configuration is only
// checked the services are there but nothing calls them.
type Services struct {
	DefaultDomain string // completes addresses without domain
	Hostname      string // our name, for servers that do not configure helloName
	Local         Local
	DNS           dns.Resolver
	Queue         Queue
	Log           *slog.Logger
	Metrics       *metrics.Set // may be nil

	// Greylist keeps which senders were seen before.
	Greylist local.GreylistStorage
	// ReadFile reads a file that the configuration names, such as
	// file://conf/crowdsec.properties (conf.Dir.ReadFile).
	ReadFile func(ref string) ([]byte, error)

	// Mailboxes opens the mailboxes whose place a pattern tells ("" for the usual
	// one), for LMTP.
	Mailboxes func(pattern string) (Mailboxes, error)
	// Process runs a mail through the processors, for LMTP: what shall come of it
	// is in out then. An error means that it could not be processed at all.
	Process func(ctx context.Context, m *container.Mail, out *container.Outbox) error

	// Server is the configuration of the server whose chain is built; Build sets
	// it for the factories.
	Server conf.SMTPServer
}

// count adds one to a counter.
func (s Services) count(name, help string) {
	if s.Metrics != nil {
		s.Metrics.Counter(name, help).Inc()
	}
}

// Factory makes a handler from its element. Problems go into p. The result
// implements some of the hook interfaces.
type Factory func(p *conf.Params, s Services) any

// Registry knows the handler classes that a chain can name. It is filled before
// the configuration is loaded and not changed afterwards.
type Registry struct {
	classes map[string]Factory
	bundles map[string][]string
	mapped  map[string]string // foreign name to class of ours
}

// NewRegistry returns a registry with the classes of this package.
func NewRegistry() *Registry {
	r := &Registry{classes: map[string]Factory{}, bundles: map[string][]string{}, mapped: map[string]string{}}
	register(r)
	return r
}

// Handler adds a class by its full name. It panics when the name is taken: that
// is a mistake in the program.
func (r *Registry) Handler(class string, f Factory) {
	if r.known(class) || f == nil || class == "" {
		panic(fmt.Sprintf("SMTP handler class %q registered twice, or without factory", class))
	}
	r.classes[class] = f
}

// Map makes the class name stand for target, a handler class or bundle: what
// classes.properties says of classes that only others have. A class of this
// registry stays what it is. Whether the target exists is looked at when a chain
// names the class.
func (r *Registry) Map(name, target string) { r.mapped[name] = target }

// resolve returns the class that name stands for.
func (r *Registry) resolve(name string) string {
	if target, ok := r.mapped[name]; ok && !r.known(name) {
		return target
	}
	return name
}

// Bundle adds a bundle: the classes, in order, that coreHandlersPackage stands
// for. It panics like Handler.
func (r *Registry) Bundle(class string, members []string) {
	if r.known(class) || class == "" {
		panic(fmt.Sprintf("SMTP handler bundle %q registered twice", class))
	}
	r.bundles[class] = members
}

func (r *Registry) known(class string) bool {
	_, isClass := r.classes[class]
	_, isBundle := r.bundles[class]
	return isClass || isBundle
}

// Classes returns the full names of all handler classes, without bundles.
func (r *Registry) Classes() []string { return slices.Sorted(maps.Keys(r.classes)) }

// unknown explains why class cannot be used.
func (r *Registry) unknown(class string) string {
	if slices.Contains(validRcptHandlers, class) {
		return fmt.Sprintf("Can not load %s: a class that only others have; say in classes.properties that it stands for %sfastfail.ValidRcptHandler", class, james)
	}
	if what, ok := examples[class]; ok {
		return fmt.Sprintf("Can not load %s: %s", class, what)
	}
	return fmt.Sprintf("Can not load %s: no such handler class%s; the full name must be written", class, r.suggest(class))
}

// suggest compares simple names: the packages are long and alike.
func (r *Registry) suggest(class string) string {
	bySimple := map[string]string{}
	for c := range r.classes {
		bySimple[simpleName(c)] = c
	}
	if full, ok := bySimple[simpleName(class)]; ok {
		return fmt.Sprintf(" (did you mean %q?)", full)
	}
	hint := conf.Suggest(simpleName(class), slices.Sorted(maps.Keys(bySimple)))
	for simple, full := range bySimple {
		if hint == fmt.Sprintf(" (did you mean %q?)", simple) {
			return fmt.Sprintf(" (did you mean %q?)", full)
		}
	}
	return ""
}

func simpleName(class string) string { return class[strings.LastIndexByte(class, '.')+1:] }
