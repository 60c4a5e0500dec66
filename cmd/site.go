package cmd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/engine"
	"github.com/mailetd/mailetd/container/ldap"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/metrics"
	"github.com/mailetd/mailetd/mailets"
	"github.com/mailetd/mailetd/mailets/mailbox"
	"github.com/mailetd/mailetd/matchers"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/sqlite"
	"github.com/mailetd/mailetd/smtphooks"
	"github.com/mailetd/mailetd/smtphooks/server"
	"github.com/mailetd/mailetd/webadmin"
)

// site is a configuration that was read: what check looks at and serve runs.
type site struct {
	program *program
	flags   *flags
	log     *slog.Logger

	dir       *conf.Dir
	container *conf.MailetContainer
	smtp      []conf.SMTPServer // those of lmtpserver.xml as well
	web       conf.WebadminServer
	repos     conf.MailRepositoryStore
	classes   []conf.ClassMapping
	directory local.Config
	ldap      *conf.LDAP // nil: none is set up
	dns       dns.Config
	users     []local.PresetUser
	userPos   []conf.Pos  // where each of users is configured
	lookupIPs bool        // the addresses of local domains are local, too
	dropLists bool        // droplists.properties turns them on
	redis     *conf.Redis // nil: rate limits are counted in the store

	healthPeriod time.Duration
	unreadable   bool // there is no mailetcontainer.xml to build anything from

	hostname        string
	postmaster      container.Address
	errorRepository repository.URL
	states          []string
}

// live is what build makes of a site over a store.
type live struct {
	schedules    []webadmin.Schedule
	pipeline     *engine.Pipeline
	smtp         *server.Server
	local        *local.Directory
	dropLists    *local.DropLists // nil when they are off
	dlp          *local.DLP
	ldap         *ldap.Client // nil when none is set up
	rates        rates
	quotas       *local.Quotas
	mailboxes    *mailbox.Usage
	metrics      *metrics.Set
	repositories map[repository.URL]bool
	addrs        *listeners
	store        *sqlite.Store // nil while a configuration is only checked
	reloading    sync.Mutex    // from reading the files on, so that the last one to read them wins
}

// load reads all files. Problems go to r; what cannot be read has defaults.
func (p *program) load(f *flags, log *slog.Logger, r *conf.Report) *site {
	s := &site{program: p, flags: f, log: log}
	s.dir = conf.Open(f.conf, conf.Options{Data: f.data, Sys: f.props}, r)
	s.hostname = hostname()
	s.container = s.dir.MailetContainer()
	if s.container == nil { // the reason is in the report
		s.container = &conf.MailetContainer{}
		s.unreadable = true
	}
	s.healthPeriod = s.dir.HealthCheck().Period
	s.smtp = append(conf.SMTPServers(s.dir.XML("smtpserver.xml"), r), conf.LMTPServers(s.dir.XML("lmtpserver.xml"), r)...)
	s.web = conf.Webadmin(s.dir.Properties("webadmin.properties"), r)
	s.repos = s.dir.MailRepositoryStore()
	s.classes = s.dir.Classes()
	s.dropLists = s.dir.DropLists()
	s.redis = s.dir.Redis()
	s.readLocal()
	s.readDNS()
	s.findPostmaster(r)
	s.findErrorRepository(r)
	s.dir.Close()
	return s
}

// hostname is the name of this machine, fully qualified when the system says so.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return strings.ToLower(name)
}

// readLocal reads domainlist.xml, usersrepository.xml and
// recipientrewritetable.xml.
func (s *site) readLocal() {
	d, u, t := s.dir.DomainList(), s.dir.UsersRepository(), s.dir.RecipientRewriteTable()
	s.directory = local.Config{
		DefaultDomain: d.DefaultDomain, StaticDomains: d.Domains, ReadOnlyDomains: d.ReadOnly,
		VirtualHosting: u.VirtualHosting, Algorithm: u.Algorithm, HashIterations: u.HashIterations, Administrators: u.Administrators, VerifyFailureDelay: u.VerifyFailureDelay,
		RecursiveMapping: t.Recursive, MappingLimit: t.Limit,
	}
	if d.Autodetect && s.hostname != "localhost" {
		s.directory.AutoDomains = []string{s.hostname}
		if strings.EqualFold(d.DefaultDomain, "localhost") {
			s.directory.DefaultDomain = s.hostname
		}
	}
	if t.ReadOnly {
		static := map[string][]local.Mapping{}
		for _, m := range t.Static {
			static[m.Source] = append(static[m.Source], local.ParseMapping(m.Target))
		}
		s.directory.StaticMappings = static
	}
	s.lookupIPs = d.AutodetectIP
	for _, p := range u.Users {
		s.userPos = append(s.userPos, p.Pos)
		s.users = append(s.users, local.PresetUser{User: local.User{Name: p.Name, Algorithm: p.Algorithm, Hash: p.Hash}, Password: p.Password})
	}
	s.ldap = u.LDAP
}

