package smtphooks

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mailetd/mailetd/conf"
)

// DSNRcptParameterHook takes the parameters NOTIFY and ORCPT of RCPT (RFC 3461
// §4.1, §4.2).
//
//	<handler class="org.apache.james.smtpserver.dsn.DSNRcptParameterHook"/>
//
// NOTIFY is NEVER, or a comma list of SUCCESS, FAILURE and DELAY, in any case.
// ORCPT is an address type, a semicolon and the address as xtext, kept as
// received; with SMTPUTF8 an address of type utf-8 may be UTF-8 (RFC 6533).
//
// Parameters: none.
//
// Differs from James: every address type is taken, not only rfc822 in lower
// case, and the address need not have the form of one. A bad value, a repeated
// parameter, or an ORCPT that decodes to control characters is refused with 501
// 5.5.4; James answers 451.
type DSNRcptParameterHook struct{}

func newDSNRcptParameter(*conf.Params, Services) any { return DSNRcptParameterHook{} }

// RcptParams implements RcptParams.
func (DSNRcptParameterHook) RcptParams() []string { return []string{"NOTIFY", "ORCPT"} }

// Rcpt implements RcptHook. It only judges: DSNMessageHook reads the parameters
// of the recipients that were accepted.
func (DSNRcptParameterHook) Rcpt(_ context.Context, s *Session, rcpt Recipient) Decision {
	seen := map[string]bool{}
	for _, p := range rcpt.Params {
		if p.Name != "NOTIFY" && p.Name != "ORCPT" {
			continue
		}
		if seen[p.Name] {
			return badParam(p.Name + " given twice")
		}
		seen[p.Name] = true
		if p.Name == "NOTIFY" {
			if _, ok := parseNotify(p.Value); !ok {
				return badParam("NOTIFY must be NEVER or a list of SUCCESS, FAILURE and DELAY")
			}
		} else if _, _, ok := parseOrcpt(p.Value, s.Tx.UTF8); !ok {
			return badParam("ORCPT must be an address type, a semicolon and xtext")
		}
	}
	return Decision{}
}

var notifyWords = []string{"NEVER", "SUCCESS", "FAILURE", "DELAY"}

// parseNotify returns the words of a NOTIFY value in James's order.
func parseNotify(v string) (string, bool) {
	words := strings.Split(strings.ToUpper(v), ",")
	var out []string
	for _, w := range words {
		if !slices.Contains(notifyWords, w) {
			return "", false
		}
	}
	for _, w := range notifyWords {
		if slices.Contains(words, w) {
			out = append(out, w)
		}
	}
	if out[0] == "NEVER" && len(out) > 1 {
		return "", false
	}
	return strings.Join(out, ","), true
}

// parseOrcpt splits an ORCPT value into type and address, both as received.
func parseOrcpt(v string, utf8OK bool) (addrType, addr string, ok bool) {
	addrType, addr, ok = strings.Cut(v, ";")
	if !ok || addrType == "" || addr == "" || strings.ContainsFunc(addrType, notAtom) {
		return "", "", false
	}
	isUTF8 := strings.EqualFold(addrType, "utf-8")
	text, valid := DecodeXtext(addr)
	valid = valid && printable(text)
	if !valid && isUTF8 && utf8OK && utf8.ValidString(addr) && !strings.ContainsAny(addr, " +=") {
		text, valid = addr, true
	}
	if isUTF8 {
		text = decodeEmbedded(text)
	}
	return addrType, addr, valid && text != "" && !hasControl(text)
}

func notAtom(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"[].`, r)
}

// decodeEmbedded replaces \x{HEX} by the characters meant (RFC 6533 §3), so that
// control characters cannot hide there.
func decodeEmbedded(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, `\x{`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		hex, after, closed := strings.Cut(rest, "}")
		n, err := strconv.ParseUint(hex, 16, 32)
		if !closed || err != nil || n > utf8.MaxRune {
			b.WriteString(`\x{`)
			s = rest
			continue
		}
		b.WriteRune(rune(n))
		s = after
	}
}
