package smtphooks

import "github.com/mailetd/mailetd/conf"

// SmtpMtPriorityEhloHook announces the MT-PRIORITY extension (RFC 6710) in the
// answer to EHLO.
//
//	<handler class="org.apache.james.smtpserver.priority.SmtpMtPriorityEhloHook"/>
//
// Use it together with SmtpMtPriorityParameterHook and
// SmtpMtPriorityMessageHook.
//
// Parameters: none.
//
// Differs from James: nothing.
type SmtpMtPriorityEhloHook struct{}

func newMtPriorityEhlo(*conf.Params, Services) any { return SmtpMtPriorityEhloHook{} }

// EhloKeywords implements EhloKeywords.
func (SmtpMtPriorityEhloHook) EhloKeywords(*Session) []string { return []string{"MT-PRIORITY"} }