// readDNS reads dnsservice.xml.
func (s *site) readDNS() {
	c := s.dir.DNSService()
	s.dns = dns.Config{Servers: c.Servers, CacheSize: c.MaxCacheSize, NegativeTTL: max(c.NegativeCacheTTL, 0)}
	if c.Autodiscover {
		s.dns.Servers = append(slices.Clone(c.Servers), dns.SystemServers()...)
	}
}

// findPostmaster completes the postmaster's address with the first domain of
// the list that is not localhost, else with the default domain, as James does.
func (s *site) findPostmaster(r *conf.Report) {
	text := s.container.Postmaster
	if text == "" {
		text = "postmaster"
	}
	if !strings.Contains(text, "@") {
		domain := s.directory.DefaultDomain
		for _, d := range s.directory.StaticDomains {
			if !strings.EqualFold(d, "localhost") {
				domain = d
				break
			}
		}
		text += "@" + container.LiteralDomain(domain)
	}
	a, err := container.ParseAddress(text)
	if err != nil {
		r.Errorf(s.container.PostmasterPos, "<postmaster>: %v", err)
		a = container.Address{Local: "postmaster", Domain: "localhost"}
	}
	s.postmaster = a
}

// findErrorRepository reads <errorRepository>, by default var/mail/error of the
// default protocol.
func (s *site) findErrorRepository(r *conf.Report) {
	text := s.container.ErrorRepository
	if text == "" {
		text = s.repos.DefaultProtocol + "://var/mail/error"
	}
	u, err := s.useRepository(text)
	if err != nil {
		r.Errorf(s.container.ErrorPos, "<errorRepository>: %v", err)
		return
	}
	s.errorRepository = u
}

// useRepository checks the URL of a repository.
func (s *site) useRepository(text string) (repository.URL, error) {
	u, err := repository.ParseURL(text)
	if err != nil {
		return u, err
	}
	if known, _ := s.repos.Protocol(u.Protocol); !known {
		return u, fmt.Errorf("No Mail Repository associated with %s: no such protocol; file, cassandra, jpa, postgres, memory and blob are all kept in the one store", u.Protocol) //lint:ignore ST1005 James's text
	}
	return u, nil
}

// build makes every class of the configuration. Without a store (nil) it is only
// to find problems: nothing that it makes may be used.
func (s *site) build(store *sqlite.Store, r *conf.Report) *live {
	l := &live{metrics: metrics.New(), repositories: map[repository.URL]bool{}, addrs: &listeners{}, store: store}
	var queues repository.Queues = noQueues{}
	var storage local.Storage
	var policies local.PolicyStorage
	if store != nil {
		queues, storage, policies = store, store, store
	}
	resolver := dns.New(s.dns)
	directory := s.directory
	if s.lookupIPs {
		directory.LookupIPs = addressesOf(resolver)
	}
	l.local = local.New(directory, storage)
	l.dlp = local.NewDLP(policies, nil)
	l.rates = s.newRates(store)
	l.mailboxes = mailbox.NewUsage()
	l.quotas = local.NewQuotas(store, l.local, l.mailboxes)
	if s.dropLists {
		l.dropLists = local.NewDropLists(policies)
	}
	l.ldap = s.directoryServer(r)
	l.pipeline = s.pipeline(l, queues, resolver, r)
	s.states = l.pipeline.States
	l.schedules = s.schedules(l, r)
	l.smtp = server.New(s.smtp, handlersOf(s.classes), smtphooks.Services{
		DefaultDomain: s.directory.DefaultDomain, Hostname: s.hostname, Local: l.local, DNS: resolver,
		Queue: queues, Log: s.log, Metrics: l.metrics, Mailboxes: s.openMailboxes(l), Process: l.process,
		Greylist: store, ReadFile: s.dir.ReadFile,
	}, server.Options{ConfDir: s.flags.conf, DataDir: s.flags.data}, r)
	if store == nil && s.web.Enabled {
		s.checkAdmin(r)
	}
	return l
}

