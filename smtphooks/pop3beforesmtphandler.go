package smtphooks

import (
	"time"

	"github.com/mailetd/mailetd/conf"
)

// POP3BeforeSMTPHandler lets no client relay, because there is no POP3 server
// here that clients could have logged in to before. It is accepted so that
// configurations of James load, and says so once at the start.
//
//	<handler class="org.apache.james.smtpserver.POP3BeforeSMTPHandler">
//	  <expireTime>60 hours</expireTime>
//	</handler>
//
// Clients that relied on it log in with AUTH, or have their address in
// <authorizedAddresses>.
//
// Parameters:
//
//   - expireTime: accepted and of no effect.
//
// Differs from James: there a client may relay for a time after a login to the
// POP3 server of the same process.
type POP3BeforeSMTPHandler struct{}

func newPOP3BeforeSMTP(p *conf.Params, _ Services) any {
	p.Duration("expireTime", time.Millisecond, 0)
	p.Warn("", "POP3BeforeSMTPHandler lets nobody relay: there is no POP3 server here that clients could log in to first; "+
		"let them use AUTH, or list their addresses in <authorizedAddresses>, and remove the <handler>")
	return POP3BeforeSMTPHandler{}
}
