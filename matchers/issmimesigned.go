package matchers

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// IsSMIMESigned matches messages that say they are signed, by their own
// Content-Type: multipart/signed (which PGP uses, too), application/pkcs7-signature,
// or application/pkcs7-mime with a parameter that says signed-data; the older
// names with x- count as well. Whether the signature is good is for
// SMIMECheckSignature to say.
//
//	<mailet match="org.apache.james.transport.matcher.IsSMIMESigned" class="Null"/>
//
// Condition: none.
//
// Differs from James: the case of signed-data does not count; the name without
// package is known, too.
type IsSMIMESigned struct{}

func newIsSMIMESigned(string) (container.Matcher, error) { return &IsSMIMESigned{}, nil }

// Match returns all recipients when the message says it is signed.
func (*IsSMIMESigned) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	v, t := smimeType(m)
	switch t.Main {
	case "multipart/signed", "application/pkcs7-signature", "application/x-pkcs7-signature":
		return m.Recipients, nil
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		return container.All(m, strings.Contains(strings.ToLower(v), "signed-data")), nil
	}
	return nil, nil
}

func smimeType(m *container.Mail) (string, mime.Parameterized) {
	v, _ := mime.Get(m.Message.Header(), "Content-Type")
	return v, mime.ParseParameterized(v)
}
