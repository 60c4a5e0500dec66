package matchers

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// IsSMIMEEncrypted matches messages that say they are encrypted with S/MIME, by
// their own Content-Type: application/pkcs7-mime, or application/x-pkcs7-mime, with
// the parameter smime-type enveloped-data or authEnveloped-data.
//
//	<mailet match="org.apache.james.transport.matcher.IsSMIMEEncrypted" class="Null"/>
//
// Condition: none.
//
// Differs from James: the parameter may stand in quotes and its case does not
// count; authEnveloped-data (RFC 8551) is known; the name without package is
// known, too.
type IsSMIMEEncrypted struct{}

func newIsSMIMEEncrypted(string) (container.Matcher, error) { return &IsSMIMEEncrypted{}, nil }

// Match returns all recipients when the message says it is encrypted.
func (*IsSMIMEEncrypted) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	_, t := smimeType(m)
	if t.Main != "application/pkcs7-mime" && t.Main != "application/x-pkcs7-mime" {
		return nil, nil
	}
	kind, _ := t.Param("smime-type")
	return container.All(m, strings.EqualFold(kind, "enveloped-data") || strings.EqualFold(kind, "authEnveloped-data")), nil
}
