package remote

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// startTLS encrypts the connection when the host offers it; it is an error when
// TLS is required and not offered. A handshake that fails is an error in any
// case, as in James: a host with a broken certificate does not get the mail in
// clear.
func (c *conn) startTLS(ctx context.Context, requireTLS bool) error {
	if !c.ext.startTLS {
		switch {
		case requireTLS:
			return &stageError{stageTLS, &cause{status: "5.7.4", permanent: true, next: true, text: "REQUIRETLS: the remote host does not offer STARTTLS"}}
		case c.in.cfg.StartTLSRequired:
			return &stageError{stageTLS, &cause{status: "4.7.4", next: true, text: "STARTTLS is required but the remote host does not offer it"}}
		}
		return nil
	}
	rep, err := c.command(ctx, "STARTTLS")
	if err == nil && rep.code != 220 {
		err = rep.err()
	}
	if err == nil && c.r.Buffered() > 0 {
		// RFC 3207 §4.2: what came in clear must not count as said under TLS.
		err = errors.New("remote host sent data between STARTTLS and the handshake")
	}
	if err == nil {
		err = c.handshake(ctx, requireTLS)
	}
	if err != nil {
		return &stageError{stageTLS, err}
	}
	if err := c.hello(ctx); err != nil {
		return &stageError{stageHello, err}
	}
	return nil
}

// handshake starts TLS and checks the certificate as configured.
func (c *conn) handshake(ctx context.Context, requireTLS bool) error {
	cfg := &c.in.cfg
	trusted := cfg.TrustAll || slices.ContainsFunc(cfg.TrustHosts, func(h string) bool { return strings.EqualFold(h, c.host) })
	verify := func(cs tls.ConnectionState) error {
		named := c.in.verifyChain(cs, c.host)
		c.verified = named == nil
		switch {
		case c.verified, trusted && !requireTLS:
			return nil
		case !cfg.VerifyIdentity && !requireTLS:
			return c.in.verifyChain(cs, "")
		case requireTLS:
			return &cause{status: "5.7.4", permanent: true, next: true, text: "REQUIRETLS: certificate of the remote host", err: named}
		}
		return named
	}
	t := tls.Client(c.raw, &tls.Config{
		ServerName:         c.host,
		InsecureSkipVerify: true, // verify does it, to know the result when it is not demanded
		VerifyConnection:   verify,
		MinVersion:         tls.VersionTLS12,
	})
	c.arm(ctx, cfg.Timeout)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.nc, c.tls = t, tls.VersionName(t.ConnectionState().Version)
	c.r, c.w = bufio.NewReaderSize(t, maxReplyLine), bufio.NewWriterSize(t, writeBuffer)
	return nil
}

// verifyChain checks the certificates up to an authority, and that the first
// one is for host unless that is "".
func (in *Instance) verifyChain(cs tls.ConnectionState, host string) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("remote host sent no certificate")
	}
	o := x509.VerifyOptions{Roots: in.services.Roots, DNSName: host, Intermediates: x509.NewCertPool()}
	for _, cert := range cs.PeerCertificates[1:] {
		o.Intermediates.AddCert(cert)
	}
	_, err := cs.PeerCertificates[0].Verify(o)
	return err
}
