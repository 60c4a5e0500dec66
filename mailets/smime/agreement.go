package smime

import (
	"crypto"
	"crypto/aes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// keyAgreement is the content key, wrapped with a key that both sides make of
// their elliptic curve keys (RFC 5753 §3.1).
type keyAgreement struct {
	point      []byte // public key of the sender, made for this message
	ukm        []byte // nil without
	algorithm  algorithm
	recipients []agreed
}

type agreed struct {
	id  certificateID
	key []byte
}

func readAgreement(s cryptobyte.String) (out keyAgreement, ok bool) {
	var version int
	var originator, public, keys, ukm cryptobyte.String
	var hasUKM bool
	if !s.ReadASN1Integer(&version) || !s.ReadASN1(&originator, contextParts(0)) {
		return out, false
	}
	if originator.ReadASN1(&public, contextParts(1)) { // else it is no key, and nothing we can use
		var curve algorithm
		if !readAlgorithm(&public, &curve) || !public.ReadASN1BitStringAsBytes(&out.point) {
			return out, false
		}
	}
	if !s.ReadOptionalASN1(&ukm, &hasUKM, contextParts(1)) || !readAlgorithm(&s, &out.algorithm) || !s.ReadASN1(&keys, tags.SEQUENCE) {
		return out, false
	}
	if hasUKM {
		var v cryptobyte.String
		if !ukm.ReadASN1(&v, tags.OCTET_STRING) {
			return out, false
		}
		out.ukm = v
	}
	for !keys.Empty() {
		var seq, key cryptobyte.String
		var r agreed
		if len(out.recipients) == maxRecipients || !keys.ReadASN1(&seq, tags.SEQUENCE) || !readAgreedID(&seq, &r.id) || !seq.ReadASN1(&key, tags.OCTET_STRING) {
			return out, false
		}
		r.key = key
		out.recipients = append(out.recipients, r)
	}
	return out, true
}

// readAgreedID reads a KeyAgreeRecipientIdentifier (RFC 5652 §6.2.2).
func readAgreedID(s *cryptobyte.String, out *certificateID) bool {
	var v, key cryptobyte.String
	if s.PeekASN1Tag(contextParts(0)) {
		ok := s.ReadASN1(&v, contextParts(0)) && v.ReadASN1(&key, tags.OCTET_STRING)
		out.subjectKey = key
		return ok
	}
	return s.ReadASN1(&v, tags.SEQUENCE) && readIssuerAndSerial(v, out)
}

// wrapped returns the wrapped key for the owner of a certificate, or nil.
func (a *keyAgreement) wrapped(c *x509.Certificate) []byte {
	for i := range a.recipients {
		if a.recipients[i].id.names(c) {
			return a.recipients[i].key
		}
	}
	return nil
}

// agreements are the ECDH schemes with the digest of their key derivation
// (RFC 5753 §7.1.4).
var agreements = []struct {
	id   asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{asn1.ObjectIdentifier{1, 3, 133, 16, 840, 63, 0, 2}, crypto.SHA1},
	{asn1.ObjectIdentifier{1, 3, 132, 1, 11, 0}, crypto.SHA224},
	{asn1.ObjectIdentifier{1, 3, 132, 1, 11, 1}, crypto.SHA256},
	{asn1.ObjectIdentifier{1, 3, 132, 1, 11, 2}, crypto.SHA384},
	{asn1.ObjectIdentifier{1, 3, 132, 1, 11, 3}, crypto.SHA512},
}

// keyWraps are AES Key Wrap with the size of its key (RFC 3565 §2.3.2).
var keyWraps = map[string]int{aesID(5).String(): 16, aesID(25).String(): 24, aesID(45).String(): 32}

func (a *keyAgreement) open(private crypto.Signer, wrapped []byte, size int) ([]byte, error) {
	key, ok := private.(*ecdsa.PrivateKey)
	if !ok {
		return nil, ErrDecrypt
	}
	var h crypto.Hash
	for _, s := range agreements {
		if s.id.Equal(a.algorithm.id) {
			h = s.hash
		}
	}
	var wrap algorithm
	params := a.algorithm.params
	info := params
	if h == 0 || !readAlgorithm(&params, &wrap) || keyWraps[wrap.id.String()] == 0 {
		return nil, malformed("the key is agreed upon with the algorithm %v, which is not known", a.algorithm.id)
	}
	own, err := key.ECDH()
	if err != nil {
		return nil, ErrDecrypt
	}
	shared, err := sharedSecret(own, a.point)
	if err != nil {
		return nil, ErrDecrypt
	}
	kek := deriveKey(h, shared, sharedInfo(info, a.ukm, keyWraps[wrap.id.String()]), keyWraps[wrap.id.String()])
	out, ok := unwrapKey(kek, wrapped)
	if !ok || len(out) != size {
		return nil, ErrDecrypt
	}
	return out, nil
}

func sharedSecret(own *ecdh.PrivateKey, point []byte) ([]byte, error) {
	public, err := own.Curve().NewPublicKey(point)
	if err != nil {
		return nil, err
	}
	return own.ECDH(public)
}

// sharedInfo is ECC-CMS-SharedInfo (RFC 5753 §7.2) for a key of size octets.
func sharedInfo(wrap cryptobyte.String, ukm []byte, size int) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(wrap)
		if ukm != nil {
			b.AddASN1(contextParts(0), func(b *cryptobyte.Builder) { b.AddASN1OctetString(ukm) })
		}
		b.AddASN1(contextParts(2), func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(binary.BigEndian.AppendUint32(nil, uint32(8*size)))
		})
	})
	return b.BytesOrPanic() // lengths of a few octets cannot overflow
}

// deriveKey is the function of SEC 1 §3.6.1 (ANSI X9.63).
func deriveKey(h crypto.Hash, secret, info []byte, size int) []byte {
	var out []byte
	for n := uint32(1); len(out) < size; n++ {
		w := h.New()
		w.Write(secret)
		w.Write(binary.BigEndian.AppendUint32(nil, n))
		w.Write(info)
		out = w.Sum(out)
	}
	return out[:size]
}

// unwrapKey is AES Key Unwrap (RFC 3394 §2.2.2).
func unwrapKey(kek, wrapped []byte) ([]byte, bool) {
	n := len(wrapped)/8 - 1
	if n < 2 || n > 8 || len(wrapped)%8 != 0 {
		return nil, false
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, false
	}
	var buf [16]byte
	copy(buf[:8], wrapped)
	out := append([]byte(nil), wrapped[8:]...)
	for t := 6 * n; t > 0; t-- {
		r := out[8*((t-1)%n):][:8]
		binary.BigEndian.PutUint64(buf[:8], binary.BigEndian.Uint64(buf[:8])^uint64(t))
		copy(buf[8:], r)
		block.Decrypt(buf[:], buf[:])
		copy(r, buf[8:])
	}
	iv := []byte{0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}
	return out, subtle.ConstantTimeCompare(buf[:8], iv) == 1
}
