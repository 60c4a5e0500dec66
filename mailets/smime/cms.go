package smime

import (
	"crypto/x509"
	"encoding/asn1"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers of content types and attributes (RFC 5652, RFC 5083).
var (
	oidData              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidEnvelopedData     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}
	oidAuthEnvelopedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 23}
	oidContentType       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
)

// Bounds of a message: what a chain of certificates and a few signers need, and
// what many recipients need.
const (
	maxCertificates = 100
	maxSigners      = 10
	maxKeyBits      = 8192
)

func contextTag(n uint8) tags.Tag { return tags.Tag(n).ContextSpecific() }

func contextParts(n uint8) tags.Tag { return contextTag(n).Constructed() }

// readContentInfo returns what a ContentInfo holds (RFC 5652 §3), in DER.
func readContentInfo(data []byte) (kind asn1.ObjectIdentifier, content cryptobyte.String, err error) {
	der, err := toDER(data)
	if err != nil {
		return nil, nil, err
	}
	s := cryptobyte.String(der)
	var info, explicit cryptobyte.String
	if !s.ReadASN1(&info, tags.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&kind) ||
		!info.ReadASN1(&explicit, contextParts(0)) || !explicit.ReadASN1(&content, tags.SEQUENCE) {
		return nil, nil, malformed("no CMS content")
	}
	return kind, content, nil
}

// algorithm is an AlgorithmIdentifier.
type algorithm struct {
	id     asn1.ObjectIdentifier
	params cryptobyte.String // the whole element, nil when absent
}

func readAlgorithm(s *cryptobyte.String, out *algorithm) bool {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, tags.SEQUENCE) {
		return false
	}
	return readAlgorithmContent(seq, out)
}

func readAlgorithmContent(seq cryptobyte.String, out *algorithm) bool {
	if !seq.ReadASN1ObjectIdentifier(&out.id) {
		return false
	}
	var tag tags.Tag
	return seq.Empty() || seq.ReadAnyASN1Element(&out.params, &tag)
}

// certificateID names a certificate: by issuer and serial number, or by subject
// key identifier.
type certificateID struct {
	issuer     []byte
	serial     *big.Int
	subjectKey []byte
}

// readCertificateID reads a SignerIdentifier or RecipientIdentifier.
func readCertificateID(s *cryptobyte.String, out *certificateID) bool {
	var v cryptobyte.String
	if s.PeekASN1Tag(contextTag(0)) {
		ok := s.ReadASN1(&v, contextTag(0))
		out.subjectKey = v
		return ok
	}
	return s.ReadASN1(&v, tags.SEQUENCE) && readIssuerAndSerial(v, out)
}

func readIssuerAndSerial(s cryptobyte.String, out *certificateID) bool {
	var issuer cryptobyte.String
	out.serial = new(big.Int)
	ok := s.ReadASN1Element(&issuer, tags.SEQUENCE) && s.ReadASN1Integer(out.serial)
	out.issuer = issuer
	return ok
}

func (id *certificateID) names(c *x509.Certificate) bool {
	if id.serial != nil {
		return id.serial.Cmp(c.SerialNumber) == 0 && string(id.issuer) == string(c.RawIssuer)
	}
	return len(id.subjectKey) > 0 && string(id.subjectKey) == string(c.SubjectKeyId)
}

// signedData is a SignedData (RFC 5652 §5.1).
type signedData struct {
	content      []byte // nil when it is detached
	detached     bool
	certificates []*x509.Certificate
	signers      []signerInfo
}

// signerInfo is a SignerInfo (RFC 5652 §5.3).
type signerInfo struct {
	id         certificateID
	digest     algorithm
	attributes []byte // as they are signed, nil without
	signature  algorithm
	value      []byte
}

func readSignedData(s cryptobyte.String) (*signedData, error) {
	var version int
	var digests, encap, certs, signers cryptobyte.String
	var content cryptobyte.String
	var kind asn1.ObjectIdentifier
	var hasContent, hasCerts bool
	if !s.ReadASN1Integer(&version) || !s.ReadASN1(&digests, tags.SET) || !s.ReadASN1(&encap, tags.SEQUENCE) ||
		!encap.ReadASN1ObjectIdentifier(&kind) || !encap.ReadOptionalASN1(&content, &hasContent, contextParts(0)) ||
		!s.ReadOptionalASN1(&certs, &hasCerts, contextParts(0)) || !s.SkipOptionalASN1(contextParts(1)) || !s.ReadASN1(&signers, tags.SET) {
		return nil, malformed("signed data")
	}
	if !kind.Equal(oidData) {
		return nil, malformed("what is signed is no message but %v", kind)
	}
	out := &signedData{detached: !hasContent}
	if hasContent {
		var octets cryptobyte.String
		if !content.ReadASN1(&octets, tags.OCTET_STRING) {
			return nil, malformed("signed content")
		}
		out.content = octets
	}
	var err error
	if out.certificates, err = readCertificates(certs); err != nil {
		return nil, err
	}
	for !signers.Empty() {
		var one signerInfo
		if len(out.signers) == maxSigners || !readSignerInfo(&signers, &one) {
			return nil, malformed("signers")
		}
		out.signers = append(out.signers, one)
	}
	return out, nil
}

// readCertificates reads a CertificateSet. What is no X.509 certificate, or none
// that we can read, is passed over: it may belong to another signer.
func readCertificates(s cryptobyte.String) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for n := 0; !s.Empty(); n++ {
		var der cryptobyte.String
		var tag tags.Tag
		if n == maxCertificates || !s.ReadAnyASN1Element(&der, &tag) {
			return nil, malformed("certificates")
		}
		if tag != tags.SEQUENCE {
			continue
		}
		if c, err := x509.ParseCertificate(der); err == nil && keyBits(c.PublicKey) <= maxKeyBits {
			out = append(out, c)
		}
	}
	return out, nil
}

func readSignerInfo(s *cryptobyte.String, out *signerInfo) bool {
	var seq, attrs, value cryptobyte.String
	var version int
	if !s.ReadASN1(&seq, tags.SEQUENCE) || !seq.ReadASN1Integer(&version) || !readCertificateID(&seq, &out.id) || !readAlgorithm(&seq, &out.digest) {
		return false
	}
	if seq.PeekASN1Tag(contextParts(0)) {
		if !seq.ReadASN1Element(&attrs, contextParts(0)) {
			return false
		}
		// Signed is the form with the tag of a SET (RFC 5652 §5.4).
		out.attributes = append([]byte{byte(tags.SET)}, attrs[1:]...)
	}
	ok := readAlgorithm(&seq, &out.signature) && seq.ReadASN1(&value, tags.OCTET_STRING)
	out.value = value
	return ok
}
