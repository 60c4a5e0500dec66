package smtphooks

import (
	"context"
	"strconv"

	"github.com/mailetd/mailetd/conf"
)

// SmtpMtPriorityParameterHook takes the parameter MT-PRIORITY of MAIL (RFC 6710):
// a number from -9 to 9.
//
//	<handler class="org.apache.james.smtpserver.priority.SmtpMtPriorityParameterHook"/>
//
// From a client that is not authenticated a number above 0 counts as 0.
//
// Parameters: none.
//
// Differs from James: nothing.
type SmtpMtPriorityParameterHook struct{}

func newMtPriorityParameter(*conf.Params, Services) any { return SmtpMtPriorityParameterHook{} }

// mtPriority is the key of the transaction state for the priority, an int32.
type mtPriority struct{}

// MailParams implements MailParamHook.
func (SmtpMtPriorityParameterHook) MailParams() []string { return []string{"MT-PRIORITY"} }

// MailParam implements MailParamHook.
func (SmtpMtPriorityParameterHook) MailParam(_ context.Context, s *Session, p Param) Decision {
	n, err := strconv.ParseInt(p.Value, 10, 32)
	if err != nil || n < -9 || n > 9 {
		return Refuse(501, "", "Incorrect syntax when handling MT-PRIORITY mail parameter")
	}
	if s.Tx.State(mtPriority{}) != nil {
		return Refuse(501, "", "The Mail parameter cannot contain more than one MT-PRIORITY parameter at the same time")
	}
	if s.User == "" {
		n = min(n, 0)
	}
	s.Tx.SetState(mtPriority{}, int32(n))
	return Decision{}
}
