package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container/throttle"
	"github.com/mailetd/mailetd/smtphooks"
	"github.com/mailetd/mailetd/smtphooks/bearer"
)

// errEnded: the dialogue of AUTH is over and was replied to, or the connection
// is.
var errEnded = errors.New("authentication dialogue ended")

// scramSHA256 is the mechanism of RFC 7677.
const scramSHA256 = "SCRAM-SHA-256"

// authentication is what the AUTH command of one server needs.
type authentication struct {
	mechanisms []string // in order of announcement
	scram      smtphooks.SCRAMSource
	bearer     *bearer.Verifier // nil: no OAUTHBEARER and XOAUTH2
	limits     throttle.Limits
}

func newAuthentication(cfg conf.SMTPAuth, chain *smtphooks.Chain) authentication {
	a := authentication{scram: chain.SCRAM(), limits: throttle.Limits(cfg.Failures)}
	for _, m := range cfg.Mechanisms {
		if m != scramSHA256 || a.scram != nil {
			a.mechanisms = append(a.mechanisms, m)
		}
	}
	if cfg.OIDC != nil {
		a.bearer = bearer.New(*cfg.OIDC)
	}
	return a
}

// offered returns the mechanisms to announce: SCRAM only when each account can
// use it, or it is asked for by name, or there is nothing else.
func (a *authentication) offered(ctx context.Context, named bool) []string {
	if a.scram == nil || named || !slices.Contains(a.mechanisms, scramSHA256) || a.scram.OffersSCRAM(ctx) {
		return a.mechanisms
	}
	others := slices.DeleteFunc(slices.Clone(a.mechanisms), func(m string) bool { return m == scramSHA256 })
	if len(others) == 0 {
		return a.mechanisms
	}
	return others
}

// auth is AUTH mechanism [initial response] (RFC 4954).
func (c *conn) auth(ctx context.Context, arg string) {
	switch {
	case !c.e.chain.HasAuth():
		c.unknown(ctx, "AUTH")
		return
	case c.s.User != "":
		c.reply(503, "5.5.0", "User has previously authenticated.  Further authentication is not required!")
		return
	case c.s.Tx.HasSender: // RFC 4954 §4
		c.reply(503, "5.5.0", "AUTH is not permitted during a mail transaction")
		return
	}
	mech, initial, has := strings.Cut(arg, " ")
	if mech == "" {
		c.reply(501, "5.5.4", "Usage: AUTH (authentication type) <challenge>")
		return
	}
	mech = upper(mech)
	clear := c.e.cfg.Auth.RequireSSL && c.s.TLSProtocol == ""
	if clear || !slices.Contains(c.e.auth.mechanisms, mech) {
		c.reply(504, "", "Unrecognized Authentication Type")
		return
	}
	if c.blocked() {
		return
	}
	d := &saslDialogue{c: c, mech: mech, initial: strings.TrimSpace(initial), has: has}
	switch mech {
	case "PLAIN":
		d.run(ctx, d.plain)
	case "LOGIN":
		d.run(ctx, d.login)
	case scramSHA256:
		c.authSCRAM(ctx, d)
	default:
		c.authBearer(ctx, d)
	}
}

// maxAuthFailures is how many wrong credentials one connection may try.
const maxAuthFailures = 5

// limits returns those of the client: the address of a client that may relay, a
// webmail server for instance, is not refused because of one of its users.
func (c *conn) limits() throttle.Limits {
	limits := c.e.auth.limits
	if c.e.authorized(c.s.RemoteAddr) {
		limits.PerAddress = 0
	}
	return limits
}

// blocked answers a client from whose address there were too many failures, and
// reports whether there were.
func (c *conn) blocked() bool {
	if c.limits().PerAddress == 0 {
		return false
	}
	wait := c.e.server.limiter.Blocked(c.s.RemoteAddr)
	if wait == 0 {
		return false
	}
	c.e.server.count("auth_refused")
	if !c.tooMany() {
		// RFC 4954 §6
		c.reply(454, "4.7.0", fmt.Sprintf("Temporary authentication failure: too many failures from your address, try again in %d seconds", int(wait/time.Second)+1))
	}
	return true
}

// tooMany counts a failure, and ends a connection that goes on trying: each try
// costs the time of a password hash.
func (c *conn) tooMany() bool {
	if c.authFailures++; c.authFailures < maxAuthFailures {
		return false
	}
	c.reply(421, "4.7.0", c.s.Hello+" Too many authentication failures, closing transmission channel")
	c.closing, c.linger = true, true
	return true
}

