package webadmin

import (
	"crypto/tls"
	"fmt"

	"github.com/mailetd/mailetd/conf"
)

// tlsConfig returns the TLS settings, nil without https.
func tlsConfig(cfg Config, deps Deps) (*tls.Config, error) {
	if !cfg.HTTPS {
		return nil, nil
	}
	if deps.TLS != nil {
		return deps.TLS, nil
	}
	pairs, err := keyPairs(cfg, deps.ReadFile)
	if err != nil {
		return nil, err
	}
	if err := checkTruststore(cfg, deps.ReadFile); err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: pairs, MinVersion: tls.VersionTLS12}, nil
}

// keyPairs reads the keystore, or the two PEM files.
func keyPairs(cfg Config, read func(url string) ([]byte, error)) ([]tls.Certificate, error) {
	if cfg.Keystore != "" {
		data, err := read(cfg.Keystore)
		if err != nil {
			return nil, fmt.Errorf("https.keystore at %s: %w", cfg.KeystorePos, err)
		}
		pairs, err := conf.ParseKeystore(data, cfg.KeystorePassword)
		if err != nil {
			return nil, fmt.Errorf("https.keystore at %s: %s: %w", cfg.KeystorePos, cfg.Keystore, err)
		}
		return pairs, nil
	}
	cert, err := read(cfg.Certificates)
	if err != nil {
		return nil, fmt.Errorf("read https.certificates: %w", err)
	}
	key, err := read(cfg.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("read https.privateKey: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("https.certificates and https.privateKey: %w", err)
	}
	return []tls.Certificate{pair}, nil
}

// checkTruststore reads the trust store: James does not start when it cannot,
// and makes no use of it.
func checkTruststore(cfg Config, read func(url string) ([]byte, error)) error {
	if cfg.Truststore == "" {
		return nil
	}
	data, err := read(cfg.Truststore)
	if err != nil {
		return fmt.Errorf("https.trust.keystore at %s: %w", cfg.TruststorePos, err)
	}
	if _, err := conf.ParseTruststore(data, cfg.TruststorePassword); err != nil {
		return fmt.Errorf("https.trust.keystore at %s: %s: %w", cfg.TruststorePos, cfg.Truststore, err)
	}
	return nil
}

// warnOfCertificates logs what clients will have against our certificates.
func (s *Server) warnOfCertificates() {
	if s.tls == nil {
		return
	}
	for _, w := range conf.CertificateWarnings(s.tls.Certificates, s.now()) {
		s.log.Warn("webadmin: " + w)
	}
}
