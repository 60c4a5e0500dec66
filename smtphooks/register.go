package smtphooks

import "github.com/mailetd/mailetd/conf"

// Packages of James's handler classes.
const (
	james    = "org.apache.james.smtpserver."
	protocol = "org.apache.james.protocols.smtp.core."
	api      = "org.apache.james.protocols.api.handler."

	ours = "com.github.mailetd." // classes that James does not have

	pkgCrowdsec     = "org.apache.james.crowdsec."
	pkgSpamAssassin = "org.apache.james.spamassassin."
)

// register adds every handler of this package. One line each, sorted.
func register(r *Registry) {
	r.Handler(ours+"DeliverByHook", newDeliverBy)
	r.Handler(james+"AddDefaultAttributesMessageHook", newAddDefaultAttributes)
	r.Handler(james+"AuthRequiredHook", newAuthRequired)
	r.Handler(james+"AuthRequiredToRelayRcptHook", newAuthRequiredToRelay)
	r.Handler(james+"ConfigurationAuthHook", newConfigurationAuth)
	r.Handler(james+"DKIMHook", newDKIM)
	r.Handler(james+"EnforceHeaderLimitationsMessageHook", newEnforceHeaderLimitations)
	r.Handler(james+"MailPriorityHandler", newMailPriority)
	r.Handler(james+"POP3BeforeSMTPHandler", newPOP3BeforeSMTP)
	r.Handler(james+"SendMailHandler", newSendMail)
	r.Handler(james+"SenderAuthIdentifyVerificationHook", newSenderAuthIdentifyVerification)
	r.Handler(james+"SetMailAttributeMessageHook", newSetMailAttribute)
	r.Handler(james+"SetMimeHeaderHandler", newSetMimeHeader)
	r.Handler(james+"UsersRepositoryAuthHook", newUsersRepositoryAuth)
	r.Handler(james+"dsn.DSNEhloHook", newDSNEhlo)
	r.Handler(james+"dsn.DSNMailParameterHook", newDSNMailParameter)
	r.Handler(james+"dsn.DSNMessageHook", newDSNMessage)
	r.Handler(james+"dsn.DSNRcptParameterHook", newDSNRcptParameter)
	r.Handler(james+"fastfail.AllowedUnauthenticatedSender", newAllowedUnauthenticatedSender)
	r.Handler(james+"fastfail.DNSRBLHandler", newDNSRBL)
	r.Handler(james+"fastfail.JDBCGreylistHandler", newJDBCGreylist)
	r.Handler(james+"fastfail.MaxRcptHandler", newMaxRcpt)
	r.Handler(james+"fastfail.MaxUnknownCmdHandler", newMaxUnknownCmd)
	r.Handler(james+"fastfail.ResolvableEhloHeloHandler", newResolvableEhloHelo)
	r.Handler(james+"fastfail.ReverseEqualsEhloHeloHandler", newReverseEqualsEhloHelo)
	r.Handler(james+"fastfail.SPFHandler", newSPFHandler)
	r.Handler(james+"fastfail.SpamTrapHandler", newSpamTrap)
	r.Handler(james+"fastfail.URIRBLHandler", newURIRBL)
	r.Handler(james+"fastfail.ValidRcptHandler", newValidRcpt)
	r.Handler(james+"fastfail.ValidRcptMX", newValidRcptMX)
	r.Handler(james+"fastfail.ValidSenderDomainHandler", newValidSenderDomain)
	r.Handler(james+"futurerelease.FutureReleaseEHLOHook", newFutureReleaseEhlo)
	r.Handler(james+"futurerelease.FutureReleaseMailParameterHook", newFutureReleaseMailParameter)
	r.Handler(james+"netty.MaxConnectionLifespanHandler", newMaxConnectionLifespan)
	r.Handler(james+"priority.SmtpMtPriorityEhloHook", newMtPriorityEhlo)
	r.Handler(james+"priority.SmtpMtPriorityMessageHook", newMtPriorityMessage)
	r.Handler(james+"priority.SmtpMtPriorityParameterHook", newMtPriorityParameter)
	r.Handler(james+"smtputf8.SmtpUtf8MailHook", newSMTPUTF8Mail)
	r.Handler(james+"smtputf8.SmtpUtf8RcptHook", newSMTPUTF8Rcpt)
	r.Handler(james+"tls.EnforceMtaSts", newEnforceMtaSts)
	r.Handler(james+"tls.SmtpRequireTlsEhloHook", newRequireTLSEhlo)
	r.Handler(james+"tls.SmtpRequireTlsMessageHook", newRequireTLSMessage)
	r.Handler(james+"tls.SmtpRequireTlsParameterHook", newRequireTLSParameter)
	r.Handler(james+"tls.TestMtaSts", newTestMtaSts)
	r.Handler(pkgCrowdsec+"CrowdsecEhloHook", newCrowdsecEhlo)
	r.Handler(pkgCrowdsec+"CrowdsecSMTPConnectHandler", newCrowdsecConnect)
	r.Handler(pkgSpamAssassin+"SpamAssassinHandler", newSpamAssassin)
	r.Handler(protocol+"AcceptRecipientIfRelayingIsAllowed", newAcceptRecipientIfRelaying)
	r.Handler(protocol+"PostmasterAbuseRcptHook", newPostmasterAbuse)
	r.Handler(protocol+"esmtp.AuthCmdHandler", newAuthCommand)
	r.Handler(protocol+"fastfail.SupressDuplicateRcptHandler", newSupressDuplicateRcpt)
	for _, class := range builtIn {
		r.Handler(class, newCommandHandler)
	}
	r.Bundle(james+"CoreCmdHandlerLoader", coreBundle)
	r.Bundle(james+"NoAuthCmdHandlerLoader", noAuthBundle)
	r.Bundle(james+"jmx.JMXHandlersLoader", nil)
	registerLMTP(r)
}

