package matchers

import (
	"log/slog"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/local"
)

// Services is what matchers need of the server. A nil Log discards what is
// logged.
type Services struct {
	Local *local.Directory
	DNS   dns.Resolver
	Log   *slog.Logger
}

const (
	james     = container.MatcherPackage
	composite = "org.apache.james.mailetcontainer.impl.matchers."
	jmap      = "org.apache.james.jmap.mailet."
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
	r.Matcher(jmap+"SentByJmap", newSentByJmap)
	r.Matcher(james+"All", newAll)
	r.Matcher(james+"And", newAnd)
	r.Matcher(james+"AtMost", newAtMost)
	r.Matcher(james+"DSNDelayRequested", newDSNDelayRequested)
	r.Matcher(james+"DSNFailureRequested", newDSNFailureRequested)
	r.Matcher(james+"DSNSuccessRequested", newDSNSuccessRequested)
	r.Matcher(james+"HasMailAttribute", newHasMailAttribute)
	r.Matcher(james+"HasMailAttributeWithValue", newHasMailAttributeWithValue)
	r.Matcher(james+"HostIs", newHostIs)
	r.Matcher(james+"HostIsLocal", newHostIsLocal(s.Local))
	r.Matcher(james+"IsRemoteDeliveryPermanentError", newIsRemoteDeliveryPermanentError)
	r.Matcher(james+"IsRemoteDeliveryTemporaryError", newIsRemoteDeliveryTemporaryError)
	r.Matcher(james+"IsSenderInRRTLoop", newIsSenderInRRTLoop(s.Local, s.Log))
	r.Matcher(james+"NextHopLacksDSN", newNextHopLacksDSN)
	r.Matcher(james+"Not", newNot)
	r.Matcher(james+"Or", newOr)
	r.Matcher(james+"RecipientIs", newRecipientIs)
	r.Matcher(james+"RecipientIsLocal", newRecipientIsLocal(s.Local))
	r.Matcher(james+"RelayLimit", newRelayLimit(s.Log))
	r.Matcher(james+"RemoteAddrInNetwork", newRemoteAddrInNetwork(nets))
	r.Matcher(james+"RemoteAddrNotInNetwork", newRemoteAddrNotInNetwork(nets))
	r.Matcher(james+"RemoteDeliveryFailedWithSMTPCode", newRemoteDeliveryFailedWithSMTPCode)
	r.Matcher(james+"SMTPAuthSuccessful", newSMTPAuthSuccessful)
	r.Matcher(james+"SMTPIsAuthNetwork", newSMTPIsAuthNetwork)
	r.Matcher(james+"SenderIs", newSenderIs)
	r.Matcher(james+"SenderIsLocal", newSenderIsLocal(s.Local))
	r.Matcher(james+"SenderIsNull", newSenderIsNull)
	r.Matcher(james+"SentByJmap", newSentByJmap)
	r.Matcher(james+"SentByMailet", newSentByMailet)
	r.Matcher(james+"Xor", newXor)
}
