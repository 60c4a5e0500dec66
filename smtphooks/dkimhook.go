package smtphooks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mailauth"
	"github.com/mailetd/mailetd/container/mime"
)

// DKIMHook refuses messages without a valid DKIM signature (RFC 6376): all of
// them, or those whose sender is in some domain.
//
//	<handler class="org.apache.james.smtpserver.DKIMHook">
//	  <signatureRequired>true</signatureRequired>
//	  <onlyForSenderDomain>example.com</onlyForSenderDomain>
//	  <validatedEntities>envelope,headers</validatedEntities>
//	  <expectedDToken>example.com</expectedDToken>
//	</handler>
//
// Clients that may relay are left alone. The replies are "530 DKIM check failed.
// Expecting DKIM signatures. Got none.", "530 DKIM check failed. Invalid
// signature.", "530 DKIM check failed. Wrong d token. Expecting [..]. Got [..]"
// and, when a key cannot be looked up now, "451 Failure computing DKIM
// signature." One valid signature is enough.
//
// Parameters:
//
//   - forceCRLF: accepted and of no effect, as messages have CRLF here.
//   - signatureRequired (default true): whether a message without signature is
//     refused.
//   - onlyForSenderDomain: a comma list of domains; without it every message is
//     checked.
//   - validatedEntities (default envelope,headers): what onlyForSenderDomain is
//     compared with: the domain of the sender (envelope), that of the first
//     address of From (headers), or either.
//   - expectedDToken: a comma list of domains. One of the valid signatures must
//     be by one of them.
//
// Differs from James: a message without signature passes with
// signatureRequired=false also when there is an expectedDToken; eight signatures
// are looked at; signatures by SHA-1, by RSA keys below 1024 bits or over a part
// of the body (l=) are not valid; a key that cannot be looked up now is a reason
// for 451, not 530.
type DKIMHook struct {
	s                 Services
	required          bool
	domains, tokens   []string
	envelope, headers bool
}

func newDKIM(p *conf.Params, s Services) any {
	p.Bool("forceCRLF", true)
	h := &DKIMHook{s: s, required: p.Bool("signatureRequired", true), domains: lowerList(p, "onlyForSenderDomain")}
	for word := range strings.SplitSeq(p.String("validatedEntities", "envelope,headers"), ",") {
		switch word = strings.TrimSpace(word); {
		case strings.EqualFold(word, "envelope"):
			h.envelope = true
		case strings.EqualFold(word, "headers"):
			h.headers = true
		default:
			p.Fail("validatedEntities", fmt.Errorf("invalid validated entity '%s'", word))
		}
	}
	h.tokens = lowerList(p, "expectedDToken")
	return h
}

func lowerList(p *conf.Params, name string) []string {
	var out []string
	for _, word := range p.List(name) {
		out = append(out, strings.ToLower(word))
	}
	return out
}

// Message implements MessageHook.
func (h *DKIMHook) Message(ctx context.Context, s *Session, m *container.Mail) Decision {
	if s.Relaying || !h.concerns(m) {
		return Decision{}
	}
	list, err := mailauth.VerifyDKIM(ctx, h.s.DNS, &m.Message)
	if err != nil {
		h.s.Log.WarnContext(ctx, "DKIM signatures not verified", "err", err)
		return Defer(451, "", "Failure computing DKIM signature.")
	}
	if len(list) == 0 {
		if h.required {
			return Refuse(530, "", "DKIM check failed. Expecting DKIM signatures. Got none.")
		}
		return Decision{}
	}
	return h.judge(list)
}

// judge decides about a message with these signatures.
func (h *DKIMHook) judge(list []mailauth.Signature) Decision {
	var valid []string
	temporary := false
	for _, sig := range list {
		temporary = temporary || sig.Temporary
		if sig.Valid() {
			valid = append(valid, sig.Domain)
		}
	}
	expected := len(h.tokens) == 0 || slices.ContainsFunc(valid, func(d string) bool { return slices.Contains(h.tokens, d) })
	switch {
	case len(valid) > 0 && expected:
		return Decision{}
	case temporary:
		return Defer(451, "", "Failure computing DKIM signature.")
	case len(valid) == 0:
		return Refuse(530, "", "DKIM check failed. Invalid signature.")
	}
	return Refuse(530, "", fmt.Sprintf("DKIM check failed. Wrong d token. Expecting [%s]. Got [%s]", strings.Join(h.tokens, ", "), strings.Join(valid, ", ")))
}

// concerns reports whether the message is to be checked.
func (h *DKIMHook) concerns(m *container.Mail) bool {
	if len(h.domains) == 0 || h.envelope && slices.Contains(h.domains, m.Sender.Domain) {
		return true
	}
	from := mime.Addresses(m.Message.Header(), "From")
	return h.headers && len(from) > 0 && slices.Contains(h.domains, from[0].Domain)
}