// newCommandHandler makes the handlers that are part of the command loop.
func newCommandHandler(*conf.Params, Services) any { return commandHandler{} }

func newAuthCommand(*conf.Params, Services) any { return commandHandler{auth: true} }

// builtIn are the handlers whose work the command loop does in any case.
var builtIn = []string{
	james + "DataLineJamesMessageHookHandler", james + "JamesDataCmdHandler", james + "JamesMailCmdHandler",
	james + "JamesRcptCmdHandler", james + "JamesWelcomeMessageHandler",
	protocol + "ExpnCmdHandler", protocol + "HeloCmdHandler", protocol + "HelpCmdHandler", protocol + "NoopCmdHandler",
	protocol + "QuitCmdHandler", protocol + "ReceivedDataLineFilter", protocol + "RsetCmdHandler",
	protocol + "UnknownCmdHandler", protocol + "VrfyCmdHandler", protocol + "esmtp.EhloCmdHandler",
	protocol + "esmtp.MailSizeEsmtpExtension", protocol + "esmtp.StartTlsCmdHandler", protocol + "log.HookResultLogger",
	api + "CommandDispatcher", api + "CommandHandlerResultLogger",
}

// coreBundle and noAuthBundle are the policy classes of James's bundles, in
// their order; the command handlers among them are the server's own, save AUTH.
var (
	coreBundle = []string{
		protocol + "esmtp.AuthCmdHandler",
		james + "AuthRequiredToRelayRcptHook", james + "SenderAuthIdentifyVerificationHook",
		james + "AuthRequiredHook", protocol + "PostmasterAbuseRcptHook",
		james + "AddDefaultAttributesMessageHook", james + "SendMailHandler",
	}
	noAuthBundle = []string{
		james + "AuthRequiredToRelayRcptHook", james + "SenderAuthIdentifyVerificationHook",
		protocol + "PostmasterAbuseRcptHook",
		james + "AddDefaultAttributesMessageHook", james + "SendMailHandler",
	}
)

// examples are the handler classes of James that show how to write one, and what
// to do about each. They are of no use in a server.
var examples = map[string]string{
	"org.apache.james.examples.LoggingRcptHook":    "an example of James, which writes each recipient to its log; the log has them in any case: remove the <handler>",
	"org.apache.james.examples.MyNoopCmdHandler":   "an example of James, which answers a command MYNOOP: remove the <handler>",
	"org.apache.james.examples.MyCmdHandlerLoader": "an example of James, a bundle with its example of a command; remove it: without coreHandlersPackage the usual handlers are taken",
}

// validRcptHandlers are classes of others that do what ValidRcptHandler does, and
// more.
var validRcptHandlers = []string{
	"com.linagora.tmail.smtp.TMailValidRcptHandler", "com.foilen.james.components.handler.fastfail.ValidRcptHandler",
}
