package server

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"
)

// errEnded: the dialogue of AUTH is over and was replied to, or the connection
// is.
var errEnded = errors.New("authentication dialogue ended")

// auth is AUTH mechanism [initial response] (RFC 4954).
func (c *conn) auth(ctx context.Context, arg string) {
	if !c.e.chain.HasAuth() {
		c.unknown(ctx, "AUTH")
		return
	}
	if c.s.User != "" {
		c.reply(503, "5.5.0", "User has previously authenticated.  Further authentication is not required!")
		return
	}
	mech, initial, has := strings.Cut(arg, " ")
	if mech == "" {
		c.reply(501, "5.5.4", "Usage: AUTH (authentication type) <challenge>")
		return
	}
	mech = strings.ToUpper(mech)
	clear := c.e.cfg.Auth.RequireSSL && c.s.TLSProtocol == ""
	if clear || !slices.Contains(c.e.cfg.Auth.Mechanisms, mech) {
		c.reply(504, "", "Unrecognized Authentication Type")
		return
	}
	d := &saslDialogue{c: c, mech: mech, initial: strings.TrimSpace(initial), has: has}
	var user, password string
	var err error
	if mech == "PLAIN" {
		user, password, err = d.plain(ctx)
	} else {
		user, password, err = d.login()
	}
	if err == nil {
		c.authenticate(ctx, user, password)
	}
}

// maxAuthFailures is how many wrong credentials one connection may try.
const maxAuthFailures = 5

// refuseCredentials answers wrong credentials, and ends a connection that goes on
// trying: each try costs the time of a password hash.
func (c *conn) refuseCredentials(ctx context.Context, user string) {
	c.e.server.count("auth_failures")
	c.e.log().InfoContext(ctx, "authentication failed", "client", c.s.RemoteAddr.String(), "user", user)
	c.pause(ctx, c.e.server.options.AuthFailureDelay)
	if c.authFailures++; c.authFailures >= maxAuthFailures {
		c.reply(421, "4.7.0", c.s.Hello+" Too many authentication failures, closing transmission channel")
		c.closing, c.linger = true, true
		return
	}
	c.reply(535, "", "Authentication Failed")
}

func (c *conn) authenticate(ctx context.Context, user, password string) {
	name, ok, err := c.checkPassword(ctx, user, password)
	switch {
	case err != nil:
		c.e.log().ErrorContext(ctx, "credentials not checked", "client", c.s.RemoteAddr.String(), "user", user, "err", err)
		c.trouble()
	case !ok:
		c.refuseCredentials(ctx, user)
	default:
		c.s.User = strings.ToLower(name)
		c.refresh()
		c.e.log().DebugContext(ctx, "authenticated", "client", c.s.RemoteAddr.String(), "user", c.s.User)
		c.reply(235, "", "Authentication Successful")
	}
}

// checkPassword asks the chain. Hashing a password takes a processor for a tenth
// of a second: one is always left for the mail, however many clients try.
func (c *conn) checkPassword(ctx context.Context, user, password string) (name string, ok bool, err error) {
	select {
	case c.e.server.hashing <- struct{}{}:
		defer func() { <-c.e.server.hashing }()
	case <-ctx.Done():
		return "", false, ctx.Err()
	}
	return c.e.chain.Authenticate(ctx, c.s, user, password)
}

// pause slows down whoever tries passwords.
func (c *conn) pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// saslDialogue asks the client for what the initial response did not say.
type saslDialogue struct {
	c       *conn
	mech    string
	initial string
	has     bool // there is an initial response; = stands for an empty one
}

// plain returns the credentials of PLAIN (RFC 4616). An authorization identity
// other than the user is refused: nobody here may act as somebody else.
func (d *saslDialogue) plain(ctx context.Context) (user, password string, err error) {
	text, err := d.answer("")
	if err != nil {
		return "", "", err
	}
	parts := slices.DeleteFunc(strings.Split(text, "\x00"), func(p string) bool { return p == "" })
	switch {
	case len(parts) == 2:
		return parts[0], parts[1], nil
	case len(parts) == 3 && strings.EqualFold(parts[0], parts[1]):
		return parts[1], parts[2], nil
	case len(parts) == 3:
		d.c.refuseCredentials(ctx, parts[1])
		return "", "", errEnded
	}
	return "", "", d.undecodable()
}

// login returns the credentials of LOGIN.
func (d *saslDialogue) login() (user, password string, err error) {
	if user, err = d.answer("Username:"); err != nil {
		return "", "", err
	}
	password, err = d.answer("Password:")
	return user, password, err
}

// answer returns the initial response, once, or the answer to a challenge.
func (d *saslDialogue) answer(challenge string) (string, error) {
	text := d.initial
	if d.has && text != "" {
		d.has = false
		if text == "=" {
			return "", nil
		}
	} else {
		d.c.reply(334, "", base64.StdEncoding.EncodeToString([]byte(challenge)))
		d.c.replied = false
		line, err := d.c.in.line(d.c.e.cfg.MaxLineLength)
		if err != nil {
			d.c.closing = !d.c.framing(err)
			return "", errEnded
		}
		text = strings.TrimSpace(string(line))
	}
	if text == "*" {
		d.c.reply(501, "5.7.1", "Authentication aborted")
		return "", errEnded
	}
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return "", d.undecodable()
	}
	return string(b), nil
}

func (d *saslDialogue) undecodable() error {
	d.c.reply(501, "", "Could not decode parameters for AUTH "+d.mech)
	return errEnded
}
