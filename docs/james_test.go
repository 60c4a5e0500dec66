package docs

import (
	"strings"
	"testing"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets"
	"github.com/mailetd/mailetd/matchers"
)

// jamesMailets and jamesMatchers are all classes of James, by the name that its
// configuration files use.
const (
	jamesMailets = `
AddDeliveredToHeader AddFooter AddSubjectPrefix AmqpForwardAttribute org.apache.james.ai.classic.BayesianAnalysis
org.apache.james.ai.classic.BayesianAnalysisFeeder Bounce org.apache.james.clamav.ClamAVScan ClassifyBounce ContactExtractor
org.apache.james.jdkim.mailets.ConvertTo7Bit DeconnectionRight org.apache.james.jdkim.mailets.DKIMSign
org.apache.james.jdkim.mailets.DKIMVerify org.apache.james.jdkim.mailets.EncapsulatedDKIMSign DSNBounce Expires
org.apache.james.jmap.mailet.ExtractMDNOriginalJMAPMessageId FoldLongLines Forward FromRepository GlobalRateLimit HeadersToHTTP ICALToHeader
ICALToJsonAttribute ICalendarParser ICSSanitizer org.apache.james.jmap.mailet.filter.JMAPFiltering LocalDelivery LogMessage
MailAttributesListToMimeHeaders MailAttributesToMimeHeaders MailToAllUsers managesieve.ManageSieveMailet MetricsMailet MimeDecodingMailet
NotifyPostmaster NotifySender Null OnlyText PerRecipientRateLimit PerSenderRateLimit PostmasterAlias PropagateError RandomStoring
RecipientRewriteTable RecipientToLowerCase RecoverAttachment Redirect RemoteDelivery RemoveAllMailAttributes RemoveMailAttribute
RemoveMimeHeader RemoveMimeHeaderByPrefix ReplaceContent Requeue Resend org.apache.james.rspamd.RspamdScanner SanitizeMimeMessageId
SaveMailNameInHeaders SerialiseToHTTP ServerTime SetErrorMessage SetMailAttribute SetMimeHeader Sieve Sign SMIMESign SMIMECheckSignature
SMIMEDecrypt org.apache.james.spamassassin.SpamAssassin SPF SplitMail StripAttachment SubAddressing
org.apache.james.jmap.mailet.TextCalendarBodyToAttachment ToPlainText ToProcessor ToRepository ToSenderDomainRepository ToSenderFolder
UnwrapText UseHeaderRecipients VacationMailet WithPriority WithStorageDirective WrapText debug.Counter debug.DumpSystemErr
debug.ExceptionThrowingMailet debug.Identity`
	jamesMatchers = `
All org.apache.james.mailetcontainer.impl.matchers.And org.apache.james.mailetcontainer.impl.matchers.Or
org.apache.james.mailetcontainer.impl.matchers.Not org.apache.james.mailetcontainer.impl.matchers.Xor RecipientIs RecipientIsLocal
HostIsLocal HostIs RecipientDomainIs RecipientIsRegex UserIs IsSingleRecipient RecipientCountExceeds TooManyRecipients CommandForListserv
CommandListservMatcher SenderIs SenderIsLocal SenderIsNull SenderIsRegex SenderDomainIs SenderHostIs SenderHostIsLocal IsFromMailingList
SMTPAuthSuccessful SMTPIsAuthNetwork SMTPAuthUserIs SentByMailet org.apache.james.jmap.mailet.SentByJmap RemoteAddrNotInNetwork
RemoteAddrInNetwork org.apache.james.transport.mailets.XOriginatingIpInNetwork InSpammerBlacklist RelayLimit HasMimeType
HasMimeTypeParameter HasMimeTypeAnySubPart PartHasContentType AttachmentFileNameIs HasAttachment HasHeader HasHeaderWithPrefix
CompareNumericHeaderValue SubjectIs SubjectStartsWith SizeGreaterThan TooManyLines FetchedFrom FileRegexMatcher NESSpamCheck
HasMailAttribute HasMailAttributeWithValue HasMailAttributeWithValueRegex AtMost HasException HasPriority AtLeastPriority AtMostPriority
DSNSuccessRequested DSNFailureRequested DSNDelayRequested IsRemoteDeliveryPermanentError IsRemoteDeliveryTemporaryError
RemoteDeliveryFailedWithSMTPCode RecipientHasMXRecord SenderHasMXRecord SenderInFakeDomain IsSenderInRRTLoop IsMarkedAsSpam dlp.Dlp
IsInDropList IsOverQuota org.apache.james.transport.matcher.IsSMIMESigned org.apache.james.transport.matcher.IsSMIMEEncrypted
org.apache.james.transport.matcher.IsX509CertificateSubject HasLDAPAttribute SenderHasLDAPAttribute IsInLDAPGroup SenderIsInLDAPGroup
org.apache.james.examples.custom.mailets.IsDelayedForMoreThan`
)

// explained are the classes of James that are refused at start, and why. The
// message of the registry must say as much.
var explained = map[string]string{}

// inertMailets and inertMatchers are those that load and do nothing. Each says why, once at start.
var inertMailets = map[string]bool{
	"org.apache.james.jmap.mailet.ExtractMDNOriginalJMAPMessageId": true,
	"org.apache.james.jmap.mailet.filter.JMAPFiltering":            true,
}

var inertMatchers = map[string]bool{
	"org.apache.james.jmap.mailet.SentByJmap": true,
}

// Every class of James does what it does there, or says why it does not.
func TestAllOfJames(t *testing.T) {
	reg := container.NewRegistry()
	mailets.Register(reg, mailets.Services{})
	matchers.Register(reg, matchers.Services{})
	for _, tc := range []struct {
		kind, pkg, list string
		count           int
		known           []string
	}{
		{"mailet", container.MailetPackage, jamesMailets, 91, reg.MailetNames()},
		{"matcher", container.MatcherPackage, jamesMatchers, 81, reg.MatcherNames()},
	} {
		known := map[string]bool{}
		for _, name := range tc.known {
			known[name] = true
		}
		names := strings.Fields(tc.list)
		if len(names) != tc.count {
			t.Errorf("James has %d %s classes, the list %d", tc.count, tc.kind, len(names))
		}
		for _, name := range names {
			_, refused := explained[name]
			if is := known[name] || known[tc.pkg+name]; is == refused {
				t.Errorf("%s %s: known %t, listed as refused %t", tc.kind, name, is, refused)
			}
		}
	}
	for name := range explained {
		if _, err := reg.NewMailet(name, conf.ParseParams("<mailet/>", &conf.Report{})); err == nil || !strings.Contains(err.Error(), "this server does not") {
			t.Errorf("%s is not explained: %v", name, err)
		}
	}
}

// What has no effect says so, and nothing else does.
func TestInert(t *testing.T) {
	for dir, list := range map[string]map[string]bool{"../mailets": inertMailets, "../matchers": inertMatchers} {
		inert := inertTypes(t, dir)
		for name := range list {
			class := name[strings.LastIndexByte(name, '.')+1:]
			if !inert[class] {
				t.Errorf("%s is not inert", name)
			}
			delete(inert, class)
		}
		for class := range inert {
			t.Errorf("%s is inert and not in the list", class)
		}
	}
}
