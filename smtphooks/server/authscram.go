package server

import (
	"context"
	"strings"
	"time"

	"github.com/xdg-go/scram"
)

// authSCRAM is SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding. A
// user that does not exist, or whose password is stored in a form that does not
// serve SCRAM, goes through the same steps and fails at the same one as a user
// with a wrong password.
func (c *conn) authSCRAM(ctx context.Context, d *saslDialogue) {
	x := &scramExchange{c: c}
	server, err := scram.SHA256.NewServer(func(user string) (scram.StoredCredentials, error) { return x.keys(ctx, user) })
	if err != nil {
		c.notChecked(ctx, "", err)
		return
	}
	x.conv = server.NewConversation()
	first, err := d.answer("")
	if err != nil {
		return
	}
	challenge, err := x.conv.Step(first)
	switch {
	case x.trouble != nil:
		c.notChecked(ctx, x.conv.Username(), x.trouble)
		return
	case err != nil:
		_ = d.undecodable() // replies; the dialogue is over anyway
		return
	}
	proof, err := d.answer(challenge)
	if err != nil {
		return
	}
	x.finish(ctx, d, proof)
}

// scramExchange is one run of SCRAM.
type scramExchange struct {
	c       *conn
	conv    *scram.ServerConversation
	name    string        // of the account
	delay   time.Duration // of the answer to a wrong proof
	trouble error         // the keys could not be read
}

// keys is called by the first step. The delay of a user that is guessed at comes
// before the client can tell whether its proof is right.
func (x *scramExchange) keys(ctx context.Context, user string) (scram.StoredCredentials, error) {
	x.c.pause(ctx, x.c.e.server.limiter.Delay(user, x.c.limits()))
	k, err := x.c.e.auth.scram.SCRAM(ctx, user)
	if err != nil {
		x.trouble = err
		return scram.StoredCredentials{}, err
	}
	x.name, x.delay = k.Name, k.FailureDelay
	return scram.StoredCredentials{KeyFactors: scram.KeyFactors{Salt: string(k.Salt), Iters: k.Iterations},
		StoredKey: k.StoredKey, ServerKey: k.ServerKey}, nil
}

// finish checks the proof. The server's own proof is a challenge that the client
// answers with an empty line, as 235 has no room for it (RFC 4954 §4).
func (x *scramExchange) finish(ctx context.Context, d *saslDialogue, proof string) {
	user := x.conv.Username()
	answer, err := x.conv.Step(proof)
	if id := x.conv.AuthzID(); err == nil && id != "" && !strings.EqualFold(id, user) {
		err = errOtherIdentity
	}
	if err != nil || !x.conv.Valid() {
		x.c.note(ctx, user, err)
		x.c.limit(ctx, user, "")
		x.c.pause(ctx, x.delay)
		x.c.fail(ctx)
		return
	}
	if _, err := d.answer(answer); err == nil {
		x.c.authenticated(ctx, user, x.name)
	}
}
