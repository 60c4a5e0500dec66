package webadmin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/throttle"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/webadmin/task"
)

// Config is webadmin.properties.
type Config = conf.WebadminServer

// Store is what webadmin needs to bring mails on their way; repository.Queues
// has it.
type Store interface {
	NewBody() repository.BodyWriter
	Commit(ctx context.Context, c repository.Change) error
	CommitAsync(c repository.Change, done func(error))
}

// Deps is what webadmin shows and changes. Queues, Store and Repositories are
// required; the routes of anything else that is nil are not offered.
type Deps struct {
	Queues       repository.QueueAdmin
	Store        Store
	Repositories repository.Repositories
	Directory    Directory
	DropLists    DropLists
	DLP          DLP // its domains are those of Directory
	Quotas       Quotas

	// Sieve and Vacations are what the users of Directory have said. CheckSieve
	// tells what is wrong with a script, with line and column; nil: nothing is.
	Sieve      local.SieveStorage
	Vacations  local.VacationStorage
	CheckSieve func(script []byte) error
	// ForgetUser removes all that a user has said; the tasks that delete the data
	// of users call it. Nil: there is nothing.
	ForgetUser func(ctx context.Context, user string) error

	// Health are the components in the order in which they are shown.
	Health []HealthCheck
	// ErrorRepository is the spooler's; the component EmptyErrorMailRepository
	// watches it. Zero: there is none.
	ErrorRepository repository.URL

	// Schedules are the reprocessings that nobody asks for.
	Schedules []Schedule
	// Tasks keeps the tasks beyond the end of the process. Nil: nothing does.
	Tasks task.Storage

	Metrics      prometheus.Gatherer
	Certificates Certificates
	// ReloadServers reads the configuration of the SMTP and LMTP servers again. An
	// error tells why they stay as they were. Nil: it cannot be asked for. It is
	// offered where Certificates are.
	ReloadServers func(context.Context) error
	Connections   Connections

	// TLS, when not nil, is used for https in place of the files that the
	// configuration names.
	TLS *tls.Config
	// ReadFile reads what a file URL of the configuration names, such as
	// file://conf/jwt_publickey. Nil: relative to the working directory.
	ReadFile func(url string) ([]byte, error)
	// MaxMessageSize bounds POST /mail-transfer-service, in octets. 0: 100 MiB.
	MaxMessageSize int64
	// Hostname is shown with tasks. "": that of the machine.
	Hostname string
	Log      *slog.Logger
	Now      func() time.Time
}

// Time limits of connections. Reading the body of a mail and writing an answer
// may take longer as long as there is progress within stepTimeout.
const (
	headerTimeout   = 10 * time.Second
	stepTimeout     = 60 * time.Second
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 5 * time.Second
	restoreTimeout  = time.Minute
)

// Server is the HTTP server. Use it as New, Listen, Run.
type Server struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	now     func() time.Time
	tasks   *task.Manager
	guard   guard
	limiter *throttle.Limiter
	figures *figures
	tls     *tls.Config

	quotaMu  sync.Mutex // while one of two limits is changed
	routes   *router
	handler  http.Handler
	requests atomic.Uint64
	listener net.Listener
}

// New returns a server that does not listen so far. Keys, certificates and
// passwords are read now, so that a mistake in them stops the start.
func New(cfg Config, deps Deps) (*Server, error) {
	s := &Server{cfg: cfg, deps: deps, log: deps.Log, now: deps.Now}
	if deps.Queues == nil || deps.Store == nil || deps.Repositories == nil {
		return nil, errors.New("webadmin: queues, store and repositories are required")
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.deps.ReadFile == nil {
		s.deps.ReadFile = readFileURL
	}
	if s.deps.MaxMessageSize <= 0 {
		s.deps.MaxMessageSize = 100 << 20
	}
	if s.deps.Hostname == "" {
		s.deps.Hostname, _ = os.Hostname()
	}
	var err error
	if s.guard, err = newGuard(cfg, s.deps.ReadFile, s.log); err != nil {
		return nil, fmt.Errorf("webadmin: %w", err)
	}
	if s.tls, err = tlsConfig(cfg, s.deps); err != nil {
		return nil, fmt.Errorf("webadmin: %w", err)
	}
	s.limiter = throttle.New(s.now)
	s.warnOfCertificates()
	s.tasks = task.NewManager(s.deps.Hostname, s.now, s.log)
	s.figures = newFigures(s.tasks)
	s.deps.Health = s.withErrorRepository(s.deps.Health)
	s.defineRoutes()
	return s, nil
}

// readFileURL reads the file that a URL such as file://conf/key.pem names.
func readFileURL(url string) ([]byte, error) {
	return os.ReadFile(strings.TrimPrefix(url, "file://"))
}

// Listen opens the port and takes over the tasks of the former run, so that a
// port in use and a bad store are noticed before anything runs.
func (s *Server) Listen() error {
	if err := s.Restore(); err != nil {
		return err
	}
	addr := net.JoinHostPort(strings.Trim(s.cfg.Host, "[]"), strconv.Itoa(s.cfg.Port))
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for webadmin: %w", err)
	}
	if s.tls != nil {
		l = tls.NewListener(l, s.tls)
	}
	s.listener = l
	return nil
}

// Restore takes over the tasks of the former run. Listen calls it.
func (s *Server) Restore() error {
	if s.deps.Tasks == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), restoreTimeout)
	defer cancel()
	return s.tasks.Restore(ctx, s.deps.Tasks, s.revive)
}

// Addr returns the address that Listen opened, nil before.
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Run answers requests and runs tasks until ctx is done. Then it takes no more
// requests, ends the running task at its next step, gives requests in work a
// few seconds to end, and returns when all is quiet.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	hs := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       stepTimeout,
		WriteTimeout:      stepTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	var wg sync.WaitGroup
	taskCtx, stopTasks := context.WithCancel(ctx)
	defer stopTasks()
	wg.Go(func() { _ = s.RunTasks(taskCtx) })

	served := make(chan error, 1)
	wg.Go(func() { served <- hs.Serve(s.listener) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
		err = fmt.Errorf("serve webadmin: %w", err)
	}
	stopTasks()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if hs.Shutdown(grace) != nil {
		hs.Close()
	}
	wg.Wait()
	return err
}

// RunTasks runs the tasks and the schedules alone, for a server that answers no
// requests, until ctx is done. Run calls it.
func (s *Server) RunTasks(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.runSchedules(ctx) })
	err := s.tasks.Run(ctx)
	wg.Wait()
	return err
}
