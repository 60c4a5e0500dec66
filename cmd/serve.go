package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/logctx"
	"github.com/mailetd/mailetd/container/spool"
	"github.com/mailetd/mailetd/repository/sqlite"
	"github.com/mailetd/mailetd/smtphooks/server"
	"github.com/mailetd/mailetd/webadmin"
)

// serve runs the server until ctx is done.
func (p *program) serve(ctx context.Context, args []string) error {
	f := p.flags("serve")
	operands, err := f.parse(args)
	if err != nil {
		return err
	}
	if len(operands) > 0 {
		return usageError{fmt.Sprintf("serve takes no %q", operands[0])}
	}
	log := p.logger(f.verbose)
	started := time.Now()

	r := &conf.Report{}
	s := p.load(f, log, r)
	s.build(nil, r)
	for _, problem := range r.Problems() {
		fmt.Fprintln(p.stderr, problem)
	}
	if r.HasErrors() {
		return errors.New("the configuration has errors; nothing was started")
	}
	s.logLoaded(log)

	store, err := sqlite.Open(f.data, sqlite.Options{Logger: log})
	if err != nil {
		return err
	}
	err = p.run(ctx, s, store, started)
	return errors.Join(err, store.Close(context.WithoutCancel(ctx)))
}

func (p *program) logger(verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(logctx.Handler(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: level})))
}

// run builds all parts over the open store and runs them.
func (p *program) run(ctx context.Context, s *site, store *sqlite.Store, started time.Time) error {
	r := &conf.Report{}
	live := s.build(store, r)
	if r.HasErrors() {
		return fmt.Errorf("the configuration changed while it was read: %s", r.Problems()[0])
	}
	if err := s.prepare(ctx, store, live); err != nil {
		return err
	}
	spooler := &spool.Spooler{Queues: store, Engine: live.pipeline.Engine, Threads: s.container.Threads,
		ErrorRepository: s.errorRepository.String(), Log: s.log}
	parts := []part{{"rate limits", live.rates.run}, {"greylist", s.forgetGreylisted(store)}, {"ldap", live.runLDAP}, {"mailets", live.runMailets}, {"spooler", spooler.Run}}
	admin, err := s.listenAdmin(store, live, spooler)
	if err != nil {
		return err
	}
	parts = append(parts, admin)
	if err := live.smtp.Listen(ctx); err != nil {
		return err
	}
	live.addrs.Store(live.smtp.Addrs())
	for _, l := range live.smtp.Listeners() {
		s.log.Info("listening", "part", strings.ToLower(l.Protocol), "address", l.Addr.String())
	}
	parts = append(parts, part{"health", s.watchHealth(append(s.healthChecks(store, spooler, live.pipeline.Runners), live.rates.healthChecks()...))}, part{"reload", s.reloadOnHangup(live)}, part{"smtp", live.smtp.Run})
	s.log.Info("ready", "after", time.Since(started).Round(time.Millisecond).String())
	err = runParts(ctx, parts)
	s.log.Info("stopped")
	return err
}

// runMailets runs the mailets that have work of their own, all at once: they may
// share a queue, and so its end. One that fails ends the others.
func (l *live) runMailets(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(l.pipeline.Runners))
	var wg sync.WaitGroup
	for i, r := range l.pipeline.Runners {
		wg.Go(func() {
			if errs[i] = r.Run(ctx); errs[i] != nil {
				stop()
			}
		})
	}
	<-ctx.Done()
	wg.Wait()
	return errors.Join(errs...)
}

// prepare makes the queues, repositories and domains that the configuration
// names.
func (s *site) prepare(ctx context.Context, store *sqlite.Store, live *live) error {
	if err := live.local.Init(ctx); err != nil {
		return err
	}
	for i := range s.users {
		if err := live.local.Preset(ctx, s.users[i:i+1]); err != nil {
			return fmt.Errorf("%v: %w", s.userPos[i], err)
		}
	}
	if err := live.rates.load(ctx); err != nil {
		return err
	}
	if err := store.CreateQueue(ctx, container.SpoolQueue); err != nil {
		return err
	}
	for u := range live.repositories {
		if err := store.CreateRepository(ctx, u); err != nil {
			return err
		}
	}
	return store.CreateRepository(ctx, s.errorRepository)
}

