package mailets

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mailauth"
	"github.com/mailetd/mailetd/container/mime"
)

// SPF asks whether the host that the mail came from may send for the domain of
// its envelope sender, or for the HELO name when the sender is null (RFC 7208).
// The result goes into the attribute
// org.apache.james.transport.mailets.spf.result: pass, fail, softfail, neutral,
// none, temperror or permerror; the attribute
// org.apache.james.transport.mailets.spf.explanation says why a mail failed and
// is empty otherwise. The mail goes on in any case.
//
//	<mailet match="All" class="SPF">
//	  <addHeader>true</addHeader>
//	  <ignoredNetworks>127.0.0.0/8, 10.0.0.0/8, 2001:db8::/32</ignoredNetworks>
//	</mailet>
//
// Parameters:
//
//   - addHeader (default false): whether to put a Received-SPF field on top.
//   - ignoreLocalIps (default true): whether mail from ignoredNetworks is passed
//     over. It gets no attributes.
//   - ignoredNetworks (default 127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12,
//     192.168.0.0/16): addresses and networks, such as 192.0.2.1 or 2001:db8::/32,
//     or with an IPv4 wildcard, such as 192.168.*.
//   - debug: accepted and of no effect.
//
// Differs from James: RFC 7208 instead of RFC 4408, with its limit for
// names that do not exist; the text that a domain offers with exp= is not
// fetched, the explanation is our own; host names in ignoredNetworks are refused; the
// default of ignoredNetworks covers ::1 too.
type SPF struct {
	dns       mailauth.Resolver
	hostname  string
	addHeader bool
	ignored   []netip.Prefix
}

// Attributes of SPF.
const (
	attrSPFResult      = "org.apache.james.transport.mailets.spf.result"
	attrSPFExplanation = "org.apache.james.transport.mailets.spf.explanation"
)

func newSPF(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		m := &SPF{dns: s.DNS, hostname: s.Hostname, addHeader: p.Bool("addHeader", false)}
		list := p.String("ignoredNetworks", "127.0.0.0/8, ::1, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16")
		for item := range strings.SplitSeq(list, ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			n, err := parseNetwork(item)
			if err != nil {
				p.Fail("ignoredNetworks", err)
			}
			m.ignored = append(m.ignored, n)
		}
		if !p.Bool("ignoreLocalIps", true) {
			m.ignored = nil
		}
		p.Bool("debug", false)
		return m
	}
}

// parseNetwork reads an address, a network with the length of its prefix, or an
// IPv4 network as its first numbers and *.
func parseNetwork(s string) (netip.Prefix, error) {
	if head, ok := strings.CutSuffix(s, ".*"); ok {
		for strings.HasSuffix(head, ".*") {
			head = strings.TrimSuffix(head, ".*")
		}
		n := strings.Count(head, ".") + 1
		if n < 4 {
			s = fmt.Sprintf("%s%s/%d", head, strings.Repeat(".0", 4-n), 8*n)
		}
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	n, err := netip.ParsePrefix(s)
	if err != nil {
		return n, fmt.Errorf("%q is no network such as 192.0.2.0/24, 2001:db8::/32 or 192.168.*", s)
	}
	return n.Masked(), nil
}

// Service checks the sender.
func (s *SPF) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	if a, err := netip.ParseAddr(m.RemoteAddr); err == nil {
		if slices.ContainsFunc(s.ignored, func(n netip.Prefix) bool { return n.Contains(a.Unmap().WithZone("")) }) {
			return nil
		}
	}
	helo := heloOf(m)
	result, err := mailauth.CheckSPF(ctx, s.dns, m.RemoteAddr, helo, m.Sender)
	if err != nil {
		return err
	}
	m.Set(attrSPFResult, result.Result)
	explanation := ""
	if result.Result == "fail" {
		explanation = fmt.Sprintf("%s may not send mail for %s", m.RemoteAddr, result.Domain)
	}
	m.Set(attrSPFExplanation, explanation)
	if s.addHeader {
		m.Message.SetHeader(mime.Add(m.Message.Header(), "Received-SPF", s.receivedSPF(m, helo, result)))
	}
	return nil
}

// heloOf returns the HELO name of the client, or the name of its address.
func heloOf(m *container.Mail) string {
	if helo, ok := m.Attributes.String(container.AttrHELO); ok && helo != "" {
		return helo
	}
	return m.RemoteHost
}

// receivedSPF returns the value of the field (RFC 7208 §9.1).
func (s *SPF) receivedSPF(m *container.Mail, helo string, r mailauth.SPF) string {
	identity := "mailfrom"
	if m.Sender.IsNull() {
		identity = "helo"
	}
	comment := map[string]string{
		"pass": "is a permitted sender of", "fail": "is not permitted to send for", "softfail": "is probably not permitted to send for",
		"neutral": "may or may not send for", "none": "is not known to the policy of",
		"temperror": "could not be checked now against the policy of", "permerror": "cannot be checked against the policy of",
	}[r.Result]
	v := fmt.Sprintf("%s (%s: %s %s %s) client-ip=%s; envelope-from=%s; helo=%s; identity=%s; receiver=%s",
		r.Result, commentText(s.hostname), commentText(m.RemoteAddr), comment, commentText(r.Domain),
		quote(m.RemoteAddr), quote(m.Sender.String()), quote(helo), identity, s.hostname)
	if strings.HasSuffix(r.Result, "error") {
		v += "; problem=" + quote(r.Reason)
	}
	return v
}

// commentText makes text fit for a comment in a header (RFC 5322 §3.2.2).
func commentText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`()\`, r) {
			return '?'
		}
		return r
	}, s)
}

// quote returns text as a quoted string (RFC 5322 §3.2.4).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(mime.Clean(s)) + `"`
}
