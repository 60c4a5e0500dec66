package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/mailetd/mailetd/smtphooks/bearer"
)

// authBearer is OAUTHBEARER (RFC 7628) and XOAUTH2.
func (c *conn) authBearer(ctx context.Context, d *saslDialogue) {
	text, err := d.answer("")
	if err != nil {
		return
	}
	m, ok := bearer.ParseMessage(text)
	if !ok {
		_ = d.undecodable() // replies; the dialogue is over anyway
		return
	}
	name, err := c.bearerUser(ctx, m)
	switch {
	case err == nil:
		c.authenticated(ctx, name, name)
	case errors.Is(err, bearer.ErrRejected):
		c.refuseToken(ctx, d, m, err)
	default:
		c.notChecked(ctx, m.User, err)
	}
}

// bearerUser returns the user that the token stands for. Nobody may act as
// somebody else.
func (c *conn) bearerUser(ctx context.Context, m bearer.Message) (string, error) {
	claim, err := c.e.auth.bearer.Verify(ctx, m.Token)
	if err != nil {
		return "", err
	}
	name, ok, err := c.e.chain.LoginName(ctx, claim)
	switch {
	case err != nil:
		return "", err
	case !ok:
		return "", fmt.Errorf("%w: %q is no user here", bearer.ErrRejected, claim)
	case m.User == "":
		return name, nil
	}
	wanted, ok, err := c.e.chain.LoginName(ctx, m.User)
	switch {
	case err != nil:
		return "", err
	case !ok || wanted != name:
		return "", fmt.Errorf("%w: it is of %q, who %w", bearer.ErrRejected, claim, errOtherIdentity)
	}
	return name, nil
}

// refuseToken says why in a challenge; whatever the client answers, it has failed
// (RFC 7628 §3.2.3). A failure counts for the address only: tokens cannot be
// guessed, and whoever sends rubbish in a user's name must not slow him down.
func (c *conn) refuseToken(ctx context.Context, d *saslDialogue, m bearer.Message, why error) {
	c.note(ctx, m.User, why)
	c.limit(ctx, "", "token "+m.Token)
	if _, err := d.line(c.e.auth.bearer.Refusal()); err == nil {
		c.fail(ctx)
	}
}
