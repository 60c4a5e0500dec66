package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mailetd/mailetd/conf"
)

// loadTLS reads the files that cfg names and returns what connections use.
func loadTLS(cfg *conf.ServerTLS, confDir string) (*tls.Config, error) {
	cert, err := os.ReadFile(resolvePath(cfg.Certificates, confDir))
	if err != nil {
		return nil, fmt.Errorf("read <certificates>: %w", err)
	}
	key, err := os.ReadFile(resolvePath(cfg.PrivateKey, confDir))
	if err != nil {
		return nil, fmt.Errorf("read <privateKey>: %w", err)
	}
	if key, err = decryptKey(key, cfg.Secret); err != nil {
		return nil, fmt.Errorf("read <privateKey>: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("use <privateKey> and <certificates>: %w", err)
	}
	out := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   cfg.MinVersion,
		MaxVersion:   cfg.MaxVersion,
		CipherSuites: cfg.CipherSuites,
	}
	if cfg.ClientAuth {
		pem, err := os.ReadFile(resolvePath(cfg.Truststore, confDir))
		if err != nil {
			return nil, fmt.Errorf("read <truststore>: %w", err)
		}
		out.ClientCAs = x509.NewCertPool()
		if !out.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("<truststore> %s: no PEM certificates in it; JKS/PKCS12 keystores cannot be read by this version: convert to PEM", cfg.Truststore)
		}
		out.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return out, nil
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
