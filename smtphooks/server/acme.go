package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"path/filepath"
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

// authority tells accounts and challenges apart.
type authority struct {
	directory, email, challenge, host string
	port                              int
	first                             string // of the domains
}

func authorityOf(a *conf.ACME) authority {
	return authority{a.Directory, a.Email, a.Challenge, a.Host, a.Port, a.Domains[0]}
}

// acmeClient obtains certificates from one authority.
type acmeClient struct {
	cache *certmagic.Cache
	magic *certmagic.Config
}

// obtain sees to it that there are certificates for the domains of a, now and
// in future. It does not wait for them: the log tells what became of it. It ends
// with ctx.
func (s *authorities) obtain(ctx context.Context, a *conf.ACME) {
	c := s.join(a)
	if c == nil {
		return
	}
	// Not under the lock: this reads files, and may ask the authority something.
	if err := c.magic.ManageAsync(ctx, a.Domains); err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "certificates not managed", "domains", a.Domains, "err", err)
	}
}

// join returns the client for the authority of a, made if need be; nil at the end.
func (s *authorities) join(a *conf.ACME) *acmeClient {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	key := authorityOf(a)
	c, ok := s.clients[key]
	if !ok {
		c = s.newClient(a)
		s.clients[key] = c
	}
	return c
}

func (s *authorities) newClient(a *conf.ACME) *acmeClient {
	log := zap.New(&slogCore{log: s.log})
	c := &acmeClient{}
	c.cache = certmagic.NewCache(certmagic.CacheOptions{Logger: log,
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return c.magic, nil }})
	c.magic = certmagic.New(c.cache, certmagic.Config{Storage: &certmagic.FileStorage{Path: filepath.Join(s.storage, "acme")}, Logger: log,
		DefaultServerName: a.Domains[0], FallbackServerName: a.Domains[0]})
	issuer := certmagic.ACMEIssuer{CA: a.Directory, TestCA: a.Directory, Email: a.Email, Agreed: true, ListenHost: a.Host, TrustedRoots: s.roots,
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
	defer s.mu.Unlock()
	s.ended = true
	for _, c := range s.clients {
		c.cache.Stop()
	}
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
