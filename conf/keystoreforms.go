package conf

import (
	"bytes"
	"crypto/sha1"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"unicode/utf16"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

// readJKS reads Sun's own form of keystore.
//
// The library allocates whatever a length in the file asks for, so the digest
// at the end and all lengths are checked first.
//
// Source: sun.security.provider.JavaKeyStore (JDK).
func readJKS(data []byte, secret string) (keystoreEntries, error) {
	var out keystoreEntries
	store, password, err := loadJKS(data, secret)
	if err != nil {
		return out, err
	}
	for _, alias := range store.Aliases() {
		if store.IsPrivateKeyEntry(alias) {
			if err := out.addJKS(store, alias, password); err != nil {
				return out, fmt.Errorf("entry %q: %w", alias, err)
			}
			continue
		}
		entry, err := store.GetTrustedCertificateEntry(alias)
		if err != nil {
			return out, fmt.Errorf("entry %q: %w", alias, err)
		}
		cert, err := x509.ParseCertificate(entry.Certificate.Content)
		if err != nil {
			return out, fmt.Errorf("entry %q: parse certificate: %w", alias, err)
		}
		out.trusted = append(out.trusted, cert)
	}
	return out, nil
}

// loadJKS opens the keystore; password is the secret as the library wants it.
func loadJKS(data []byte, secret string) (store keystore.KeyStore, password []byte, err error) {
	if !intactJKS(data, secret) {
		return store, nil, errSecret
	}
	if err := boundedJKS(data[:len(data)-sha1.Size]); err != nil {
		return store, nil, err
	}
	password, ok := latin1(secret)
	if !ok {
		return store, nil, errors.New("the secret of a JKS keystore can have characters up to U+00FF only; convert the file to PKCS12, or change its secret")
	}
	store = keystore.New(keystore.WithOrderedAliases(), keystore.WithCaseExactAliases())
	if err := store.Load(bytes.NewReader(data), password); err != nil {
		return store, nil, fmt.Errorf("parse JKS keystore: %w", err)
	}
	return store, password, nil
}

// intactJKS checks the digest over the secret, some fixed words and all that
// stands before the digest.
func intactJKS(data []byte, secret string) bool {
	end := len(data) - sha1.Size
	if end < 12 { // magic, version, number of entries
		return false
	}
	h := sha1.New()
	for _, unit := range utf16.Encode([]rune(secret)) {
		h.Write([]byte{byte(unit >> 8), byte(unit)})
	}
	h.Write([]byte("Mighty Aphrodite"))
	h.Write(data[:end])
	return subtle.ConstantTimeCompare(h.Sum(nil), data[end:]) == 1
}

// jksCursor walks over the fields of a JKS keystore.
type jksCursor struct {
	rest []byte
	bad  bool // a field is longer than the file
}

func (c *jksCursor) skip(n int) []byte {
	if n > len(c.rest) {
		c.bad, c.rest = true, nil
		return make([]byte, 4)
	}
	field := c.rest[:n]
	c.rest = c.rest[n:]
	return field
}

func (c *jksCursor) number16() int { return int(binary.BigEndian.Uint16(c.skip(2))) }
func (c *jksCursor) number32() int { return int(binary.BigEndian.Uint32(c.skip(4))) }

// boundedJKS checks that a keystore, without its digest, has what its lengths
// and numbers say.
func boundedJKS(data []byte) error {
	c := jksCursor{rest: data[4:]}
	version := c.number32()
	if version != 1 && version != 2 {
		return fmt.Errorf("it is a JKS keystore of version %d; 1 and 2 can be read", version)
	}
	for entries := c.number32(); entries > 0 && !c.bad; entries-- {
		key := c.number32() == 1
		c.skip(c.number16()) // alias
		c.skip(8)            // creation time
		certs := 1
		if key {
			c.skip(c.number32())
			certs = c.number32()
		}
		for ; certs > 0 && !c.bad; certs-- {
			if version == 2 {
				c.skip(c.number16()) // type
			}
			c.skip(c.number32())
		}
	}
	if c.bad || len(c.rest) > 0 {
		return errors.New("what it says about lengths is wrong: the file is damaged")
	}
	return nil
}

// latin1 returns secret with one octet for each character: the library makes
// UTF-16 of it by putting a zero before each.
func latin1(secret string) ([]byte, bool) {
	out := make([]byte, 0, len(secret))
	for _, r := range secret {
		if r > 0xFF {
			return nil, false
		}
		out = append(out, byte(r))
	}
	return out, true
}

// addJKS adds a private key with its chain. A trust store is not held up by a
// key that cannot be used.
func (e *keystoreEntries) addJKS(store keystore.KeyStore, alias string, password []byte) error {
	chain, err := jksChain(store, alias)
	if err != nil {
		return err
	}
	if len(chain) > 0 {
		e.trusted = append(e.trusted, chain[0])
	}
	pair, err := jksPair(store, alias, password, chain)
	if err != nil {
		e.unusable = errors.Join(e.unusable, fmt.Errorf("entry %q: %w", alias, err))
		return nil
	}
	e.pairs = append(e.pairs, pair)
	return nil
}

func jksPair(store keystore.KeyStore, alias string, password []byte, chain []*x509.Certificate) (tls.Certificate, error) {
	der, err := jksKey(store, alias, password)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("its private key cannot be decrypted with the secret of the keystore; "+
			"give it the same one with: keytool -keypasswd (%w)", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("parse private key: %w", err)
	}
	return keyPair(key, chain)
}

// jksKey decrypts a private key. The library panics when the encrypted key has
// no room for salt and digest.
func jksKey(store keystore.KeyStore, alias string, password []byte) (der []byte, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the encrypted key is too short")
		}
	}()
	entry, err := store.GetPrivateKeyEntry(alias, password)
	return entry.PrivateKey, err
}

