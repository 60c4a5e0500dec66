package mailets

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mailauth"
)

// DKIMVerify checks the DKIM signatures of the message (RFC 6376) and writes
// down what came of it: the attribute jDKIM.AUTHRESULT is one of
//
//	neutral (no signatures)
//	pass (identity @example.org) (identity @lists.example.net)
//	fail (identity@example.org:body hash did not verify)
//
// and jDKIM.AUTHRESULT.FLAG is true for pass, false for fail, and not there when
// nothing is signed. One valid signature is enough to pass. The mail goes on in
// any case.
//
//	<mailet match="All" class="DKIMVerify">
//	  <forceCRLF>true</forceCRLF>
//	</mailet>
//	<mailet match="HasMailAttributeWithValue=jDKIM.AUTHRESULT.FLAG, false" class="ToProcessor">
//	  <processor>spam</processor>
//	</mailet>
//
// Parameters:
//
//   - forceCRLF (default true): accepted and of no effect. Messages are kept
//     with CRLF line ends, and that is how they are signed.
//
// Differs from James: the eight topmost signatures are looked at, no more;
// signatures by SHA-1, by RSA keys below 1024 bits (RFC 8301) or over a part of
// the body (l=) are not valid; the words after the colon are other ones, and
// begin with "temporary:" when the key could not be looked up.
type DKIMVerify struct{ dns mailauth.Resolver }

// Attributes of DKIMVerify.
const (
	attrDKIMResult = "jDKIM.AUTHRESULT"
	attrDKIMFlag   = "jDKIM.AUTHRESULT.FLAG"
)

func newDKIMVerify(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		p.Bool("forceCRLF", true)
		return &DKIMVerify{s.DNS}
	}
}

// Service sets the two attributes.
func (d *DKIMVerify) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	list, err := mailauth.VerifyDKIM(ctx, d.dns, &m.Message)
	if err != nil {
		return err
	}
	result, flag, signed := jamesResult(list)
	m.Set(attrDKIMResult, result)
	delete(m.Attributes, attrDKIMFlag)
	if signed {
		m.Set(attrDKIMFlag, flag)
	}
	return nil
}

// jamesResult returns the text and the flag that James would set. Of several
// signatures that are not valid the first is named.
func jamesResult(list []mailauth.Signature) (text string, pass, signed bool) {
	if len(list) == 0 {
		return "neutral (no signatures)", false, false
	}
	var b strings.Builder
	b.WriteString("pass")
	for _, s := range list {
		if s.Valid() {
			fmt.Fprintf(&b, " (identity %s)", s.Identity)
			pass = true
		}
	}
	if pass {
		return b.String(), true, true
	}
	s := list[0]
	who, why := "", s.Reason
	if s.Identity != "" {
		who = "identity" + s.Identity + ":"
	}
	if s.Temporary {
		why = "temporary: " + why
	}
	return "fail (" + who + why + ")", false, true
}
