package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
)

// MaxUnknownCmdHandler ends connections that send too many commands that do not
// exist.
//
//	<handler class="org.apache.james.smtpserver.fastfail.MaxUnknownCmdHandler">
//	  <maxUnknownCmdCount>5</maxUnknownCmdCount>
//	</handler>
//
// The reply to the first one too many is "521 Closing connection as too many
// unknown commands received". The count starts again with EHLO, RSET and each
// message.
//
// Parameters:
//
//   - maxUnknownCmdCount (default 5): how many are let pass.
//
// Differs from James: nothing.
type MaxUnknownCmdHandler struct{ limit int }

func newMaxUnknownCmd(p *conf.Params, _ Services) any {
	return &MaxUnknownCmdHandler{p.Int("maxUnknownCmdCount", 5)}
}

type unknownCommands struct{}

// Unknown implements UnknownHook.
func (h *MaxUnknownCmdHandler) Unknown(_ context.Context, s *Session, _ string) Decision {
	n, _ := s.Tx.State(unknownCommands{}).(int)
	if n++; n > h.limit {
		return Decision{Action: Deny, Disconnect: true, Code: 521, Text: "Closing connection as too many unknown commands received"}
	}
	s.Tx.SetState(unknownCommands{}, n)
	return Decision{}
}