// checkAdmin finds what webadmin would refuse: keys and certificates that
// cannot be read.
func (s *site) checkAdmin(r *conf.Report) {
	deps := webadmin.Deps{Queues: noAdmin{}, Store: noQueues{}, Repositories: noAdmin{}, ReadFile: s.dir.ReadFile, Log: slog.New(slog.DiscardHandler)}
	if s.web.JWT && s.web.JWTKeys == "" {
		return // conf.Webadmin has said so, with its place
	}
	if _, err := webadmin.New(s.web, deps); err != nil {
		r.Errorf(conf.Pos{File: "webadmin.properties"}, "%v", err)
	}
}

func (s *site) pipeline(l *live, queues repository.Queues, resolver dns.Resolver, r *conf.Report) *engine.Pipeline {
	if s.unreadable {
		return &engine.Pipeline{}
	}
	reg := container.NewRegistry()
	matchers.Register(reg, matchers.Services{Local: l.local, DNS: resolver, DropLists: l.dropLists, DLP: l.dlp, Quotas: l.quotas, LDAP: l.ldap, Log: s.log})
	mailets.Register(reg, mailets.Services{
		Hostname: s.hostname, DefaultDomain: s.directory.DefaultDomain, Postmaster: s.postmaster,
		MailDir: filepath.Join(s.flags.data, "mail"), Local: l.local, DNS: resolver, Queues: queues, Metrics: l.metrics, Log: s.log,
		Repositories: l.store, Words: l.store, Sieve: l.store, Vacations: l.store, // nothing asks them without one
		Self: l.addrs.has, Rates: l.rates, Mailboxes: l.mailboxes, ReadFile: s.dir.ReadFile,
		UseRepository: func(url string) error {
			u, err := s.useRepository(url)
			l.repositories[u] = err == nil
			return err
		},
	})
	for _, add := range s.program.extend {
		add(reg)
	}
	for _, c := range s.classes {
		reg.Map(c.From, c.To)
	}
	p := engine.Build(s.container, reg, s.log, r)
	p.Engine.Measure(l.metrics)
	return p
}

// addressesOf returns a function that looks up the addresses of a domain.
func addressesOf(resolver dns.Resolver) func(context.Context, string) []string {
	return func(ctx context.Context, domain string) []string {
		addrs, err := resolver.Addrs(ctx, domain)
		if err != nil {
			return nil // no address is known to be ours
		}
		out := make([]string, len(addrs))
		for i, a := range addrs {
			out[i] = a.String()
		}
		return out
	}
}

// These stand for the store while a configuration is only checked.
type (
	noQueues struct{ repository.Queues }
	noAdmin  struct {
		repository.QueueAdmin
		allRepositories
	}
	allRepositories = repository.Repositories // has a method of its own name
)

// listeners are the addresses that this server itself receives mail on. They
// are known only after the deliveries have started.
type listeners struct {
	list atomic.Pointer[[]netip.AddrPort]
}

// Store sets the addresses.
func (l *listeners) Store(addrs []net.Addr) {
	var list []netip.AddrPort
	for _, a := range addrs {
		if tcp, ok := a.(*net.TCPAddr); ok {
			list = append(list, tcp.AddrPort())
		}
	}
	l.list.Store(&list)
}

// has reports whether a connection to a would reach this server.
func (l *listeners) has(a netip.AddrPort) bool {
	list := l.list.Load()
	return list != nil && slices.ContainsFunc(*list, func(own netip.AddrPort) bool {
		return own.Port() == a.Port() && (own.Addr().Unmap() == a.Addr().Unmap() || own.Addr().IsUnspecified() && isOwn(a.Addr()))
	})
}

// isOwn reports whether an address belongs to an interface of this machine.
func isOwn(a netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return a.IsLoopback()
	}
	return slices.ContainsFunc(addrs, func(i net.Addr) bool {
		n, ok := i.(*net.IPNet)
		if !ok {
			return false
		}
		own, ok := netip.AddrFromSlice(n.IP)
		return ok && own.Unmap() == a.Unmap()
	})
}
