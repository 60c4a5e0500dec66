package smime

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

const maxRecipients = 10_000

var (
	// ErrOtherRecipient is returned for a message that is encrypted, but not for
	// the certificate of the identity.
	ErrOtherRecipient = errors.New("not encrypted for this certificate")
	// ErrNotEncrypted is returned for a message without encrypted content.
	ErrNotEncrypted = errors.New("not encrypted")
	// ErrDecrypt is returned for all that can go wrong between key and content,
	// so that nobody learns from the difference.
	ErrDecrypt = errors.New("the content cannot be decrypted with the key: it was damaged, or encrypted for another key of this name")
)

// contentCipher is a way to encrypt content.
type contentCipher struct {
	id    asn1.ObjectIdentifier
	key   int // octets
	block func([]byte) (cipher.Block, error)
	gcm   bool
}

func aesID(n int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, n}
}

var (
	oidOAEP        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	oidPSpecified  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 9}
	contentCiphers = []contentCipher{
		{aesID(2), 16, aes.NewCipher, false}, {aesID(22), 24, aes.NewCipher, false}, {aesID(42), 32, aes.NewCipher, false},
		{aesID(6), 16, aes.NewCipher, true}, {aesID(26), 24, aes.NewCipher, true}, {aesID(46), 32, aes.NewCipher, true},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}, 24, des.NewTripleDESCipher, false},
	}
)

// enveloped is an EnvelopedData (RFC 5652 §6.1) or AuthEnvelopedData (RFC 5083
// §2.1).
type enveloped struct {
	keys       []keyTransport
	agreements []keyAgreement
	algorithm  algorithm
	content    []byte
	attributes []byte // authenticated, with the tag of a SET, nil without
	mac        []byte // nil without authentication
}

// keyTransport is the content key, encrypted with the public key of a recipient.
type keyTransport struct {
	id        certificateID
	algorithm algorithm
	key       []byte
}

func readEnveloped(kind asn1.ObjectIdentifier, s cryptobyte.String) (*enveloped, error) {
	auth := kind.Equal(oidAuthEnvelopedData)
	if !auth && !kind.Equal(oidEnvelopedData) {
		return nil, ErrNotEncrypted
	}
	var version int
	var recipients, info cryptobyte.String
	var inner asn1.ObjectIdentifier
	out := &enveloped{}
	if !s.ReadASN1Integer(&version) || !s.SkipOptionalASN1(contextParts(0)) || !s.ReadASN1(&recipients, tags.SET) || !s.ReadASN1(&info, tags.SEQUENCE) ||
		!info.ReadASN1ObjectIdentifier(&inner) || !readAlgorithm(&info, &out.algorithm) || !out.readContent(info) {
		return nil, malformed("encrypted data")
	}
	if auth {
		var mac cryptobyte.String
		if s.PeekASN1Tag(contextParts(1)) {
			var attrs cryptobyte.String
			if !s.ReadASN1Element(&attrs, contextParts(1)) {
				return nil, malformed("authenticated attributes")
			}
			out.attributes = append([]byte{byte(tags.SET)}, attrs[1:]...)
		}
		if !s.ReadASN1(&mac, tags.OCTET_STRING) {
			return nil, malformed("authentication code")
		}
		out.mac = mac
	}
	return out, out.readRecipients(recipients)
}

// readContent reads the encrypted content, in one piece or several.
func (e *enveloped) readContent(s cryptobyte.String) bool {
	var v cryptobyte.String
	if s.PeekASN1Tag(contextTag(0)) {
		ok := s.ReadASN1(&v, contextTag(0))
		e.content = v
		return ok
	}
	if !s.ReadASN1(&v, contextParts(0)) {
		return false
	}
	e.content = make([]byte, 0, len(v))
	for !v.Empty() {
		var piece cryptobyte.String
		if !v.ReadASN1(&piece, tags.OCTET_STRING) {
			return false
		}
		e.content = append(e.content, piece...)
	}
	return true
}

func (e *enveloped) readRecipients(s cryptobyte.String) error {
	for n := 0; !s.Empty(); n++ {
		var v cryptobyte.String
		var tag tags.Tag
		if n == maxRecipients || !s.ReadAnyASN1(&v, &tag) {
			return malformed("recipients")
		}
		var version int
		var encrypted cryptobyte.String
		switch tag {
		case tags.SEQUENCE:
			var k keyTransport
			if !v.ReadASN1Integer(&version) || !readCertificateID(&v, &k.id) || !readAlgorithm(&v, &k.algorithm) || !v.ReadASN1(&encrypted, tags.OCTET_STRING) {
				return malformed("recipient")
			}
			k.key = encrypted
			e.keys = append(e.keys, k)
		case contextParts(1):
			a, ok := readAgreement(v)
			if !ok {
				return malformed("recipient")
			}
			e.agreements = append(e.agreements, a)
		}
	}
	return nil
}

// Decrypt returns what the CMS structure data holds for the identity. Errors are
// ErrNotEncrypted, ErrOtherRecipient, ErrDecrypt and ErrMalformed.
func (id *Identity) decrypt(data []byte) ([]byte, error) {
	kind, content, err := readContentInfo(data)
	if err != nil {
		return nil, err
	}
	e, err := readEnveloped(kind, content)
	if err != nil {
		return nil, err
	}
	c, err := e.cipher()
	if err != nil {
		return nil, err
	}
	key, err := e.key(id.Key, id.Certificate, c.key)
	if err != nil {
		return nil, err
	}
	return e.open(c, key)
}

