package smtphooks

import "github.com/mailetd/mailetd/conf"

// SmtpRequireTlsEhloHook announces the REQUIRETLS extension (RFC 8689) in the
// answer to EHLO, to clients that speak TLS.
//
//	<handler class="org.apache.james.smtpserver.tls.SmtpRequireTlsEhloHook"/>
//
// Use it together with SmtpRequireTlsParameterHook and
// SmtpRequireTlsMessageHook.
//
// Parameters: none.
//
// Differs from James: nothing.
type SmtpRequireTlsEhloHook struct{}

func newRequireTLSEhlo(*conf.Params, Services) any { return SmtpRequireTlsEhloHook{} }

// EhloKeywords implements EhloKeywords.
func (SmtpRequireTlsEhloHook) EhloKeywords(s *Session) []string {
	if s.TLSProtocol == "" {
		return nil
	}
	return []string{"REQUIRETLS"}
}
