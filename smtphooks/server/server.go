package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container/throttle"
	"github.com/mailetd/mailetd/smtphooks"
)

// Options are the settings of all SMTP servers that no file of James has, or
// another file than smtpserver.xml.
type Options struct {
	ConfDir          string        // where certificates are looked for
	Grace            time.Duration // for messages on their way at shutdown; 0 means 4 seconds
	AuthFailureDelay time.Duration // before the answer to wrong credentials (usersrepository.xml, verifyFailureDelay)
	DataDir          string        // below which certificates are kept that ACME authorities give
}

const defaultGrace = 4 * time.Second

// Server is all servers of smtpserver.xml and lmtpserver.xml. New, Listen, Run: in this order,
// each once. The other methods may be called at any time after New, by any
// goroutine.
type Server struct {
	options  Options
	services smtphooks.Services
	counters map[string]prometheus.Counter
	limiter  *throttle.Limiter
	acme     *authorities

	reloading sync.Mutex // by one goroutine at a time

	mu        sync.Mutex
	endpoints []*endpoint
	sockets   []*socket // in the order of the configuration
	work      *work     // while Run accepts connections
	ended     bool      // Run does so no more
	conns     map[*conn]struct{}
}

// ConnInfo describes one open connection.
type ConnInfo struct {
	ID         string
	Protocol   string // "SMTP" or "LMTP"
	Server     string // jmxName
	RemoteAddr netip.Addr
	RemotePort uint16 // 0 behind a proxy
	Connected  time.Time
	Encrypted  bool
	User       string // "" when not authenticated
}

// New builds the servers that cfgs describe: their handler chains from reg, and
// their certificates. It opens no port. Problems go to r; the server is usable
// when there were no errors.
func New(cfgs []conf.SMTPServer, reg *smtphooks.Registry, services smtphooks.Services, options Options, r *conf.Report) *Server {
	if services.Log == nil {
		services.Log = slog.New(slog.DiscardHandler)
	}
	options.Grace = cmp.Or(options.Grace, defaultGrace)
	s := &Server{options: options, services: services, conns: map[*conn]struct{}{}, counters: map[string]prometheus.Counter{},
		limiter: throttle.New(nil), acme: &authorities{storage: options.DataDir, log: services.Log, clients: map[authority]*acmeClient{}}}
	for name, help := range counters {
		if services.Metrics != nil {
			s.counters[name] = services.Metrics.Counter("mailetd_smtp_"+name+"_total", help)
		}
	}
	s.endpoints = s.build(cfgs, reg, r)
	return s
}

// counters are the metrics mailetd_smtp_{name}_total.
var counters = map[string]string{
	"connections":         "SMTP connections accepted.",
	"connections_refused": "SMTP connections closed at once because of a limit.",
	"mails_accepted":      "Mails accepted over SMTP.",
	"mails_refused":       "Mails refused over SMTP, at MAIL or at the end of the message.",
	"recipients_refused":  "Recipients refused over SMTP.",
	"auth_failures":       "Failed SMTP authentications.",
	"auth_refused":        "SMTP authentications refused because too many from that address had failed.",
	"tls_failures":        "Failed TLS handshakes.",
	"too_many_errors":     "SMTP connections ended because too many commands had failed.",
	"too_slow":            "SMTP connections ended because the client was too slow.",
}

func (s *Server) count(name string) {
	if c, ok := s.counters[name]; ok {
		c.Inc()
	}
}

// Listen opens the ports of all servers. After an error none is open.
func (s *Server) Listen(ctx context.Context) error {
	for _, e := range s.endpoints {
		e.addHosts(ctx)
		for _, bind := range e.cfg.Bind {
			k, err := openSocket(ctx, bind, e)
			if err != nil {
				closeAll(s.sockets)
				return err
			}
			s.sockets = append(s.sockets, k)
		}
	}
	return nil
}

func closeAll(sockets []*socket) {
	for _, k := range sockets {
		k.close()
	}
}

// Listener is an address that is listened on.
type Listener struct {
	Protocol string // "SMTP" or "LMTP"
	Addr     net.Addr
}

// Listeners returns what is listened on, in the order of the configuration.
func (s *Server) Listeners() []Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Listener
	for _, k := range s.sockets {
		out = append(out, Listener{k.endpoint.Load().protocol(), k.l.Addr()})
	}
	return out
}

