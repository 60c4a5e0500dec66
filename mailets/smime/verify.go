package smime

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha1"   // a signature may use it
	_ "crypto/sha256" // a signature may use it
	_ "crypto/sha512" // a signature may use it
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// digests are the algorithms that a signature may be made with.
var digests = []struct {
	id, rsa, ecdsa asn1.ObjectIdentifier
	hash           crypto.Hash
}{
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}, crypto.SHA1},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 14}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 1}, crypto.SHA224},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, crypto.SHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, crypto.SHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, crypto.SHA512},
}

var (
	oidRSA      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidRSAPSS   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidMGF1     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidECPublic = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidEd25519  = asn1.ObjectIdentifier{1, 3, 101, 112}
)

// hashOf returns the digest called id, or 0. The name of a signature with it
// counts, too: some senders write that.
func hashOf(id asn1.ObjectIdentifier) crypto.Hash {
	for _, d := range digests {
		if id.Equal(d.id) || id.Equal(d.rsa) || id.Equal(d.ecdsa) {
			return d.hash
		}
	}
	return 0
}

func keyBits(key crypto.PublicKey) int {
	if k, ok := key.(*rsa.PublicKey); ok {
		return k.N.BitLen()
	}
	return 0
}

// Signer is what was found out about one signature of a message.
type Signer struct {
	// Certificate belongs to the key that signed; nil when there is none in the
	// message that does.
	Certificate *x509.Certificate
	// Err is why the signature does not count, nil when it is good.
	Err error
}

// hashed is the content of a signature, digested with all that signers want.
type hashed struct {
	sums  map[crypto.Hash][]byte
	first byte
	empty bool
}

func (d *signedData) hash(content io.Reader) (*hashed, error) {
	state := map[crypto.Hash]hash.Hash{}
	var all []io.Writer
	for i := range d.signers {
		h := hashOf(d.signers[i].digest.id)
		if h == 0 || state[h] != nil {
			continue
		}
		state[h] = h.New()
		all = append(all, state[h])
	}
	out := &hashed{sums: map[crypto.Hash][]byte{}}
	var first [1]byte
	switch _, err := io.ReadFull(content, first[:]); {
	case errors.Is(err, io.EOF):
		out.empty = true
	case err != nil:
		return nil, fmt.Errorf("read signed content: %w", err)
	default:
		out.first = first[0]
		w := io.MultiWriter(all...)
		_, _ = w.Write(first[:]) // a hash takes everything
		if _, err := io.Copy(w, content); err != nil {
			return nil, fmt.Errorf("read signed content: %w", err)
		}
	}
	for h, s := range state {
		out.sums[h] = s.Sum(nil)
	}
	return out, nil
}

// check judges each signature over content.
func (d *signedData) check(content *hashed, trust *Trust) []Signer {
	out := make([]Signer, len(d.signers))
	for i := range d.signers {
		out[i] = d.checkOne(&d.signers[i], content, trust)
	}
	return out
}

func (d *signedData) checkOne(s *signerInfo, content *hashed, trust *Trust) Signer {
	out := Signer{Err: errors.New("its certificate is not in the message")}
	for _, c := range d.certificates {
		if !s.id.names(c) {
			continue
		}
		err := s.verify(c, content)
		if err == nil {
			return Signer{c, trust.check(c, d.certificates)}
		}
		out = Signer{c, err}
	}
	return out
}

// verify checks one signature with the key of a certificate.
//
// Source: RFC 5652 §5.4 to §5.6.
func (s *signerInfo) verify(c *x509.Certificate, content *hashed) error {
	h := hashOf(s.digest.id)
	if h == 0 {
		return fmt.Errorf("digest algorithm %v is not known or not safe", s.digest.id)
	}
	sum := content.sums[h]
	if s.attributes == nil {
		// A signature over attributes could be passed off as one over content
		// that is these attributes; they begin with the tag of a SET.
		if content.first == byte(tags.SET) {
			return errors.New("content that could be signed attributes")
		}
		return s.verifyKey(c, h, sum, nil)
	}
	signed, err := readAttributes(s.attributes)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(signed.digest, sum):
		return errors.New("the content was changed after it had been signed")
	case !signed.time.IsZero() && (signed.time.Before(c.NotBefore) || signed.time.After(c.NotAfter)):
		return errors.New("it says it was made when its certificate was not valid")
	}
	w := h.New()
	w.Write(s.attributes)
	return s.verifyKey(c, h, w.Sum(nil), s.attributes)
}

