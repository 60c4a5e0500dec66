package webadmin

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"

	"github.com/golang-jwt/jwt/v5"
)

// jwtGuard asks for a token that one of its keys signed. The key decides which
// algorithms there are (RFC 8725 §3.1): James has RSA keys and RS256 alone. Never
// accepted are none, and HS256 with a public key as the secret (§2.1).
type jwtGuard struct {
	keys   jwt.VerificationKeySet
	parser *jwt.Parser
}

// signatures are the algorithms of public keys (RFC 7518 §3.1, RFC 8037 §3.1).
var signatures = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// newJWTGuard reads one or more public keys in PEM.
func newJWTGuard(data []byte) (*jwtGuard, error) {
	g := &jwtGuard{parser: jwt.NewParser(jwt.WithValidMethods(signatures))}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		key, err := publicKey(block)
		if err != nil {
			return nil, fmt.Errorf("jwt.publickeypem.url: %w", err)
		}
		g.keys.Keys = append(g.keys.Keys, key)
	}
	if len(g.keys.Keys) == 0 {
		return nil, errors.New("jwt.publickeypem.url: there is no public key in PEM")
	}
	return g, nil
}

// minRSABits is what RFC 7518 §3.3 asks for.
const minRSABits = 2048

// publicKey returns the key of a PEM block: RSA, ECDSA or Ed25519.
func publicKey(block *pem.Block) (jwt.VerificationKey, error) {
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = c.PublicKey
		}
	default:
		return nil, fmt.Errorf("%s is no public key", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", block.Type, err)
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits {
			return nil, fmt.Errorf("the RSA key has %d bits; at least %d are wanted", bits, minRSABits)
		}
		return key, nil
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return key, nil
	}
	return nil, fmt.Errorf("the key is none of RSA, ECDSA and Ed25519 (%T)", key)
}

func (g *jwtGuard) check(r *http.Request) (string, *refusal) {
	token, ok := bearer(r)
	if !ok {
		return "", &refusal{status: http.StatusUnauthorized, text: "No Bearer header."}
	}
	claims := jwt.MapClaims{}
	if _, err := g.parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return g.keys, nil }); err != nil {
		return "", &refusal{status: http.StatusUnauthorized, text: "Invalid token.", wrong: "token " + token}
	}
	login, _ := claims["sub"].(string)
	if admin, _ := claims["admin"].(bool); !admin {
		return login, &refusal{status: http.StatusUnauthorized, text: "Non authorized user."}
	}
	return login, nil
}
