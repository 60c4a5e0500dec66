package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
)

// SmtpUtf8RcptHook lets clients write the parameter SMTPUTF8 at RCPT too, where it
// means nothing.
//
//	<handler class="org.apache.james.smtpserver.smtputf8.SmtpUtf8RcptHook"/>
//
// Parameters: none.
//
// Differs from James: nothing.
type SmtpUtf8RcptHook struct{}

func newSMTPUTF8Rcpt(*conf.Params, Services) any { return SmtpUtf8RcptHook{} }

// RcptParams implements RcptParams.
func (SmtpUtf8RcptHook) RcptParams() []string { return []string{"SMTPUTF8"} }

// Rcpt implements RcptHook.
func (SmtpUtf8RcptHook) Rcpt(context.Context, *Session, Recipient) Decision { return Decision{} }
