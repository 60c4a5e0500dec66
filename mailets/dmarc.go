package mailets

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mailauth"
	"github.com/mailetd/mailetd/container/mime"
)

// DMARC checks SPF, the DKIM signatures, and whether one of them vouches for the
// domain that the reader sees in From (RFC 7489). It sets two attributes and
// puts an Authentication-Results field (RFC 8601) on top; the mail goes on in
// any case. SPF and DKIMVerify need not run before. Use it for mail from
// outside, as it comes: what a mailing list or a footer changed fails.
//
//	<mailet match="RemoteAddrNotInNetwork=127.0.0.0/8, 10.0.0.0/8" class="DMARC">
//	  <authservId>mx.example.com</authservId>
//	</mailet>
//	<mailet match="HasMailAttributeWithValue=mailetd.dmarc.policy, reject" class="ToProcessor">
//	  <processor>spam</processor>
//	</mailet>
//	<mailet match="HasMailAttributeWithValue=mailetd.dmarc.result, permerror" class="ToProcessor">
//	  <processor>spam</processor>
//	</mailet>
//
// The attribute mailetd.dmarc.result is pass, fail, none (the domain has no
// policy), temperror or permerror (From is missing, or names several domains, or the policy
// cannot be read). The attribute mailetd.dmarc.policy is what the domain's owner
// asks to do with this very mail: quarantine or reject when it fails, else none.
// When the owner asks so for a percentage of failing mail, the others get the
// next milder policy, always the same one for the same mail.
//
// Parameters:
//
//   - authservId (default: the name of this server): name under which the results
//     stand in Authentication-Results. Fields of that name that the mail came
//     with are removed: they are forged, or older.
//   - addHeader (default true): whether to put the field on top.
//
// Differs from James: it has no such mailet.
type DMARC struct {
	dns       mailauth.Resolver
	server    string
	addHeader bool
}

// Attributes of DMARC.
const (
	attrDMARCResult = "mailetd.dmarc.result"
	attrDMARCPolicy = "mailetd.dmarc.policy"
)

func newDMARC(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		d := &DMARC{dns: s.DNS, server: p.String("authservId", s.Hostname), addHeader: p.Bool("addHeader", true)}
		if d.server != pvalue(d.server) {
			p.Fail("authservId", fmt.Errorf("want the name of a host, not %q", d.server))
		}
		return d
	}
}

// Service checks the mail.
func (d *DMARC) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	helo := heloOf(m)
	spf, err := mailauth.CheckSPF(ctx, d.dns, m.RemoteAddr, helo, m.Sender)
	if err != nil {
		return err
	}
	list, err := mailauth.VerifyDKIM(ctx, d.dns, &m.Message)
	if err != nil {
		return err
	}
	result, err := mailauth.CheckDMARC(ctx, d.dns, m.Message.Header(), spf, list)
	if err != nil {
		return err
	}
	m.Set(attrDMARCResult, result.Result)
	m.Set(attrDMARCPolicy, disposition(m.ID, result))
	h := mime.RemoveFunc(m.Message.Header(), func(f mime.Field) bool {
		return f.Is("Authentication-Results") && strings.EqualFold(authservID(f.Value()), d.server)
	})
	if d.addHeader {
		h = mime.Add(h, "Authentication-Results", d.results(m, helo, spf, list, result))
	}
	m.Message.SetHeader(h)
	return nil
}

// disposition is what the owner of the domain asks to do with the mail of an id.
func disposition(id string, r mailauth.DMARC) string {
	if r.Result != "fail" || r.Policy == "" {
		return "none"
	}
	hash := fnv.New32a()
	hash.Write([]byte(id))
	if int(hash.Sum32()%100) < r.Percent {
		return r.Policy
	}
	if r.Policy == "reject" {
		return "quarantine"
	}
	return "none"
}

// authservID returns the name at the beginning of an Authentication-Results
// field, behind comments, without quotes (RFC 8601 §2.2).
func authservID(value string) string {
	value = skipComments(value)
	if quoted, ok := strings.CutPrefix(value, `"`); ok {
		return unquote(quoted)
	}
	if i := strings.IndexAny(value, " \t\r\n;("); i >= 0 {
		value = value[:i]
	}
	return value
}

// skipComments takes blanks and comments, nested ones too, off the front (RFC
// 5322 §3.2.2).
func skipComments(s string) string {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '\\' && depth > 0:
			i++
		case depth == 0 && strings.IndexByte(" \t\r\n", c) < 0:
			return s[i:]
		}
	}
	return ""
}

// unquote returns what stands before the closing quote.
func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// results returns the value of the field (RFC 8601 §2.2).
func (d *DMARC) results(m *container.Mail, helo string, spf mailauth.SPF, list []mailauth.Signature, r mailauth.DMARC) string {
	var b strings.Builder
	b.WriteString(d.server)
	fmt.Fprintf(&b, "; spf=%s%s", spf.Result, reasonOf(spf.Result, spf.Reason))
	if m.Sender.IsNull() {
		property(&b, "smtp.helo", helo)
	} else {
		property(&b, "smtp.mailfrom", m.Sender.String())
	}
	if len(list) == 0 {
		b.WriteString("; dkim=none")
	}
	for _, s := range list {
		result := "pass"
		switch {
		case s.Temporary:
			result = "temperror"
		case !s.Valid():
			result = "fail"
		}
		fmt.Fprintf(&b, "; dkim=%s%s", result, reasonOf(result, s.Reason))
		property(&b, "header.d", s.Domain)
		property(&b, "header.i", s.Identity)
	}
	fmt.Fprintf(&b, "; dmarc=%s%s", r.Result, reasonOf(r.Result, r.Reason))
	property(&b, "header.from", r.Domain)
	if r.Policy != "" {
		property(&b, "policy.published-domain-policy", r.Policy)
	}
	return b.String()
}

// reasonOf returns the reason for a result that needs one.
func reasonOf(result, reason string) string {
	if result == "pass" || result == "none" || reason == "" {
		return ""
	}
	return " reason=" + quote(commentText(reason))
}

// property adds a property with a value from outside.
func property(b *strings.Builder, name, value string) {
	if value = pvalue(value); value != "" {
		fmt.Fprintf(b, " %s=%s", name, value)
	}
}

// pvalue makes text fit to stand without quotes in Authentication-Results: it
// must not end the value, and no other result may begin in it.
func pvalue(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("@._+~-:[]/!#$%&'*^`{|}", r):
			return r
		}
		return '?' // also for "=", so that no careless reader takes a part for a result
	}, s)
}