// attributes are the signed ones that count.
type attributes struct {
	digest []byte
	time   time.Time // zero when it is not said
}

// readAttributes reads signed attributes, which must say what type the content
// has and its digest, once each (RFC 5652 §5.3, §11).
func readAttributes(der []byte) (out attributes, err error) {
	s := cryptobyte.String(der)
	var set cryptobyte.String
	if !s.ReadASN1(&set, tags.SET) {
		return out, malformed("signed attributes")
	}
	seen := map[string]bool{}
	for !set.Empty() {
		var attr, values cryptobyte.String
		var id asn1.ObjectIdentifier
		if !set.ReadASN1(&attr, tags.SEQUENCE) || !attr.ReadASN1ObjectIdentifier(&id) || !attr.ReadASN1(&values, tags.SET) {
			return out, malformed("signed attributes")
		}
		if counts := id.Equal(oidContentType) || id.Equal(oidMessageDigest) || id.Equal(oidSigningTime); counts && seen[id.String()] {
			return out, malformed("signed attribute %v stands twice", id)
		}
		seen[id.String()] = true
		if !out.read(id, values) {
			return out, malformed("signed attribute %v", id)
		}
	}
	if !seen[oidContentType.String()] || out.digest == nil {
		return out, malformed("signed attributes without content type or digest")
	}
	return out, nil
}

func (a *attributes) read(id asn1.ObjectIdentifier, values cryptobyte.String) bool {
	switch {
	case id.Equal(oidContentType):
		var kind asn1.ObjectIdentifier
		return values.ReadASN1ObjectIdentifier(&kind) && values.Empty() && kind.Equal(oidData)
	case id.Equal(oidMessageDigest):
		var v cryptobyte.String
		ok := values.ReadASN1(&v, tags.OCTET_STRING) && values.Empty()
		a.digest = v
		return ok
	case id.Equal(oidSigningTime):
		if values.PeekASN1Tag(tags.GeneralizedTime) {
			return values.ReadASN1GeneralizedTime(&a.time) && values.Empty()
		}
		return values.ReadASN1UTCTime(&a.time) && values.Empty()
	}
	return true
}

var errSignature = errors.New("the signature is not one of the key of its certificate")

// verifyKey checks the signature over sum; attrs is what sum was made from, nil
// when that was the content itself.
func (s *signerInfo) verifyKey(c *x509.Certificate, h crypto.Hash, sum, attrs []byte) error {
	other := hashOf(s.signature.id)
	if other != 0 && other != h {
		return errors.New("it uses two digest algorithms")
	}
	ok := false
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		switch {
		case s.signature.id.Equal(oidRSAPSS):
			if !pssUses(s.signature.params, h) {
				return errors.New("its RSA-PSS parameters are not known")
			}
			ok = rsa.VerifyPSS(key, h, sum, s.value, nil) == nil
		case s.signature.id.Equal(oidRSA) || other != 0:
			ok = rsa.VerifyPKCS1v15(key, h, sum, s.value) == nil
		}
	case *ecdsa.PublicKey:
		ok = (s.signature.id.Equal(oidECPublic) || other != 0) && ecdsa.VerifyASN1(key, sum, s.value)
	case ed25519.PublicKey: // RFC 8419
		ok = s.signature.id.Equal(oidEd25519) && attrs != nil && ed25519.Verify(key, attrs, s.value)
	default:
		return fmt.Errorf("its key is a %T", c.PublicKey)
	}
	if !ok {
		return errSignature
	}
	return nil
}

