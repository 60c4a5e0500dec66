package webadmin

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"

	"github.com/golang-jwt/jwt/v5"
)

// jwtGuard asks for a token that one of its keys signed with RS256. No other
// algorithm is accepted, least of all none, or HS256 with a public key as the
// secret (RFC 8725 §2.1).
type jwtGuard struct {
	keys   jwt.VerificationKeySet
	parser *jwt.Parser
}

// newJWTGuard reads one or more public keys in PEM.
func newJWTGuard(data []byte) (*jwtGuard, error) {
	g := &jwtGuard{parser: jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}))}
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

// publicKey returns the RSA key of a PEM block.
func publicKey(block *pem.Block) (*rsa.PublicKey, error) {
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
	pub, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the key is no RSA key (%T)", key)
	}
	return pub, nil
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