func (e *enveloped) cipher() (contentCipher, error) {
	for _, c := range contentCiphers {
		if e.algorithm.id.Equal(c.id) && c.gcm == (e.mac != nil) {
			return c, nil
		}
	}
	return contentCipher{}, malformed("content is encrypted with the algorithm %v, which is not known or not safe", e.algorithm.id)
}

// key returns the content key of size octets.
func (e *enveloped) key(private crypto.Signer, c *x509.Certificate, size int) ([]byte, error) {
	for i := range e.keys {
		if e.keys[i].id.names(c) {
			return e.keys[i].open(private, size)
		}
	}
	for i := range e.agreements {
		if wrapped := e.agreements[i].wrapped(c); wrapped != nil {
			return e.agreements[i].open(private, wrapped, size)
		}
	}
	return nil, ErrOtherRecipient
}

// open decrypts the content key. Where RSA's padding is wrong the result is a
// random key, so that the sender of made-up messages cannot tell (RFC 3218).
func (k *keyTransport) open(private crypto.Signer, size int) ([]byte, error) {
	key, ok := private.(*rsa.PrivateKey)
	if !ok {
		return nil, ErrDecrypt
	}
	if k.algorithm.id.Equal(oidRSA) {
		out := make([]byte, size)
		_, _ = rand.Read(out) // never fails
		//lint:ignore SA1019 most senders encrypt keys in this way (RFC 8551 §2.3)
		if err := rsa.DecryptPKCS1v15SessionKey(nil, key, k.key, out); err != nil {
			return nil, ErrDecrypt
		}
		return out, nil
	}
	if !k.algorithm.id.Equal(oidOAEP) {
		return nil, malformed("the key is encrypted with the algorithm %v, which is not known", k.algorithm.id)
	}
	digest, mask, ok := readHashes(k.algorithm.params)
	label, labelOK := oaepLabel(k.algorithm.params)
	if !ok || !labelOK {
		return nil, malformed("RSA-OAEP parameters")
	}
	out, err := key.Decrypt(nil, k.key, &rsa.OAEPOptions{Hash: digest, MGFHash: mask, Label: label})
	if err != nil || len(out) != size {
		return nil, ErrDecrypt
	}
	return out, nil
}

// oaepLabel reads the label in the parameters of RSA-OAEP (RFC 4055 §4.1).
func oaepLabel(params cryptobyte.String) (label []byte, ok bool) {
	var seq, field, v cryptobyte.String
	var there bool
	if !params.ReadASN1(&seq, tags.SEQUENCE) || !seq.SkipOptionalASN1(contextParts(0)) || !seq.SkipOptionalASN1(contextParts(1)) ||
		!seq.ReadOptionalASN1(&field, &there, contextParts(2)) {
		return nil, false
	}
	if !there {
		return nil, true
	}
	var a algorithm
	ok = readAlgorithm(&field, &a) && a.id.Equal(oidPSpecified) && a.params.ReadASN1(&v, tags.OCTET_STRING)
	return v, ok
}

// open decrypts the content.
func (e *enveloped) open(c contentCipher, key []byte) ([]byte, error) {
	block, err := c.block(key)
	if err != nil {
		return nil, ErrDecrypt
	}
	if c.gcm {
		return e.openGCM(block)
	}
	var iv cryptobyte.String
	params, size := e.algorithm.params, block.BlockSize()
	if !params.ReadASN1(&iv, tags.OCTET_STRING) || len(iv) != size || len(e.content) == 0 || len(e.content)%size != 0 {
		return nil, ErrDecrypt
	}
	out := make([]byte, len(e.content))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, e.content)
	pad := int(out[len(out)-1])
	if pad == 0 || pad > size {
		return nil, ErrDecrypt
	}
	for _, b := range out[len(out)-pad:] {
		if int(b) != pad {
			return nil, ErrDecrypt
		}
	}
	return out[:len(out)-pad], nil
}

// openGCM decrypts authenticated content (RFC 5084 §3.2).
func (e *enveloped) openGCM(block cipher.Block) ([]byte, error) {
	var seq, nonce cryptobyte.String
	size := 12
	params := e.algorithm.params
	if !params.ReadASN1(&seq, tags.SEQUENCE) || !seq.ReadASN1(&nonce, tags.OCTET_STRING) ||
		!seq.Empty() && !seq.ReadASN1Integer(&size) || size != len(e.mac) || size < 12 || size > 16 || len(nonce) == 0 {
		return nil, ErrDecrypt
	}
	sealed := append(e.content[:len(e.content):len(e.content)], e.mac...)
	var gcm cipher.AEAD
	var err error
	switch {
	case size == 16 && len(nonce) != 12:
		gcm, err = cipher.NewGCMWithNonceSize(block, len(nonce))
	case len(nonce) == 12:
		gcm, err = cipher.NewGCMWithTagSize(block, size)
	default:
		return nil, ErrDecrypt
	}
	if err != nil {
		return nil, ErrDecrypt
	}
	out, err := gcm.Open(nil, nonce, sealed, e.attributes)
	if err != nil {
		return nil, ErrDecrypt
	}
	return out, nil
}
