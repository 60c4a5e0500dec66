package server

import (
	"context"
	"net/netip"
	"time"

	"github.com/mailetd/mailetd/container"
)

// received returns the Received field of the message that begins.
//
// Source: ReceivedDataLineFilter (James); RFC 5321 §4.4.
func (c *conn) received(ctx context.Context) []byte {
	const fold = "\r\n          "
	s := c.s
	b := make([]byte, 0, 4<<10) // the header of the message follows in the same slice
	b = append(b, "Received: from "...)
	b = append(b, s.RemoteHost(ctx)...)
	if s.HeloMode != "" && c.heloName != "" {
		b = append(b, " ("+s.HeloMode+" "+c.heloName+")"...)
	}
	b = append(b, " (["+s.RemoteAddr.String()+"])"...)
	if s.TLSProtocol != "" {
		b = append(b, fold+"(using "+s.TLSProtocol+" with cipher "+s.TLSCipher+")"...)
	}
	software := "JAMES SMTP Server "
	if c.e.cfg.LMTP {
		software = lmtpSoftware
	}
	b = append(b, fold+"by "+s.Hello+" ("+software+") with "+c.protocol()+" ID "+s.ID...)
	if len(s.Tx.Recipients) == 1 {
		b = append(b, fold+"for <"+s.Tx.Recipients[0].Address.Path()+">"...)
	}
	b = append(b, ";"+fold...)
	b = time.Now().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 -0700 (MST)")
	return append(b, "\r\n"...)
}

// protocol returns the value of the with clause (RFC 3848; RFC 6531 §3.7.3 for
// messages that need SMTPUTF8).
func (c *conn) protocol() string {
	p, utf8 := "ESMTP", "UTF8SMTP"
	switch {
	case c.e.cfg.LMTP:
		p, utf8 = "LMTP", "UTF8LMTP"
	case c.s.HeloMode != "EHLO":
		return "SMTP"
	}
	if c.s.Tx.UTF8 {
		p = utf8
	}
	if c.s.TLSProtocol != "" {
		p += "S"
	}
	if c.s.User != "" {
		p += "A"
	}
	return p
}

// reverseTimeout bounds the lookup of a client's name, which mail waits for.
const reverseTimeout = 2 * time.Second

// reverse returns the name of ip, or "" when it has none, is not answered in
// time, or is no name that may be written into a header.
func (s *Server) reverse(ctx context.Context, ip netip.Addr) string {
	if ip.IsLoopback() {
		return "localhost"
	}
	if s.services.DNS == nil || !ip.IsValid() {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, reverseTimeout)
	defer cancel()
	name, err := s.services.DNS.Reverse(ctx, ip)
	if err != nil {
		return ""
	}
	if _, err := container.ParseDomain(name); err != nil {
		return ""
	}
	return name
}
