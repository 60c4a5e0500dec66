package mailauth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// minRSA is the shortest RSA key that may sign (RFC 8301 §3.2).
const minRSA = 1024

// ParseKey reads the first private key in PEM text: RSA in PKCS#1 form, which
// may be encrypted with password, or RSA or Ed25519 in PKCS#8 form. Blanks
// around lines do not count, so that a key can stand indented in an XML file.
func ParseKey(text []byte, password string) (crypto.Signer, error) {
	lines := strings.Split(string(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	rest := []byte(strings.Join(lines, "\n") + "\n")
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("no private key in PEM form (-----BEGIN PRIVATE KEY-----)")
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return parseBlock(block, password)
		}
	}
}

func parseBlock(block *pem.Block, password string) (crypto.Signer, error) {
	der := block.Bytes
	//lint:ignore SA1019 James takes keys encrypted in this way, and so must we
	if x509.IsEncryptedPEMBlock(block) {
		var err error
		//lint:ignore SA1019 as above
		der, err = x509.DecryptPEMBlock(block, []byte(password))
		if err != nil {
			return nil, fmt.Errorf("decrypt the private key: %w", err)
		}
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(der)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(der)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("encrypted PKCS#8 keys cannot be read; convert it: openssl pkcs8 -in old.pem -out new.pem")
	default:
		return nil, fmt.Errorf("a %s cannot sign; want RSA or Ed25519 in PKCS#1 or PKCS#8 form", strings.ToLower(block.Type))
	}
	if err != nil {
		return nil, fmt.Errorf("read the private key: %w", err)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < minRSA {
			return nil, fmt.Errorf("the RSA key has %d bits; no receiver accepts less than %d", k.N.BitLen(), minRSA)
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	default:
		return nil, fmt.Errorf("a %T cannot sign; want RSA or Ed25519", key)
	}
}