// listenAdmin opens webadmin's port. When it is not enabled, there are still
// tasks: those of the schedules.
func (s *site) listenAdmin(store *sqlite.Store, live *live, spooler *spool.Spooler) (part, error) {
	if !s.web.Enabled {
		s.log.Info("webadmin is off: enabled is not true in webadmin.properties")
	}
	deps := webadmin.Deps{Queues: store, Store: store, Repositories: store, Tasks: store, Schedules: live.schedules, Directory: live.local, DLP: live.dlp, Quotas: live.quotas,
		ErrorRepository: s.errorRepository, Hostname: s.hostname, Log: s.log, ReadFile: s.dir.ReadFile,
		Certificates: certificates{live.smtp}, ReloadServers: func(ctx context.Context) error { return s.reloadServers(ctx, live) }, Connections: connections{live.smtp},
		Health: append(s.healthChecks(store, spooler, live.pipeline.Runners), live.rates.healthChecks()...)}
	if s.web.Metrics {
		live.measure(store)
		deps.Metrics = live.metrics
	}
	if live.dropLists != nil {
		deps.DropLists = live.dropLists
	}
	deps.Sieve, deps.Vacations, deps.CheckSieve, deps.ForgetUser = store, store, checkSieve, store.ForgetUser
	cfg := s.web
	if !cfg.Enabled {
		cfg = webadmin.Config{Host: "localhost"} // its keys and passwords may be missing
	}
	a, err := webadmin.New(cfg, deps)
	if err != nil {
		return part{}, err
	}
	if !s.web.Enabled {
		return part{"tasks", a.RunTasks}, a.Restore()
	}
	if err := a.Listen(); err != nil {
		return part{}, err
	}
	s.log.Info("listening", "part", "webadmin", "address", a.Addr().String(), "tls", s.web.HTTPS)
	return part{"webadmin", a.Run}, nil
}

// certificates lets webadmin reload the certificates of the SMTP servers.
type certificates struct{ smtp *server.Server }

// ReloadCertificates implements webadmin.Certificates.
func (c certificates) ReloadCertificates(_ context.Context, port int) (int, error) {
	n := 0
	for _, a := range c.smtp.Addrs() {
		if tcp, ok := a.(*net.TCPAddr); ok && (port == 0 || tcp.Port == port) {
			n++
		}
	}
	if n == 0 {
		return 0, nil
	}
	return n, c.smtp.ReloadCertificates()
}

// connections lets webadmin show and close SMTP connections.
type connections struct{ smtp *server.Server }

// Connections implements webadmin.Connections.
func (c connections) Connections() []webadmin.Connection {
	var out []webadmin.Connection
	for _, i := range c.smtp.Connections() {
		out = append(out, connection(i))
	}
	return out
}

// Disconnect implements webadmin.Connections.
func (c connections) Disconnect(drop func(webadmin.Connection) bool) {
	c.smtp.Disconnect(func(i server.ConnInfo) bool { return drop(connection(i)) })
}

func connection(i server.ConnInfo) webadmin.Connection {
	address := i.RemoteAddr.String()
	if i.RemotePort != 0 {
		address = netip.AddrPortFrom(i.RemoteAddr, i.RemotePort).String()
	}
	return webadmin.Connection{Protocol: i.Protocol, Endpoint: i.Server, RemoteAddress: address,
		Since: i.Connected, Encrypted: i.Encrypted, Username: i.User}
}

// logLoaded says in the first lines of the log what was read and what was not.
func (s *site) logLoaded(log *slog.Logger) {
	log.Info("mailetd "+Version, "hostname", s.hostname, "postmaster", s.postmaster.String(), "defaultDomain", s.directory.DefaultDomain)
	log.Info("configuration", "folder", s.flags.conf, "read", strings.Join(s.dir.Loaded(), " "), "builtin", strings.Join(s.dir.Defaulted(), " "))
	if ignored := s.dir.Ignored(); len(ignored) > 0 {
		log.Info("files of James that are not applicable here", "files", strings.Join(ignored, " "))
	}
	log.Info("processors", "states", strings.Join(s.states, " "), "data", s.flags.data)
}
