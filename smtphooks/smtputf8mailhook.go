package smtphooks

import "github.com/mailetd/mailetd/conf"

// SmtpUtf8MailHook is there for configurations that name it: the server has
// SMTPUTF8 (RFC 6531) without it, unless <disabledFeatures> says otherwise.
//
//	<handler class="org.apache.james.smtpserver.smtputf8.SmtpUtf8MailHook"/>
//
// Parameters: none.
//
// Differs from James: there it announces the extension, and addresses outside
// ASCII are refused all the same.
type SmtpUtf8MailHook struct{}

func newSMTPUTF8Mail(*conf.Params, Services) any { return SmtpUtf8MailHook{} }
