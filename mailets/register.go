package mailets

import (
	"log/slog"
	"net/netip"
	"os"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/metrics"
	"github.com/mailetd/mailetd/mailets/bayes"
	"github.com/mailetd/mailetd/mailets/mailbox"
	"github.com/mailetd/mailetd/mailets/ratelimit"
	"github.com/mailetd/mailetd/mailets/smime"
	"github.com/mailetd/mailetd/repository"
)

// Services is what mailets need of the server. While a configuration is only
// checked, Queues and Local are there but nothing calls them, and neither Sieve nor
// Vacations, which may be nil then. A nil Log, Metrics
// or UseRepository is replaced by one that is of no consequence.
type Services struct {
	Hostname      string // our name: EHLO, Reporting-MTA
	DefaultDomain string
	Postmaster    container.Address
	MailDir       string // folder of the Maildirs
	Local         *local.Directory
	DNS           dns.Resolver
	Queues        repository.Queues
	Repositories  repository.Repositories // what the mailets that read repositories ask; see Queues
	Words         bayes.Storage           // what BayesianAnalysis learned; see Queues
	Sieve         local.SieveStorage
	Vacations     local.VacationStorage
	Metrics       *metrics.Set
	Log           *slog.Logger
	// Mailboxes is told where mailboxes are; nil does not want to know.
	Mailboxes *mailbox.Usage
	// Rates keeps the counters of rate limits; nil keeps them in memory.
	Rates ratelimit.Backend
	// Self reports whether this server itself receives mail at an address; it must
	// not block. Nil knows of none.
	Self func(netip.AddrPort) bool
	// UseRepository notes that a mailet stores into a repository, which the
	// server then creates before it starts. It refuses bad URLs.
	UseRepository func(url string) error
	// ReadFile reads what a reference in the configuration names, such as
	// file://conf/key.pem. Nil: relative to the working directory.
	ReadFile func(url string) ([]byte, error)

	smime *smime.Gate // of all that read S/MIME
}

const (
	james        = container.MailetPackage
	jmapFilter   = "org.apache.james.jmap.mailet.filter."
	jmapMailet   = "org.apache.james.jmap.mailet."
	spamassassin = "org.apache.james.spamassassin."
	rspamd       = "org.apache.james.rspamd."
	clamav       = "org.apache.james.clamav."
	classic      = "org.apache.james.ai.classic."
	jdkim        = "org.apache.james.jdkim.mailets."
	ours         = "com.github.mailetd." // classes that James does not have
)

