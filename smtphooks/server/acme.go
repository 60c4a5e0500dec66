package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/mailetd/mailetd/conf"
)

// errNoCertificate ends a handshake while the authority has not given one.
var errNoCertificate = errors.New("no certificate has been obtained from the ACME authority")

// authorities are the ACME authorities (RFC 8555) that certificates come from.
// What they gave survives reloads, and on disk the process.
type authorities struct {
	storage string         // folder
	roots   *x509.CertPool // that the authorities themselves are checked with; nil: those of the system
	log     *slog.Logger

	mu      sync.Mutex
	clients map[authority]*acmeClient
	ended   bool
}

// authority tells accounts, challenges and what is wanted of them apart.
type authority struct {
	directory, email, challenge, host string
	port                              int
	domains                           string
}

func authorityOf(a *conf.ACME) authority {
	return authority{a.Directory, a.Email, a.Challenge, a.Host, a.Port, strings.Join(a.Domains, " ")}
}

// acmeClient obtains certificates from one authority.
type acmeClient struct {
	cache  *certmagic.Cache
	magic  *certmagic.Config
	work   context.Context // over when nothing is to be obtained or renewed any more
	cancel func()
	once   sync.Once
}

// stop ends what c does at the authority. The certificates that it has can be used
// on.
func (c *acmeClient) stop() {
	c.once.Do(func() {
		c.cancel()
		c.cache.Stop()
	})
}

// obtain sees to it that there are certificates for the domains of a, now and
// in future. It reads those that are on disk, and does not wait for others: the log
// tells what became of them. It ends with ctx. What is under way already goes on at
// its own pace: reloads do not make an authority be asked more often.
func (s *authorities) obtain(ctx context.Context, a *conf.ACME) {
	c, begun := s.join(ctx, a)
	if c == nil || begun {
		return
	}
	// Not under the lock: this reads files.
	if err := c.magic.ManageAsync(c.work, a.Domains); err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "certificates not managed", "domains", a.Domains, "err", err)
		c.stop() // the next reload begins anew
	}
}

// join returns the client for the authority of a, and whether it was there; it is
// made if need be. It is nil at the end.
func (s *authorities) join(ctx context.Context, a *conf.ACME) (c *acmeClient, begun bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, false
	}
	key := authorityOf(a)
	if c := s.clients[key]; c != nil && c.work.Err() == nil {
		return c, true
	}
	c = s.newClient(ctx, a)
	s.clients[key] = c
	return c, false
}

// keep stops all clients but those that wanted needs. A certificate that nobody wants
// must not be renewed, and while one is tried to be obtained in vain another client
// could not try it in another way.
func (s *authorities) keep(wanted []*conf.ACME) {
	keys := map[authority]bool{}
	for _, a := range wanted {
		keys[authorityOf(a)] = true
	}
	for key, c := range s.all() {
		if !keys[key] {
			c.stop()
		}
	}
}

func (s *authorities) all() map[authority]*acmeClient {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.clients)
}

func (s *authorities) newClient(ctx context.Context, a *conf.ACME) *acmeClient {
	log := zap.New(&slogCore{log: s.log})
	c := &acmeClient{}
	c.work, c.cancel = context.WithCancel(ctx)
	c.cache = certmagic.NewCache(certmagic.CacheOptions{Logger: log,
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return c.magic, nil }})
	c.magic = certmagic.New(c.cache, certmagic.Config{Storage: &certmagic.FileStorage{Path: filepath.Join(s.storage, "acme")}, Logger: log,
		DefaultServerName: a.Domains[0], FallbackServerName: a.Domains[0],
		// Mail clients do not look at it, and it would be fetched before anything else can go on.
		OCSP: certmagic.OCSPConfig{DisableStapling: true}})
	// TestCA is left to the library: for Let's Encrypt that is its staging environment,
	// where retries do not count towards the limits of failures.
	issuer := certmagic.ACMEIssuer{CA: a.Directory, Email: a.Email, Agreed: true, ListenHost: a.Host, TrustedRoots: s.roots,
		DisableDistributedSolvers: true, Logger: log}
	switch a.Challenge {
	case conf.ACMETLS:
		issuer.DisableHTTPChallenge, issuer.AltTLSALPNPort = true, a.Port
	default:
		issuer.DisableTLSALPNChallenge, issuer.AltHTTPPort = true, a.Port
	}
	c.magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(c.magic, issuer)}
	return c
}

// end stops all renewals.
func (s *authorities) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.keep(nil)
}

func (s *authorities) client(a *conf.ACME) *acmeClient {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[authorityOf(a)]
}

// has reports whether there is a certificate, so that TLS can be offered.
func (s *authorities) has(a *conf.ACME) bool {
	c := s.client(a)
	return c != nil && len(c.cache.AllMatchingCertificates(a.Domains[0])) > 0
}

// certificate returns the one for a handshake.
func (s *authorities) certificate(a *conf.ACME, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c := s.client(a)
	if c == nil {
		return nil, errNoCertificate
	}
	return c.magic.GetCertificate(hello)
}

// slogCore writes what the library logs to the log of the server.
type slogCore struct {
	log    *slog.Logger
	fields []zapcore.Field
}

// Enabled implements zapcore.Core. What the library finds worth an info is for
// those who look for something.
func (c *slogCore) Enabled(l zapcore.Level) bool {
	return c.log.Enabled(context.Background(), levelOf(l))
}

func levelOf(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	case l == zapcore.InfoLevel:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// With implements zapcore.Core.
func (c *slogCore) With(fields []zapcore.Field) zapcore.Core {
	return &slogCore{c.log, append(c.fields[:len(c.fields):len(c.fields)], fields...)}
}

// Check implements zapcore.Core.
func (c *slogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c *slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	m := zapcore.NewMapObjectEncoder()
	for _, f := range append(c.fields[:len(c.fields):len(c.fields)], fields...) {
		f.AddTo(m)
	}
	attrs := make([]any, 0, 2*len(m.Fields))
	for k, v := range m.Fields {
		attrs = append(attrs, slog.Any(k, v))
	}
	c.log.Log(context.Background(), levelOf(e.Level), "acme: "+e.Message, attrs...)
	return nil
}

// Sync implements zapcore.Core.
func (c *slogCore) Sync() error { return nil }
