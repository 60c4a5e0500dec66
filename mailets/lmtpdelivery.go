package mailets

import (
	"context"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/delivery"
	"github.com/mailetd/mailetd/mailets/remote"
)

// LMTPDelivery hands the mail to a server that has the mailboxes, such as Dovecot
// or Cyrus, over LMTP (RFC 2033). The server answers for each recipient by itself:
// one may have the mail while the mailbox of another is full.
//
//	<processor name="local-delivery">
//	  <mailet match="All" class="LMTPDelivery">
//	    <server>/run/dovecot/lmtp</server>
//	    <heloName>mx.example.com</heloName>
//	    <timeout>2 minutes</timeout>
//	    <connectTimeout>10s</connectTimeout>
//	    <delayTime>1 minute, 5 minutes, 12 * 1 hour</delayTime>
//	    <maxRetries>14</maxRetries>
//	    <onFailure>bounces</onFailure>
//	    <concurrency>10</concurrency>
//	    <consume>true</consume>
//	    <debug>false</debug>
//	  </mailet>
//	</processor>
//
// A reply of class 5 to MAIL, RCPT or the message is a permanent failure; one of
// class 4, a connection that breaks or cannot be made, and a server that refuses
// LHLO are temporary. The outcome has the reply. The message is sent as it is,
// without a Return-Path, which the server adds; header fields that other mailets
// made for single recipients are not added. A recipient's NOTIFY and ORCPT go along
// when the server offers DSN. When the server takes the message and the connection
// breaks before its answer, the recipient gets the mail twice.
//
// What a retry runs again is the processor from its beginning, for the
// recipients that are left. So give the mailet a processor of its own, or at
// least nothing in front of it that must not happen twice.
//
// Parameters:
//
//   - server (required): path of a socket, or host:port, port 24 if none is given.
//     There is no TLS and no authentication: a host should be on your own network.
//   - heloName (default the server's name): name given in LHLO.
//   - timeout (default 2 minutes): how long the delivery of one mail to 100 of its
//     recipients may take; a number without unit means seconds. After that time no
//     connection is made for the others, who get their turn in a mail of their own.
//   - connectTimeout (default 10s): how long to wait for a connection.
//   - debug (default false): log the conversations at level info.
//   - consume (default true): whether the processing of the mail ends here. If
//     not, it goes on for the recipients delivered to.
//   - maxRetries (default 5): retries after a temporary failure.
//   - delayTime (default 1 minute, 5 minutes, 30 minutes, 2 hours, 6 hours): comma
//     list of "[number *] delay", the waits before the retries, in milliseconds
//     unless a unit is given. The last one is repeated up to maxRetries.
//   - onTemporary: processor of recipients that failed for now, instead of
//     retries.
//   - onFailure (default error): processor of recipients that failed for good, or
//     once more after the last retry.
//   - concurrency (default 10): connections at the same time. A mail that finds no
//     free place goes back to the spool for ten seconds.
//
// Differs from James: James has no such class.
type LMTPDelivery struct {
	policy *delivery.Policy
	client *remote.LMTP
}

// Limits of LMTPDelivery.
const (
	lmtpTimeout        = 2 * time.Minute
	lmtpConnectTimeout = 10 * time.Second
	lmtpRecipients     = 100 // what every server takes (RFC 5321 §4.5.3.1.8)
)

func newLMTPDelivery(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		c := remote.LMTPConfig{
			Address: p.Required("server"), Hello: readHeloName(s, p), Log: s.Log, Debug: p.Bool("debug", false),
			Timeout: timeLimit(p, "timeout", lmtpTimeout), ConnectTimeout: timeLimit(p, "connectTimeout", lmtpConnectTimeout),
		}
		l := &LMTPDelivery{policy: newPolicy(s, p, delivery.Config{
			Name: "LMTPDelivery", ID: "LMTPDelivery " + c.Address + twin(p, "server"), Batch: lmtpRecipients, Limit: c.Timeout}, 10)}
		if c.Address == "" {
			return l
		}
		var err error
		if l.client, err = remote.NewLMTP(c); err != nil {
			p.Fail("server", err)
		}
		return l
	}
}

// Service delivers the mail.
func (l *LMTPDelivery) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	l.policy.Run(ctx, m, out, func(ctx context.Context, rcpts []container.Address) []container.Outcome {
		return l.client.Deliver(ctx, m, rcpts)
	})
	return nil
}

// ReferredStates implements container.StateReferrer.
func (l *LMTPDelivery) ReferredStates() []string { return l.policy.ReferredStates() }