// Register adds every mailet of this package to r. One line each, sorted.
func Register(r *container.Registry, s Services) {
	s = withDefaults(s)
	r.Mailet(classic+"BayesianAnalysis", newBayesianAnalysis(s))
	r.Mailet(classic+"BayesianAnalysisFeeder", newBayesianAnalysisFeeder(s))
	r.Mailet(clamav+"ClamAVScan", newClamAVScan(s))
	r.Mailet(jdkim+"ConvertTo7Bit", newConvertTo7Bit(s.Hostname))
	r.Mailet(jdkim+"DKIMSign", newDKIMSign(s))
	r.Mailet(jdkim+"DKIMVerify", newDKIMVerify(s))
	r.Mailet(jdkim+"EncapsulatedDKIMSign", newEncapsulatedDKIMSign(s))
	r.Mailet(jmapFilter+"JMAPFiltering", newJMAPFiltering)
	r.Mailet(jmapMailet+"ExtractMDNOriginalJMAPMessageId", newExtractMDNOriginalJMAPMessageID)
	r.Mailet(jmapMailet+"TextCalendarBodyToAttachment", newTextCalendarBodyToAttachment)
	r.Mailet(ours+"LMTPDelivery", newLMTPDelivery(s))
	r.Mailet(ours+"Pipe", newPipe(s))
	r.Mailet(ours+"ToMaildir", newToMaildir(s))
	r.Mailet(ours+"Webhook", newWebhook(s))
	r.Mailet(rspamd+"RspamdScanner", newRspamdScanner(s))
	r.Mailet(spamassassin+"SpamAssassin", newSpamAssassin(s))
	r.Mailet(james+"AddDeliveredToHeader", newAddDeliveredToHeader)
	r.Mailet(james+"AddFooter", newAddFooter(s.Log))
	r.Mailet(james+"AddSubjectPrefix", newAddSubjectPrefix)
	r.Mailet(james+"BayesianAnalysis", newBayesianAnalysis(s))
	r.Mailet(james+"BayesianAnalysisFeeder", newBayesianAnalysisFeeder(s))
	r.Mailet(james+"AmqpForwardAttribute", newAmqpForwardAttribute(s.Log))
	r.Mailet(james+"Bounce", newBounce(s))
	r.Mailet(james+"ClamAVScan", newClamAVScan(s))
	r.Mailet(james+"ClassifyBounce", newClassifyBounce)
	r.Mailet(james+"ContactExtractor", newContactExtractor)
	r.Mailet(james+"ConvertTo7Bit", newConvertTo7Bit(s.Hostname))
	r.Mailet(james+"DKIMSign", newDKIMSign(s))
	r.Mailet(james+"DKIMVerify", newDKIMVerify(s))
	r.Mailet(james+"DMARC", newDMARC(s))
	r.Mailet(james+"DSNBounce", newDSNBounce(s))
	r.Mailet(james+"DeconnectionRight", newDeconnectionRight)
	r.Mailet(james+"EncapsulatedDKIMSign", newEncapsulatedDKIMSign(s))
	r.Mailet(james+"Expires", newExpires)
	r.Mailet(james+"ExtractMDNOriginalJMAPMessageId", newExtractMDNOriginalJMAPMessageID)
	r.Mailet(james+"FoldLongLines", newFoldLongLines)
	r.Mailet(james+"Forward", newForward(s))
	r.Mailet(james+"FromRepository", newFromRepository(s))
	r.Mailet(james+"GlobalRateLimit", newGlobalRateLimit(s))
	r.Mailet(james+"HeadersToHTTP", newHeadersToHTTP(s.Log))
	r.Mailet(james+"ICALToHeader", newICALToHeader(s.Log))
	r.Mailet(james+"ICALToJsonAttribute", newICALToJsonAttribute(s.Log))
	r.Mailet(james+"ICSSanitizer", newICSSanitizer(s.Log))
	r.Mailet(james+"ICalendarParser", newICalendarParser(s.Log))
	r.Mailet(james+"JMAPFiltering", newJMAPFiltering)
	r.Mailet(james+"LMTPDelivery", newLMTPDelivery(s))
	r.Mailet(james+"LocalDelivery", newLocalDelivery(s))
	r.Mailet(james+"LogMessage", newLogMessage(s.Log))
	r.Mailet(james+"MailAttributesListToMimeHeaders", newMailAttributesListToMimeHeaders(s.Log))
	r.Mailet(james+"MailAttributesToMimeHeaders", newMailAttributesToMimeHeaders)
	r.Mailet(james+"MailToAllUsers", newMailToAllUsers(s.Local))
	r.Mailet(james+"ManageSieveMailet", newManageSieveMailet(s))
	r.Mailet(james+"MetricsMailet", newMetricsMailet(s.Metrics))
	r.Mailet(james+"MimeDecodingMailet", newMimeDecodingMailet(s.Log))
	r.Mailet(james+"NotifyPostmaster", newNotifyPostmaster(s))
	r.Mailet(james+"NotifySender", newNotifySender(s))
	r.Mailet(james+"Null", newNull)
	r.Mailet(james+"OnlyText", newOnlyText)
	r.Mailet(james+"PerRecipientRateLimit", newPerRecipientRateLimit(s))
	r.Mailet(james+"PerSenderRateLimit", newPerSenderRateLimit(s))
	r.Mailet(james+"Pipe", newPipe(s))
	r.Mailet(james+"PostmasterAlias", newPostmasterAlias(s.Local, s.Postmaster))
	r.Mailet(james+"PropagateError", newPropagateError)
	r.Mailet(james+"RandomStoring", newRandomStoring(s))
	r.Mailet(james+"RecipientRewriteTable", newRecipientRewriteTable(s))
	r.Mailet(james+"RecipientToLowerCase", newRecipientToLowerCase)
	r.Mailet(james+"RecoverAttachment", newRecoverAttachment(s.Log))
	r.Mailet(james+"Redirect", newRedirect(s))
	r.Mailet(james+"RemoteDelivery", newRemoteDelivery(s))
	r.Mailet(james+"RemoveAllMailAttributes", newRemoveAllMailAttributes)
	r.Mailet(james+"RemoveMailAttribute", newRemoveMailAttribute)
	r.Mailet(james+"RemoveMimeHeader", newRemoveMimeHeader)
	r.Mailet(james+"RemoveMimeHeaderByPrefix", newRemoveMimeHeaderByPrefix)
	r.Mailet(james+"ReplaceContent", newReplaceContent(s.Log))
	r.Mailet(james+"Requeue", newRequeue)
	r.Mailet(james+"Resend", newResend(s))
	r.Mailet(james+"RspamdScanner", newRspamdScanner(s))
	r.Mailet(james+"SMIMECheckSignature", newSMIMECheckSignature(s))
	r.Mailet(james+"SMIMEDecrypt", newSMIMEDecrypt(s))
	r.Mailet(james+"SMIMESign", newSMIMESign(s))
	r.Mailet(james+"SPF", newSPF(s))
	r.Mailet(james+"SanitizeMimeMessageId", newSanitizeMimeMessageID(s.Hostname))
	r.Mailet(james+"SaveMailNameInHeaders", newSaveMailNameInHeaders)
	r.Mailet(james+"SerialiseToHTTP", newSerialiseToHTTP(s.Log))
	r.Mailet(james+"ServerTime", newServerTime(s.Hostname))
	r.Mailet(james+"SetErrorMessage", newSetErrorMessage)
	r.Mailet(james+"SetMailAttribute", newSetMailAttribute)
	r.Mailet(james+"SetMimeHeader", newSetMimeHeader)
	r.Mailet(james+"Sieve", newSieve(s))
	r.Mailet(james+"Sign", newSign(s))
	r.Mailet(james+"SpamAssassin", newSpamAssassin(s))
	r.Mailet(james+"SplitMail", newSplitMail)
	r.Mailet(james+"StripAttachment", newStripAttachment(s.Log))
	r.Mailet(james+"SubAddressing", newSubAddressing(s))
	r.Mailet(james+"TextCalendarBodyToAttachment", newTextCalendarBodyToAttachment)
	r.Mailet(james+"ToMaildir", newToMaildir(s))
	r.Mailet(james+"ToPlainText", newToPlainText)
	r.Mailet(james+"ToProcessor", newToProcessor)
	r.Mailet(james+"ToRecipientFolder", newToRecipientFolder(s))
	r.Mailet(james+"ToRepository", newToRepository(s.UseRepository))
	r.Mailet(james+"ToSenderDomainRepository", newToSenderDomainRepository(s))
	r.Mailet(james+"ToSenderFolder", newToSenderFolder(s))
	r.Mailet(james+"UnwrapText", newUnwrapText)
	r.Mailet(james+"UseHeaderRecipients", newUseHeaderRecipients)
	r.Mailet(james+"VacationMailet", newVacationMailet(s))
	r.Mailet(james+"Webhook", newWebhook(s))
	r.Mailet(james+"WithPriority", newWithPriority)
	r.Mailet(james+"WithStorageDirective", newWithStorageDirective(s.Local))
	r.Mailet(james+"WrapText", newWrapText)
	r.Mailet(james+"debug.Counter", newCounter(s.Log))
	r.Mailet(james+"debug.DumpSystemErr", newDumpSystemErr)
	r.Mailet(james+"debug.ExceptionThrowingMailet", newExceptionThrowingMailet)
	r.Mailet(james+"debug.Identity", newIdentity)
	r.Mailet(james+"managesieve.ManageSieveMailet", newManageSieveMailet(s))
}

func withDefaults(s Services) Services {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Metrics == nil {
		s.Metrics = metrics.New()
	}
	if s.Rates == nil {
		s.Rates = ratelimit.NewCounters(nil, s.Log, nil)
	}
	s.smime = smime.NewGate()
	if s.ReadFile == nil {
		s.ReadFile = func(url string) ([]byte, error) { return os.ReadFile(strings.TrimPrefix(url, "file://")) }
	}
	if s.UseRepository == nil {
		s.UseRepository = func(url string) error {
			_, err := repository.ParseURL(url)
			return err
		}
	}
	return s
}