func jksChain(store keystore.KeyStore, alias string) ([]*x509.Certificate, error) {
	raw, err := store.GetPrivateKeyEntryCertificateChain(alias)
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	for _, c := range raw {
		cert, err := x509.ParseCertificate(c.Content)
		if err != nil {
			return nil, fmt.Errorf("parse certificate: %w", err)
		}
		chain = append(chain, cert)
	}
	return chain, nil
}

// readPKCS12 reads a PKCS #12 file (RFC 7292): one private key with its
// certificates, or certificates that Java marked as trusted.
func readPKCS12(data []byte, secret string) (keystoreEntries, error) {
	var out keystoreEntries
	protected, err := pkcs12Frame(data)
	if err != nil {
		return out, err
	}
	if !protected {
		secret = "" // Java does not use it then, the library wants it to be empty
	}
	if out.trusted, err = pkcs12.DecodeTrustStore(data, secret); err == nil {
		return out, nil
	}
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return out, errSecret
	}
	key, leaf, rest, err := pkcs12.DecodeChain(data, secret)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return out, errSecret
	case err != nil:
		return out, fmt.Errorf("parse PKCS #12 keystore, which may have one private key, encrypted with the secret of the keystore, "+
			"or trusted certificates alone; keytool -importkeystore -srcalias makes one of a single entry: %w", err)
	}
	certs := append([]*x509.Certificate{leaf}, rest...)
	chain := chainOf(key, certs)
	pair, err := keyPair(key, chain)
	if err != nil {
		return out, err
	}
	out.pairs, out.trusted = []tls.Certificate{pair}, chain[:1]
	out.others = len(certs) - len(chain)
	return out, nil
}

// maxIterations bounds the work that a PKCS #12 file can ask for before its
// secret is known to be right. It is Java's bound.
const maxIterations = 5_000_000

// pkcs12MAC is the digest over a PKCS #12 file (RFC 7292 §4).
type pkcs12MAC struct {
	Digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Value     []byte
	}
	Salt       []byte
	Iterations int `asn1:"optional,default:1"`
}

// iterations returns the rounds of hashing. Those of PBMAC1 (RFC 9579) stand in
// the parameters of the algorithm; of other algorithms these are not read.
func (m pkcs12MAC) iterations() int {
	var kdf struct{ Function, MAC pkix.AlgorithmIdentifier }
	var params struct {
		Salt       asn1.RawValue
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(m.Digest.Algorithm.Parameters.FullBytes, &kdf); err != nil {
		return m.Iterations
	}
	if _, err := asn1.Unmarshal(kdf.Function.Parameters.FullBytes, &params); err != nil {
		return m.Iterations
	}
	return max(m.Iterations, params.Iterations)
}

// Object identifiers of what is encrypted in a PKCS #12 file: certificates, a
// key.
var (
	derEncryptedData = []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06")
	derShroudedKey   = []byte("\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02")
)

// pkcs12Frame looks at what is outside of all encryption: whether the file is
// protected by a digest that is made with the secret. One that is not has
// nothing encrypted.
func pkcs12Frame(data []byte) (protected bool, err error) {
	var pfx struct {
		Version int
		Content asn1.RawValue
		MAC     pkcs12MAC `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(data, &pfx); err != nil {
		return false, fmt.Errorf("%w (%w)", errStoreForm, err)
	}
	if n := pfx.MAC.iterations(); n < 0 || n > maxIterations {
		return false, fmt.Errorf("it asks for %d rounds of hashing; at most %d are done", n, maxIterations)
	}
	protected = len(pfx.MAC.Digest.Algorithm.Algorithm) > 0
	if !protected && (bytes.Contains(data, derEncryptedData) || bytes.Contains(data, derShroudedKey)) {
		return false, errors.New("it is encrypted, but has no digest (MAC) to check the secret with; make it anew with one")
	}
	return protected, nil
}

// pemCertificates returns the certificates of a PEM file.
func pemCertificates(data []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse certificate: %w", err)
		}
		out = append(out, cert)
	}
	if len(out) == 0 {
		return nil, errNoTrusted
	}
	return out, nil
}
