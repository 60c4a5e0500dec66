package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
)

// placedError is what is wrong with a file that the configuration names.
type placedError struct {
	pos     conf.Pos
	element string
	err     error
}

// Error names the element, not its place.
func (e *placedError) Error() string { return fmt.Sprintf("<%s>: %v", e.element, e.err) }

// Unwrap returns the cause.
func (e *placedError) Unwrap() error { return e.err }

// setUpTLS reads the certificates at start. What is missing in <tls> was noted
// when that was read.
func (e *endpoint) setUpTLS(r *conf.Report) {
	cfg := e.cfg.TLS
	if cfg == nil || (cfg.Keystore == "" && (cfg.PrivateKey == "" || cfg.Certificates == "") && e.acme() == nil) || cfg.ClientAuth && cfg.Truststore == "" {
		return
	}
	t, err := e.loadTLS()
	if err != nil {
		pos := cfg.Pos
		var placed *placedError
		if errors.As(err, &placed) {
			pos = placed.pos
		}
		r.Errorf(pos, "%v", err)
		return
	}
	for _, w := range conf.CertificateWarnings(t.Certificates, time.Now()) {
		pos := cfg.CertificatesPos
		if cfg.Keystore != "" {
			pos = cfg.KeystorePos
		}
		r.Warnf(pos, "%s", w)
	}
	e.tlsConfig.Store(t)
}

// reloadTLS reads the certificates again. After an error connections use what
// they did before.
func (e *endpoint) reloadTLS() error {
	if e.cfg.TLS == nil {
		return nil
	}
	t, err := e.loadTLS()
	if err != nil {
		return fmt.Errorf("reload certificates of %s: %w", e.cfg.Name, err)
	}
	for _, w := range conf.CertificateWarnings(t.Certificates, time.Now()) {
		e.log().Warn("certificates reloaded: "+w, "server", e.cfg.Name)
	}
	e.tlsConfig.Store(t)
	return nil
}

// acme returns where the certificates come from, if not from files.
func (e *endpoint) acme() *conf.ACME {
	if e.cfg.TLS == nil || e.cfg.TLS.ACME == nil || len(e.cfg.TLS.ACME.Domains) == 0 {
		return nil
	}
	return e.cfg.TLS.ACME
}

// hasCertificate reports whether STARTTLS can be offered: before an ACME authority
// has given the first certificate it would only keep mail away.
func (e *endpoint) hasCertificate() bool {
	a := e.acme()
	return a == nil || e.server.acme.has(a)
}

// loadTLS reads the files that the configuration names and returns what connections
// use. Errors are of type *placedError.
func (e *endpoint) loadTLS() (*tls.Config, error) {
	cfg, confDir := e.cfg.TLS, e.server.options.ConfDir
	out := &tls.Config{
		MinVersion:   cfg.MinVersion,
		MaxVersion:   cfg.MaxVersion,
		CipherSuites: cfg.CipherSuites,
	}
	var err error
	if a := e.acme(); a != nil {
		out.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return e.server.acme.certificate(a, hello) }
	} else if out.Certificates, err = loadKeys(cfg, confDir); err != nil {
		return nil, err
	}
	if !cfg.ClientAuth {
		return out, nil
	}
	out.ClientAuth, out.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	file := resolvePath(cfg.Truststore, confDir)
	data, err := conf.ReadKeyFile(file)
	if err != nil {
		return nil, &placedError{cfg.TruststorePos, "truststore", err}
	}
	trusted, err := conf.ParseTruststore(data, cfg.TruststoreSecret)
	if err != nil {
		return nil, &placedError{cfg.TruststorePos, "truststore", fmt.Errorf("%s: %w", file, err)}
	}
	for _, c := range trusted {
		out.ClientCAs.AddCert(c)
	}
	return out, nil
}

// loadKeys reads the keystore, or the PEM files, with keys and certificates.
func loadKeys(cfg *conf.ServerTLS, confDir string) ([]tls.Certificate, error) {
	if cfg.Keystore == "" {
		return loadPEM(cfg, confDir)
	}
	file := resolvePath(cfg.Keystore, confDir)
	data, err := conf.ReadKeyFile(file)
	if err != nil {
		return nil, &placedError{cfg.KeystorePos, "keystore", err}
	}
	pairs, err := conf.ParseKeystore(data, cfg.Secret)
	if err != nil {
		return nil, &placedError{cfg.KeystorePos, "keystore", fmt.Errorf("%s: %w", file, err)}
	}
	return pairs, nil
}

func loadPEM(cfg *conf.ServerTLS, confDir string) ([]tls.Certificate, error) {
	cert, err := conf.ReadKeyFile(resolvePath(cfg.Certificates, confDir))
	if err != nil {
		return nil, &placedError{cfg.CertificatesPos, "certificates", err}
	}
	file := resolvePath(cfg.PrivateKey, confDir)
	key, err := conf.ReadKeyFile(file)
	if err != nil {
		return nil, &placedError{cfg.PrivateKeyPos, "privateKey", err}
	}
	if key, err = decryptKey(key, cfg.Secret); err != nil {
		return nil, &placedError{cfg.PrivateKeyPos, "privateKey", fmt.Errorf("%s: %w", file, err)}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, &placedError{cfg.PrivateKeyPos, "privateKey", fmt.Errorf("use %s with <certificates>: %w", file, err)}
	}
	return []tls.Certificate{pair}, nil
}

// resolvePath finds a file named in James's way: file:///abs, file://conf/x and
// classpath:x in the configuration folder, any other relative name in the
// working directory or, when it is not there, in the configuration folder.
//
// Source: FileSystemImpl (James).
func resolvePath(name, confDir string) string {
	path := name
	for _, p := range []string{"classpath://", "classpath:"} {
		if rest, ok := strings.CutPrefix(path, p); ok {
			return filepath.Join(confDir, rest)
		}
	}
	path = strings.TrimPrefix(path, "file://")
	path = strings.TrimPrefix(path, "file:")
	if filepath.IsAbs(path) {
		return path
	}
	if rest, ok := strings.CutPrefix(path, "conf/"); ok && path != name {
		return filepath.Join(confDir, rest)
	}
	if _, err := os.Stat(path); err == nil || confDir == "" {
		return path
	}
	return filepath.Join(confDir, path)
}