// Addrs returns the addresses of Listeners.
func (s *Server) Addrs() []net.Addr {
	var out []net.Addr
	for _, l := range s.Listeners() {
		out = append(out, l.Addr)
	}
	return out
}

// work is what Run has going on.
type work struct {
	server             *Server
	accepting, serving context.Context
	stop               func() // accepting
	accepts, conns     sync.WaitGroup

	mu   sync.Mutex
	errs []error
}

// accept lets clients in at k.
func (w *work) accept(k *socket) {
	w.accepts.Go(func() {
		err := k.accept(w.accepting, func(c *conn) { w.conns.Go(func() { w.server.serve(w.serving, c) }) })
		if err != nil {
			w.mu.Lock()
			w.errs = append(w.errs, err)
			w.mu.Unlock()
			w.stop()
		}
	})
}

// obtainCertificates turns to the ACME authorities of endpoints.
func (s *Server) obtainCertificates(ctx context.Context, endpoints []*endpoint) {
	for _, a := range wantedCertificates(endpoints) {
		s.acme.obtain(ctx, a)
	}
}

func wantedCertificates(endpoints []*endpoint) []*conf.ACME {
	var out []*conf.ACME
	for _, e := range endpoints {
		if a := e.acme(); a != nil {
			out = append(out, a)
		}
	}
	return out
}

// Run serves clients until ctx is done, or a port cannot be listened on any
// more. Then it closes the ports, ends idle connections with 421, and gives
// messages on their way the grace period to arrive and be committed. It returns
// when all connections are closed.
func (s *Server) Run(ctx context.Context) error {
	w := &work{server: s}
	w.accepting, w.stop = context.WithCancel(ctx)
	defer w.stop()
	// Connections outlive ctx until they are drained.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	w.serving = serving

	defer s.acme.end()
	s.obtainCertificates(w.accepting, s.begin(w))
	<-w.accepting.Done()
	s.end()
	w.accepts.Wait()
	s.drain(&w.conns, stopServing)
	return errors.Join(w.errs...)
}

// begin accepts connections, and returns the servers that they are for.
func (s *Server) begin(w *work) []*endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work = w
	for _, k := range s.sockets {
		w.accept(k)
	}
	return s.endpoints
}

// end closes the ports; from now on nothing is reloaded.
func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work, s.ended = nil, true
	closeAll(s.sockets)
}

// drain lets connections come to an end, and ends them when the grace period is
// over.
func (s *Server) drain(conns *sync.WaitGroup, stopServing func()) {
	grace := time.AfterFunc(s.options.Grace, func() {
		stopServing()
		s.Close()
	})
	defer grace.Stop()
	for _, c := range s.open() {
		c.stop()
		if !c.e.cfg.GracefulShutdown {
			c.kill()
		}
	}
	conns.Wait()
}

// Close ends all connections at once, in the middle of whatever they do; a
// commit that has begun is carried to its end. It does not end Run.
func (s *Server) Close() {
	for _, c := range s.open() {
		c.kill()
	}
}

func (s *Server) open() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		out = append(out, c)
	}
	return out
}

// serve runs one connection that was admitted.
func (s *Server) serve(ctx context.Context, c *conn) {
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		c.e.tally.leave(c.peer)
	}()
	c.serve(ctx)
}

// ReloadCertificates reads the certificates of all servers again. Open
// connections keep theirs. When one cannot be read that server keeps what it
// had.
func (s *Server) ReloadCertificates() error {
	s.mu.Lock()
	endpoints := s.endpoints
	s.mu.Unlock()
	var errs []error
	for _, e := range endpoints {
		errs = append(errs, e.reloadTLS())
	}
	return errors.Join(errs...)
}

// Connections returns the open connections.
func (s *Server) Connections() []ConnInfo {
	var out []ConnInfo
	for _, c := range s.open() {
		c.mu.Lock()
		out = append(out, c.info)
		c.mu.Unlock()
	}
	return out
}

// Disconnect closes the connections that match selects, and returns their
// number.
func (s *Server) Disconnect(match func(ConnInfo) bool) int {
	n := 0
	for _, c := range s.open() {
		c.mu.Lock()
		info := c.info
		c.mu.Unlock()
		if match(info) {
			c.kill()
			n++
		}
	}
	return n
}

// newID returns 8 random hexadecimal digits.
func newID() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// localName returns the name of this machine, as James finds it.
func localName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}