// pssUses reports whether the parameters of RSA-PSS name h, also for the mask
// (RFC 4055 §3.1, RFC 4056 §3).
func pssUses(params cryptobyte.String, h crypto.Hash) bool {
	digest, mask, ok := readHashes(params)
	return ok && digest == h && mask == h
}

// readHashes reads the two digests that stand in the parameters of RSA-PSS and
// RSA-OAEP alike.
func readHashes(params cryptobyte.String) (digest, mask crypto.Hash, ok bool) {
	digest, mask = crypto.SHA1, crypto.SHA1
	var seq, field cryptobyte.String
	var there bool
	if !params.ReadASN1(&seq, tags.SEQUENCE) || !seq.ReadOptionalASN1(&field, &there, contextParts(0)) {
		return 0, 0, false
	}
	if there {
		var a algorithm
		if !readAlgorithm(&field, &a) {
			return 0, 0, false
		}
		digest = hashOf(a.id)
	}
	if !seq.ReadOptionalASN1(&field, &there, contextParts(1)) {
		return 0, 0, false
	}
	if there {
		var gen, a algorithm
		if !readAlgorithm(&field, &gen) || !gen.id.Equal(oidMGF1) || !readAlgorithm(&gen.params, &a) {
			return 0, 0, false
		}
		mask = hashOf(a.id)
	}
	return digest, mask, digest != 0 && mask != 0
}

// Trust says whose signatures count.
type Trust struct {
	Roots *x509.CertPool   // of the certificates in it, and those they vouch for
	Any   bool             // everybody's; Roots are not used
	Now   func() time.Time // nil: time.Now
}

// check tells why a signer is not trusted. The certificate must be valid now:
// when it signed is something that only the signer says.
//
// Source: RFC 8550 §4.4.
func (t *Trust) check(c *x509.Certificate, others []*x509.Certificate) error {
	if t.Any {
		return nil
	}
	if c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return errors.New("its certificate is not for signatures")
	}
	now := time.Now
	if t.Now != nil {
		now = t.Now
	}
	between := x509.NewCertPool()
	for _, o := range others {
		between.AddCert(o)
	}
	chains, err := c.Verify(x509.VerifyOptions{Roots: t.Roots, Intermediates: between, CurrentTime: now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}})
	if err != nil {
		return fmt.Errorf("its certificate is not trusted: %w", err)
	}
	if !slices.ContainsFunc(chains, mayCertify) {
		return errors.New("its certificate is not trusted: its authority may not certify the address in its subject")
	}
	return nil
}

// mayCertify reports whether the constraints of all authorities in a chain allow
// the addresses in the subject of its first certificate. Package x509 looks at
// the other addresses alone.
//
// Source: RFC 5280 §4.2.1.10.
func mayCertify(chain []*x509.Certificate) bool {
	for _, address := range subjectAddresses(chain[0]) {
		allows := func(constraint string) bool { return inConstraint(address, constraint) }
		for _, ca := range chain[1:] {
			if slices.ContainsFunc(ca.ExcludedEmailAddresses, allows) ||
				len(ca.PermittedEmailAddresses) > 0 && !slices.ContainsFunc(ca.PermittedEmailAddresses, allows) {
				return false
			}
		}
	}
	return true
}

// inConstraint reports whether a constraint, which is a mailbox, a host or a
// domain with a dot in front, covers an address.
func inConstraint(address, constraint string) bool {
	at := strings.LastIndexByte(address, '@')
	local, host := address[:max(at, 0)], address[at+1:]
	if i := strings.LastIndexByte(constraint, '@'); i >= 0 {
		return at >= 0 && local == constraint[:i] && strings.EqualFold(host, constraint[i+1:])
	}
	if strings.HasPrefix(constraint, ".") {
		return len(host) > len(constraint) && strings.EqualFold(host[len(host)-len(constraint):], constraint)
	}
	return strings.EqualFold(host, constraint)
}
