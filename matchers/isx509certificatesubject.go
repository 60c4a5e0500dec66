package matchers

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// IsX509CertificateSubject matches mails with an attribute that holds a
// certificate whose subject has a text in it. SMIMECheckSignature leaves the
// certificates of good signatures there, SMIMEDecrypt its own.
//
//	<mailet match="org.apache.james.transport.matcher.IsX509CertificateSubject=org.apache.james.SMIMECheckSignature;O=Example Inc" class="Null"/>
//
// Condition: ATTRIBUTE;TEXT. The attribute is one certificate in DER form, or a list
// of them. The subject is written as RFC 2253 has it, last element first:
// EMAILADDRESS=bob@example.com,CN=Bob,O=Example Inc,C=US, with or without a blank
// behind each comma; a comma within a value has a backslash. The case of the text
// counts, blanks at its ends too. What is looked for may stand in another value as
// well: a name is whatever the authority let its owner choose.
//
// Differs from James: the attribute of SMIMECheckSignature can be read, on which
// James fails; a text at the very beginning of the subject is found, too; what is no
// certificate does not match; an empty text is refused; the name without package is known, too.
type IsX509CertificateSubject struct{ attribute, text string }

func newIsX509CertificateSubject(condition string) (container.Matcher, error) {
	name, text, ok := strings.Cut(condition, ";")
	if name = strings.TrimSpace(name); !ok || name == "" || strings.TrimSpace(text) == "" {
		return nil, errors.New("want ATTRIBUTE;TEXT")
	}
	return &IsX509CertificateSubject{name, text}, nil
}

// Match returns all recipients when a certificate has the text in its subject.
func (x *IsX509CertificateSubject) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	list, ok := m.Attributes[x.attribute].([]container.Value)
	if !ok {
		list = []container.Value{m.Attributes[x.attribute]}
	}
	for _, v := range list {
		der, ok := v.([]byte)
		if !ok {
			continue
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			continue
		}
		if forms := subjects(c); strings.Contains(forms[0], x.text) || strings.Contains(forms[1], x.text) {
			return m.Recipients, nil
		}
	}
	return nil, nil
}

// subjects returns the subject in two forms: that of RFC 2253, and that of Java,
// which has a blank behind each comma. Both name the e-mail address, for which
// RFC 2253 has no name.
func subjects(c *x509.Certificate) [2]string {
	var names pkix.RDNSequence
	if _, err := asn1.Unmarshal(c.RawSubject, &names); err != nil {
		return [2]string{}
	}
	var parts []string
	for _, set := range slices.Backward(names) {
		for _, n := range set {
			prefix := ""
			if n.Type.Equal(oidEmail) {
				prefix, n.Type = "EMAILADDRESS=", oidCommonName // it is written, and escaped, like a name
			}
			text := pkix.RDNSequence{{n}}.String()
			if prefix != "" {
				text = prefix + strings.TrimPrefix(text, "CN=")
			}
			parts = append(parts, text)
		}
	}
	return [2]string{strings.Join(parts, ","), strings.Join(parts, ", ")}
}

var (
	oidEmail      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}
)