// refuseCredentials answers wrong credentials of user. Credential tells apart
// what was tried, see throttle.Limiter; why, which may be nil, is for the log.
func (c *conn) refuseCredentials(ctx context.Context, user, credential string, why error) {
	c.note(ctx, user, why)
	c.limit(ctx, user, credential)
	c.fail(ctx)
}

// note logs and counts a failure.
func (c *conn) note(ctx context.Context, user string, why error) {
	c.e.server.count("auth_failures")
	attrs := []slog.Attr{slog.String("client", c.s.RemoteAddr.String()), slog.String("user", user)}
	if why != nil {
		attrs = append(attrs, slog.Any("err", why))
	}
	c.e.log().LogAttrs(ctx, slog.LevelInfo, "authentication failed", attrs...)
}

// limit lets a failure count for the client's address, and for user unless that
// is "".
func (c *conn) limit(ctx context.Context, user, credential string) {
	if block := c.e.server.limiter.Failed(c.s.RemoteAddr, user, credential, c.limits()); block > 0 {
		c.e.log().WarnContext(ctx, "too many authentication failures, address refused for a while",
			"client", c.s.RemoteAddr.String(), "seconds", block.Seconds())
	}
}

// fail replies that the credentials are wrong.
func (c *conn) fail(ctx context.Context) {
	c.pause(ctx, c.e.server.options.AuthFailureDelay)
	if !c.tooMany() {
		c.reply(535, "", "Authentication Failed")
	}
}

// authenticated ends an AUTH that was successful.
func (c *conn) authenticated(ctx context.Context, user, name string) {
	c.e.server.limiter.Succeeded(c.s.RemoteAddr, user)
	c.s.User = strings.ToLower(name)
	c.refresh()
	c.e.log().DebugContext(ctx, "authenticated", "client", c.s.RemoteAddr.String(), "user", c.s.User)
	c.reply(235, "", "Authentication Successful")
}

// notChecked answers credentials that could not be checked.
func (c *conn) notChecked(ctx context.Context, user string, err error) {
	c.e.log().ErrorContext(ctx, "credentials not checked", "client", c.s.RemoteAddr.String(), "user", user, "err", err)
	c.trouble()
}

// authenticate checks a password.
func (c *conn) authenticate(ctx context.Context, user, password string) {
	c.pause(ctx, c.e.server.limiter.Delay(user, c.limits()))
	name, ok, err := c.e.chain.Authenticate(ctx, c.s, user, password)
	switch {
	case err != nil:
		c.notChecked(ctx, user, err)
	case !ok:
		c.refuseCredentials(ctx, user, password, nil)
	default:
		c.authenticated(ctx, user, name)
	}
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

// run checks the password that ask gets from the client.
func (d *saslDialogue) run(ctx context.Context, ask func(context.Context) (user, password string, err error)) {
	if user, password, err := ask(ctx); err == nil {
		d.c.authenticate(ctx, user, password)
	}
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
		d.c.refuseCredentials(ctx, parts[1], parts[2], errOtherIdentity)
		return "", "", errEnded
	}
	return "", "", d.undecodable()
}

// errOtherIdentity is for the log.
var errOtherIdentity = errors.New("wants to act as another user")

// login returns the credentials of LOGIN.
func (d *saslDialogue) login(context.Context) (user, password string, err error) {
	if user, err = d.answer("Username:"); err != nil {
		return "", "", err
	}
	password, err = d.answer("Password:")
	return user, password, err
}

// maxSASLLine is the length of a line that RFC 4954 §4 wants to be possible.
const maxSASLLine = 12288

// answer returns the initial response, once, or the answer to a challenge.
func (d *saslDialogue) answer(challenge string) (string, error) {
	text := d.initial
	if d.has && text != "" {
		d.has = false
		if text == "=" {
			return "", nil
		}
	} else {
		line, err := d.line(challenge)
		if err != nil {
			return "", err
		}
		text = line
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

// line sends a challenge and returns the line that answers it, as it is.
func (d *saslDialogue) line(challenge string) (string, error) {
	d.c.reply(334, "", base64.StdEncoding.EncodeToString([]byte(challenge)))
	d.c.replied = false
	line, err := d.c.line(max(maxSASLLine, d.c.e.cfg.MaxLineLength))
	if err != nil {
		d.c.closing = !d.c.framing(err)
		return "", errEnded
	}
	return strings.TrimSpace(string(line)), nil
}

func (d *saslDialogue) undecodable() error {
	d.c.reply(501, "", "Could not decode parameters for AUTH "+d.mech)
	return errEnded
}
