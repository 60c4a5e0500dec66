package server

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/smtphooks"
)

// verbs are the commands; STARTTLS is looked for before them.
var verbs = map[string]func(*conn, context.Context, string){
	"AUTH": (*conn).auth,
	"BDAT": (*conn).bdat,
	"DATA": (*conn).data,
	"EHLO": (*conn).ehlo,
	"EXPN": func(c *conn, _ context.Context, _ string) { c.reply(502, "5.3.3", "EXPN is not supported") },
	"HELO": (*conn).helo,
	"HELP": func(c *conn, _ context.Context, _ string) { c.reply(502, "5.3.3", "HELP is not supported") },
	"MAIL": (*conn).mail,
	"NOOP": func(c *conn, _ context.Context, _ string) { c.reply(250, "2.0.0", "OK") },
	"QUIT": (*conn).quit,
	"RCPT": (*conn).rcpt,
	"RSET": (*conn).rset,
	"VRFY": func(c *conn, _ context.Context, _ string) { c.reply(502, "5.3.3", "VRFY is not supported") },
}

// maxRecipients and maxRecipientOctets, the length of their RCPT commands, bound
// the memory of a transaction; RFC 5321 §4.5.3.1.8 asks for at least 100, and RFC
// 3461 §5.4 for some 1000 octets each.
const (
	maxRecipients      = 20000
	maxRecipientOctets = 4 << 20
)

func (c *conn) unknown(ctx context.Context, verb string) {
	if d := c.e.chain.Unknown(ctx, c.s, verb); d.Refuses() {
		c.decide(d)
		return
	}
	if c.e.cfg.LMTP {
		c.unknownLMTP()
		return
	}
	c.unrecognized(verb)
}

func (c *conn) quit(ctx context.Context, arg string) {
	if d := c.e.chain.Quit(ctx, c.s); d.Refuses() {
		c.decide(d)
		return
	}
	c.closing = true
	if arg != "" {
		c.reply(500, "5.5.4", "Unexpected argument provided with QUIT command")
		return
	}
	c.reply(221, "2.0.0", c.s.Hello+" Service closing transmission channel")
}

func (c *conn) rset(_ context.Context, arg string) {
	if arg != "" {
		c.reply(500, "5.5.4", "Unexpected argument provided with RSET command")
		return
	}
	c.s.Reset()
	c.reply(250, "2.0.0", "OK")
}

func (c *conn) helo(ctx context.Context, arg string) {
	if c.greeting(ctx, "HELO", arg) {
		c.reply(250, "", c.hello(arg))
	}
}

func (c *conn) ehlo(ctx context.Context, arg string) {
	if c.greeting(ctx, "EHLO", arg) {
		c.reply(250, "", strings.Join(append([]string{c.hello(arg)}, c.features(ctx)...), "\n"))
	}
}

// greeting does what HELO and EHLO have in common; it reports whether the name
// is accepted. One that is not leaves the transaction as it was (RFC 5321 §4.1.4).
func (c *conn) greeting(ctx context.Context, verb, arg string) (ok bool) {
	before := c.s.Tx
	defer func() { // also when a hook panics
		if !ok {
			c.s.Tx = before
		}
	}()
	c.s.Reset()
	if arg == "" {
		c.reply(501, "5.5.4", "Domain address required: "+verb)
		return false
	}
	c.s.Helo = arg
	if d := c.e.chain.Helo(ctx, c.s, arg); d.Refuses() {
		c.decide(d)
		return false
	}
	if !validHelo(arg, verb == "EHLO") {
		c.reply(501, "5.5.2", "Invalid domain name or ip supplied as HELO argument")
		return false
	}
	c.s.HeloMode, c.heloName = verb, arg
	return true
}

// hello is the first line of the answer; the unpaired bracket is James's.
func (c *conn) hello(arg string) string {
	return c.s.Hello + " Hello " + arg + " [" + c.s.RemoteAddr.String() + "])"
}

// features returns the lines of the answer to EHLO, in James's order.
func (c *conn) features(ctx context.Context) []string {
	out := c.e.chain.Extensions(c.s)
	if c.e.smtputf8 {
		out = append(out, "SMTPUTF8") // RFC 6531
	}
	if c.s.AuthAnnounced {
		mechs := strings.Join(c.e.auth.offered(ctx, c.e.cfg.Auth.SCRAMNamed), " ")
		out = append(out, "AUTH "+mechs, "AUTH="+mechs)
	}
	plain := append([]string{"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME"}, c.e.chain.Keywords(c.s)...)
	plain = append(plain, "CHUNKING") // RFC 3030
	if c.e.binary {
		plain = append(plain, bodyBinary)
	}
	for _, f := range plain {
		if keyword, _, _ := strings.Cut(f, " "); !slices.Contains(c.e.cfg.DisabledFeatures, keyword) {
			out = append(out, f)
		}
	}
	if c.e.cfg.MaxMessageSize > 0 {
		out = append(out, "SIZE "+strconv.FormatInt(c.e.cfg.MaxMessageSize, 10))
	}
	if c.s.StartTLS && c.s.TLSProtocol == "" {
		out = append(out, "STARTTLS")
	}
	return out
}

