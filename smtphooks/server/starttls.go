package server

import "context"

// startTLS switches to TLS (RFC 3207). Whatever was received behind the command
// was sent in the clear by somebody: the connection ends (command injection).
func (c *conn) startTLS(ctx context.Context, verb, arg string) {
	switch {
	case verb != "STARTTLS" || arg != "" || len(c.in.window()) > 0:
		c.trouble()
		c.closing, c.linger = true, true
	case !c.s.StartTLS:
		c.unknown(ctx, verb)
	case c.s.TLSProtocol != "":
		c.reply(500, "5.5.1", "TLS already active RFC2487 5.2")
	case c.s.User != "":
		c.reply(501, "5.5.4", "Syntax error (invalid command in this state) Already authenticated...")
	default:
		c.reply(220, "2.0.0", "Ready to start TLS")
		if c.flush() != nil || !c.handshake(ctx) {
			c.closing = true
			return
		}
		// RFC 3207 §4.2: what the client said before does not count.
		c.s.Reset()
		c.s.Helo, c.s.HeloMode, c.heloName = "", "", ""
	}
}
