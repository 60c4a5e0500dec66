package smtphooks

import "github.com/mailetd/mailetd/conf"

// DSNEhloHook announces the DSN extension (RFC 3461) in the answer to EHLO.
//
//	<handler class="org.apache.james.smtpserver.dsn.DSNEhloHook"/>
//
// Use it together with DSNMailParameterHook, DSNRcptParameterHook and
// DSNMessageHook.
//
// Parameters: none.
//
// Differs from James: nothing.
type DSNEhloHook struct{}

func newDSNEhlo(*conf.Params, Services) any { return DSNEhloHook{} }

// EhloKeywords implements EhloKeywords.
func (DSNEhloHook) EhloKeywords(*Session) []string { return []string{"DSN"} }