func (c *conn) mail(ctx context.Context, arg string) {
	switch {
	case c.e.cfg.RequireHelo && c.s.HeloMode == "":
		c.reply(503, "5.5.0", "Need HELO or EHLO before MAIL")
		return
	case c.s.Tx.HasSender:
		c.reply(503, "5.5.0", "Sender already specified")
		return
	case c.tooManyMessages():
		return
	}
	defer func() { // also when a hook panics
		if !c.s.Tx.HasSender {
			c.s.Reset()
		}
	}()
	args, err := parsePath(arg, "FROM", c.e.cfg.RequireBrackets)
	switch err {
	case errUsage:
		c.reply(501, "5.5.4", "Usage: MAIL FROM:<sender>")
		return
	case errBrackets:
		c.reply(501, "5.1.7", "Syntax error in MAIL command")
		return
	}
	if !c.mailParams(ctx, args.params) {
		return
	}
	var sender container.Address
	if args.path != "" && args.path != "@" {
		if sender, err = parseAddress(args.path, c.e.server.services.DefaultDomain); err != nil || !c.encodable(sender) {
			c.reply(501, "5.1.7", "Syntax error in sender address")
			return
		}
	}
	if d := c.e.chain.Mail(ctx, c.s, sender); d.Refuses() {
		c.decide(d)
		c.e.refused(ctx, c, "MAIL", sender.Pretty(), d)
		return
	}
	c.s.Tx.HasSender, c.s.Tx.Sender = true, sender
	c.reply(250, "2.1.0", "Sender "+sender.Pretty()+" OK")
}

// encodable reports whether the address may be used in this transaction:
// characters outside ASCII need SMTPUTF8 (RFC 6531 §3.4).
func (c *conn) encodable(a container.Address) bool { return c.s.Tx.UTF8 || a.IsASCII() }

// mailParams handles the parameters of MAIL; what is known to nobody is passed
// over, as in James. It reports whether the command goes on.
func (c *conn) mailParams(ctx context.Context, params []smtphooks.Param) bool {
	seen := map[string]bool{}
	for _, p := range params {
		own, ok := mailParams[p.Name]
		if !ok || p.Name == "SMTPUTF8" && !c.e.smtputf8 {
			d, _ := c.e.chain.MailParam(ctx, c.s, p)
			if d.Code != 0 || d.Action != smtphooks.Declined || d.Disconnect {
				c.decide(d)
				return false
			}
			continue
		}
		if seen[p.Name] {
			c.reply(501, "5.5.4", "Syntax error in parameters: "+p.Name+" given twice")
			return false
		}
		seen[p.Name] = true
		if !own(c, p) {
			return false
		}
	}
	return true
}

// mailParams are the parameters of MAIL that are not left to hooks. Each
// replies itself when it refuses.
var mailParams = map[string]func(*conn, smtphooks.Param) bool{
	"SIZE":     (*conn).sizeParam,
	"BODY":     (*conn).bodyParam,
	"SMTPUTF8": (*conn).utf8Param,
}

// sizeParam: RFC 1870 §6.1.
func (c *conn) sizeParam(p smtphooks.Param) bool {
	n, err := strconv.ParseUint(p.Value, 10, 63)
	if err != nil {
		c.reply(501, "5.5.4", "Syntactically incorrect value for SIZE parameter")
		return false
	}
	if limit := c.e.cfg.MaxMessageSize; limit > 0 && n > uint64(limit) {
		c.e.server.count("mails_refused")
		c.reply(552, "5.3.4", "Message size exceeds fixed maximum message size")
		return false
	}
	return true
}

// bodyParam: RFC 6152 and, for BINARYMIME, RFC 3030 §3.
func (c *conn) bodyParam(p smtphooks.Param) bool {
	v := upper(p.Value)
	if v != "7BIT" && v != "8BITMIME" && (v != bodyBinary || !c.e.binary) {
		c.reply(501, "5.5.4", "Unsupported value for BODY parameter")
		return false
	}
	c.s.Tx.Body = v
	return true
}

func (c *conn) utf8Param(p smtphooks.Param) bool {
	if p.HasValue {
		c.reply(501, "5.5.4", "SMTPUTF8 takes no value") // RFC 6531 §3.4
		return false
	}
	c.s.Tx.UTF8 = true
	return true
}

func (c *conn) rcpt(ctx context.Context, arg string) {
	if !c.s.Tx.HasSender {
		c.reply(503, "5.5.0", "Need MAIL before RCPT")
		return
	}
	if c.chunks != nil {
		c.reply(503, "5.5.1", "RCPT after BDAT") // the recipients are settled
		return
	}
	args, err := parsePath(arg, "TO", c.e.cfg.RequireBrackets)
	switch err {
	case errUsage:
		c.reply(501, "5.5.2", "Usage: RCPT TO:<recipient>")
		return
	case errBrackets:
		c.reply(501, "5.5.2", "Syntax error in parameters or arguments")
		return
	}
	addr, err := parseAddress(args.path, c.e.server.services.DefaultDomain)
	if err != nil || !c.encodable(addr) {
		c.reply(553, "5.1.3", "Syntax error in recipient address")
		return
	}
	for _, p := range args.params {
		if !c.e.chain.KnowsRcptParam(p.Name) {
			c.reply(504, "", "Unrecognized or unsupported option: "+asciiOnly(p.Name))
			return
		}
	}
	if len(c.s.Tx.Recipients) == 0 {
		c.rcptOctets = 0
	}
	if len(c.s.Tx.Recipients) >= maxRecipients || c.rcptOctets > maxRecipientOctets {
		c.reply(452, "4.5.3", "Requested action not taken: max recipients reached")
		return
	}
	r := smtphooks.Recipient{Address: addr, Params: args.params}
	d := c.e.chain.Rcpt(ctx, c.s, r)
	if d.Refuses() {
		c.decide(d)
		c.e.refused(ctx, c, "RCPT", addr.Pretty(), d)
		return
	}
	if !d.Duplicate || c.e.cfg.LMTP { // each that gets 250 gets a reply to the message, too
		c.s.Tx.Recipients = append(c.s.Tx.Recipients, r)
		c.rcptOctets += len(arg)
	}
	c.reply(250, "2.1.5", "Recipient "+addr.Pretty()+" OK")
}
