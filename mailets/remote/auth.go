package remote

import (
	"context"
	"encoding/base64"
	"slices"

	"github.com/emersion/go-sasl"
)

// authenticate sends the credentials of the gateway with PLAIN or LOGIN. A host
// that offers neither does not get the mail: whoever configured credentials did
// not mean it to be sent without.
func (c *conn) authenticate(ctx context.Context) error {
	switch {
	case slices.Contains(c.ext.auth, sasl.Plain):
		return c.authPlain(ctx)
	case slices.Contains(c.ext.auth, sasl.Login):
		return c.authLogin(ctx)
	}
	return &cause{status: "4.7.0", next: true, text: "the gateway offers no authentication with PLAIN or LOGIN", err: errNotOffered}
}

func (c *conn) authPlain(ctx context.Context) error {
	a := c.in.cfg.Auth
	_, initial, err := sasl.NewPlainClient("", a.User, a.Password).Start()
	if err != nil {
		return err
	}
	c.trace("smtp out", "AUTH PLAIN ...")
	rep, err := c.secret(ctx, "AUTH PLAIN "+base64.StdEncoding.EncodeToString(initial))
	return authResult(rep, err)
}

// authLogin does without go-sasl's client, which insists on one spelling of the
// prompts; servers have several.
func (c *conn) authLogin(ctx context.Context) error {
	a := c.in.cfg.Auth
	rep, err := c.command(ctx, "AUTH LOGIN")
	for _, answer := range []string{a.User, a.Password} {
		if err != nil || rep.code != 334 {
			break
		}
		rep, err = c.secret(ctx, base64.StdEncoding.EncodeToString([]byte(answer)))
	}
	return authResult(rep, err)
}

func authResult(rep reply, err error) error {
	if err == nil && rep.code != 235 {
		return rep.err()
	}
	return err
}
