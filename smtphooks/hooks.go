package smtphooks

import (
	"context"
	"time"

	"github.com/mailetd/mailetd/container"
)

// A ConnectHook is asked when a client connects, before the banner. A reply that
// refuses is sent instead of the banner and ends the connection.
type ConnectHook interface {
	Connect(ctx context.Context, s *Session) Decision
}

// A DisconnectHook is told that a connection has ended.
type DisconnectHook interface {
	Disconnect(ctx context.Context, s *Session)
}

// A HeloHook is asked at HELO and EHLO, before the name is validated.
type HeloHook interface {
	Helo(ctx context.Context, s *Session, name string) Decision
}

// EhloKeywords adds lines to the answer to EHLO, behind 8BITMIME
// (James: HeloHook.implementedEsmtpFeatures). <disabledFeatures> can hide them.
type EhloKeywords interface {
	EhloKeywords(s *Session) []string
}

// EhloExtensions adds lines at the beginning of the answer to EHLO
// (James: EhloExtension).
type EhloExtensions interface {
	EhloExtensions(s *Session) []string
}

// A MailParamHook handles parameters of MAIL, left to right, before the address
// is read and before MailHooks. The last hook of the chain for a name wins. A
// decision with a code ends the command.
type MailParamHook interface {
	MailParams() []string // names in upper case
	MailParam(ctx context.Context, s *Session, p Param) Decision
}

// A MailHook is asked at MAIL, after its syntax; sender is zero for <>.
type MailHook interface {
	Mail(ctx context.Context, s *Session, sender container.Address) Decision
}

// RcptParams names the parameters of RCPT, in upper case, that a RcptHook
// handles; any other parameter is refused with 504.
type RcptParams interface {
	RcptParams() []string
}

// A RcptHook is asked at RCPT, after its syntax.
type RcptHook interface {
	Rcpt(ctx context.Context, s *Session, rcpt Recipient) Decision
}

// A MessageHook is asked at the end of DATA. It may change the mail. OK ends
// the asking: the reply is that of the decision.
type MessageHook interface {
	Message(ctx context.Context, s *Session, m *container.Mail) Decision
}

// An UnknownHook is asked about a verb that the server does not know.
type UnknownHook interface {
	Unknown(ctx context.Context, s *Session, verb string) Decision
}

// A QuitHook is asked at QUIT.
type QuitHook interface {
	Quit(ctx context.Context, s *Session) Decision
}

// An AuthHook checks the credentials of AUTH instead of the users repository:
// as soon as a chain has one, that is not asked. It returns the name of the
// user.
type AuthHook interface {
	Auth(ctx context.Context, s *Session, user, password string) (name string, ok bool, err error)
}

// A RecipientLimit is a hook that takes so many recipients of one mail; EHLO
// announces the smallest limit (LIMITS, RFC 9422). 0 is no limit.
type RecipientLimit interface {
	RecipientLimit() int
}

// A LifespanHook limits how long a connection lasts; with several the shortest
// time counts.
type LifespanHook interface {
	Lifespan() time.Duration
}

// commandHandler is a James handler whose work is part of the server's command
// loop; writing it into a chain changes nothing, except for AUTH.
type commandHandler struct{ auth bool }
