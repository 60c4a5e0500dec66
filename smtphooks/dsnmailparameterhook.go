package smtphooks

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/conf"
)

// DSNMailParameterHook takes the parameters RET and ENVID of MAIL (RFC 3461
// §4.3, §4.4).
//
//	<handler class="org.apache.james.smtpserver.dsn.DSNMailParameterHook"/>
//
// RET is FULL or HDRS in any case. ENVID is xtext and kept as received.
//
// Parameters: none.
//
// Differs from James: a value that is none of these, a repeated parameter, or an
// ENVID that decodes to control characters is refused with 501 5.5.4, as the RFC
// demands. James ignores a bad RET, answers a bad ENVID with 451 and lets the
// last of repeated parameters win.
type DSNMailParameterHook struct{}

func newDSNMailParameter(*conf.Params, Services) any { return DSNMailParameterHook{} }

// Keys of the transaction state for RET and ENVID; the values are strings.
type dsnKey string

// MailParams implements MailParamHook.
func (DSNMailParameterHook) MailParams() []string { return []string{"RET", "ENVID"} }

// MailParam implements MailParamHook.
func (DSNMailParameterHook) MailParam(_ context.Context, s *Session, p Param) Decision {
	if s.Tx.State(dsnKey(p.Name)) != nil {
		return badParam(p.Name + " given twice")
	}
	value := p.Value
	switch p.Name {
	case "RET":
		value = strings.ToUpper(value)
		if value != "FULL" && value != "HDRS" {
			return badParam("RET must be FULL or HDRS")
		}
	case "ENVID":
		if text, ok := DecodeXtext(value); !ok || !printable(text) {
			return badParam("ENVID must be xtext")
		}
	}
	s.Tx.SetState(dsnKey(p.Name), value)
	return Decision{}
}

func badParam(text string) Decision {
	return Refuse(501, "5.5.4", "Syntax error in parameters: "+text)
}
