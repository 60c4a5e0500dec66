package matchers

import (
	"log/slog"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/ldap"
	"github.com/mailetd/mailetd/container/local"
)

// Services is what matchers need of the server. A nil Log discards what is
// logged.
type Services struct {
	Local *local.Directory
	DNS   dns.Resolver
	// DropLists are for IsInDropList; nil when they are off, which stops the
	// start of a configuration that uses them.
	DropLists *local.DropLists
	DLP       *local.DLP
	Quotas    *local.Quotas
	// LDAP is for the LDAP matchers; nil without settings, which stops the start of
	// a configuration that uses them.
	LDAP *ldap.Client
	Log  *slog.Logger
}

const (
	james     = container.MatcherPackage
	composite = "org.apache.james.mailetcontainer.impl.matchers."
	jmap      = "org.apache.james.jmap.mailet."
	custom    = "org.apache.james.examples.custom.mailets."
	smime     = "org.apache.james.transport.matcher."
)

// Register adds every matcher of this package to r. One line each, sorted.
func Register(r *container.Registry, s Services) {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	nets := networkParser{s.DNS, s.Log}
	r.Matcher(composite+"And", newAnd)
	r.Matcher(composite+"Not", newNot)
	r.Matcher(composite+"Or", newOr)
	r.Matcher(composite+"Xor", newXor)
	r.Matcher(custom+"IsDelayedForMoreThan", newIsDelayedForMoreThan)
	r.Matcher(jmap+"SentByJmap", newSentByJmap)
	r.Matcher(container.MailetPackage+"XOriginatingIpInNetwork", newXOriginatingIpInNetwork(nets))
	r.Matcher(smime+"IsSMIMEEncrypted", newIsSMIMEEncrypted)
	r.Matcher(smime+"IsSMIMESigned", newIsSMIMESigned)
	r.Matcher(smime+"IsX509CertificateSubject", newIsX509CertificateSubject)
	r.Matcher(james+"All", newAll)
	r.Matcher(james+"And", newAnd)
	r.Matcher(james+"AtLeastPriority", newAtLeastPriority)
	r.Matcher(james+"AtMost", newAtMost)
	r.Matcher(james+"AtMostPriority", newAtMostPriority)
	r.Matcher(james+"AttachmentFileNameIs", newAttachmentFileNameIs)
	r.Matcher(james+"CommandForListserv", newCommandForListserv)
	r.Matcher(james+"CommandListservMatcher", newCommandListservMatcher)
	r.Matcher(james+"CompareNumericHeaderValue", newCompareNumericHeaderValue)
	r.Matcher(james+"DSNDelayRequested", newDSNDelayRequested)
	r.Matcher(james+"DSNFailureRequested", newDSNFailureRequested)
	r.Matcher(james+"DSNSuccessRequested", newDSNSuccessRequested)
	r.Matcher(james+"FetchedFrom", newFetchedFrom)
	r.Matcher(james+"FileRegexMatcher", newFileRegexMatcher)
	r.Matcher(james+"HasAttachment", newHasAttachment)
	r.Matcher(james+"HasException", newHasException(s.Log))
	r.Matcher(james+"HasHeader", newHasHeader)
	r.Matcher(james+"HasHeaderWithPrefix", newHasHeaderWithPrefix)
	r.Matcher(james+"HasLDAPAttribute", newHasLDAPAttribute(s.LDAP))
	r.Matcher(james+"HasMailAttribute", newHasMailAttribute)
	r.Matcher(james+"HasMailAttributeWithValue", newHasMailAttributeWithValue)
	r.Matcher(james+"HasMailAttributeWithValueRegex", newHasMailAttributeWithValueRegex)
	r.Matcher(james+"HasMimeType", newHasMimeType)
	r.Matcher(james+"HasMimeTypeAnySubPart", newHasMimeTypeAnySubPart)
	r.Matcher(james+"HasMimeTypeParameter", newHasMimeTypeParameter)
	r.Matcher(james+"HasPriority", newHasPriority)
	r.Matcher(james+"HostIs", newHostIs)
	r.Matcher(james+"HostIsLocal", newHostIsLocal(s.Local))
	r.Matcher(james+"InSpammerBlacklist", newInSpammerBlacklist(s.DNS, s.Log))
	r.Matcher(james+"IsDelayedForMoreThan", newIsDelayedForMoreThan)
	r.Matcher(james+"IsFromMailingList", newIsFromMailingList)
	r.Matcher(james+"IsInDropList", newIsInDropList(s.DropLists))
	r.Matcher(james+"IsInLDAPGroup", newIsInLDAPGroup(s.LDAP, s.Log))
	r.Matcher(james+"IsMarkedAsSpam", newIsMarkedAsSpam)
	r.Matcher(james+"IsOverQuota", newIsOverQuota(s.Quotas))
	r.Matcher(james+"IsRemoteDeliveryPermanentError", newIsRemoteDeliveryPermanentError)
	r.Matcher(james+"IsRemoteDeliveryTemporaryError", newIsRemoteDeliveryTemporaryError)
	r.Matcher(james+"IsSMIMEEncrypted", newIsSMIMEEncrypted)
	r.Matcher(james+"IsSMIMESigned", newIsSMIMESigned)
	r.Matcher(james+"IsSenderInRRTLoop", newIsSenderInRRTLoop(s.Local, s.Log))
	r.Matcher(james+"IsSingleRecipient", newIsSingleRecipient)
	r.Matcher(james+"IsX509CertificateSubject", newIsX509CertificateSubject)
	r.Matcher(james+"NESSpamCheck", newNESSpamCheck)
	r.Matcher(james+"NextHopLacksDSN", newNextHopLacksDSN)
	r.Matcher(james+"Not", newNot)
	r.Matcher(james+"Or", newOr)
	r.Matcher(james+"PartHasContentType", newPartHasContentType)
	r.Matcher(james+"RecipientCountExceeds", newRecipientCountExceeds)
	r.Matcher(james+"RecipientDomainIs", newRecipientDomainIs)
	r.Matcher(james+"RecipientHasMXRecord", newRecipientHasMXRecord(s.DNS, s.Log))
	r.Matcher(james+"RecipientIs", newRecipientIs)
	r.Matcher(james+"RecipientIsLocal", newRecipientIsLocal(s.Local))
	r.Matcher(james+"RecipientIsRegex", newRecipientIsRegex)
	r.Matcher(james+"RelayLimit", newRelayLimit(s.Log))
	r.Matcher(james+"RemoteAddrInNetwork", newRemoteAddrInNetwork(nets))
	r.Matcher(james+"RemoteAddrNotInNetwork", newRemoteAddrNotInNetwork(nets))
	r.Matcher(james+"RemoteDeliveryFailedWithSMTPCode", newRemoteDeliveryFailedWithSMTPCode)
	r.Matcher(james+"SMTPAuthSuccessful", newSMTPAuthSuccessful)
	r.Matcher(james+"SMTPAuthUserIs", newSMTPAuthUserIs)
	r.Matcher(james+"SMTPIsAuthNetwork", newSMTPIsAuthNetwork)
	r.Matcher(james+"SenderDomainIs", newSenderDomainIs)
	r.Matcher(james+"SenderHasLDAPAttribute", newSenderHasLDAPAttribute(s.LDAP))
	r.Matcher(james+"SenderHasMXRecord", newSenderHasMXRecord(s.DNS, s.Log))
	r.Matcher(james+"SenderHostIs", newSenderHostIs)
	r.Matcher(james+"SenderHostIsLocal", newSenderHostIsLocal(s.Local))
	r.Matcher(james+"SenderInFakeDomain", newSenderInFakeDomain(s.DNS, nets))
	r.Matcher(james+"SenderIs", newSenderIs)
	r.Matcher(james+"SenderIsInLDAPGroup", newSenderIsInLDAPGroup(s.LDAP, s.Log))
	r.Matcher(james+"SenderIsLocal", newSenderIsLocal(s.Local))
	r.Matcher(james+"SenderIsNull", newSenderIsNull)
	r.Matcher(james+"SenderIsRegex", newSenderIsRegex)
	r.Matcher(james+"SentByJmap", newSentByJmap)
	r.Matcher(james+"SentByMailet", newSentByMailet)
	r.Matcher(james+"SizeGreaterThan", newSizeGreaterThan)
	r.Matcher(james+"SubjectIs", newSubjectIs)
	r.Matcher(james+"SubjectStartsWith", newSubjectStartsWith)
	r.Matcher(james+"TooManyLines", newTooManyLines)
	r.Matcher(james+"TooManyRecipients", newTooManyRecipients)
	r.Matcher(james+"UserIs", newUserIs)
	r.Matcher(james+"XOriginatingIpInNetwork", newXOriginatingIpInNetwork(nets))
	r.Matcher(james+"Xor", newXor)
	r.Matcher(james+"dlp.Dlp", newDlp(s.DLP))
}
