package smtphooks

import (
	"context"
	"net/netip"
	"time"

	"github.com/mailetd/mailetd/container"
)

// Param is one ESMTP parameter of MAIL or RCPT as received: the name in upper
// case, the value untouched.
type Param struct {
	Name, Value string
	HasValue    bool // there was a =
}

// Recipient is one accepted recipient and the parameters of its RCPT command.
type Recipient struct {
	Address container.Address
	Params  []Param
}

// Session is what is known of one connection. It belongs to the goroutine of
// the connection: hooks use it during a call and do not keep it.
type Session struct {
	ID        string // 8 hexadecimal digits
	Server    string // name of the end point (jmxName)
	Hello     string // our name
	Connected time.Time

	// RemoteAddr is the address of the client, behind a proxy the one that the
	// PROXY header names.
	RemoteAddr netip.Addr

	Helo     string // argument of the last HELO or EHLO, also of a refused one
	HeloMode string // "HELO" or "EHLO" once one was accepted
	User     string // authenticated user in lower case, or ""

	// Relaying tells that the client may send to foreign domains: it comes from
	// an authorized address or is authenticated.
	Relaying bool
	// AuthAnnounced tells that AUTH is offered to this client in its present
	// state.
	AuthAnnounced bool

	TLSProtocol string // JSSE name such as TLSv1.3; "" on a clear connection
	TLSCipher   string
	StartTLS    bool // STARTTLS is configured

	Tx *Transaction

	reverse func(context.Context, netip.Addr) string
	name    string
	named   netip.Addr
	state   map[any]any
}

// NewSession returns a session with an empty transaction. Reverse looks the name
// of an address up, bounded in time, and returns "" when there is none.
func NewSession(id string, remote netip.Addr, reverse func(context.Context, netip.Addr) string) *Session {
	return &Session{ID: id, RemoteAddr: remote, Connected: time.Now(), Tx: &Transaction{}, reverse: reverse}
}

// RemoteHost returns the name of the client as the reverse lookup gives it, or
// its address. The answer is kept for the connection. It is not verified.
func (s *Session) RemoteHost(ctx context.Context) string {
	if s.name != "" && s.named == s.RemoteAddr {
		return s.name
	}
	s.named, s.name = s.RemoteAddr, ""
	if s.reverse != nil {
		s.name = s.reverse(ctx, s.RemoteAddr)
	}
	if s.name == "" {
		s.name = s.RemoteAddr.String()
	}
	return s.name
}

// Reset begins a new transaction.
func (s *Session) Reset() { s.Tx = &Transaction{} }

// State returns what a hook noted with SetState for the connection.
func (s *Session) State(key any) any { return s.state[key] }

// SetState notes something for the rest of the connection. Keys are values of
// types of the hook, so that hooks do not meet.
func (s *Session) SetState(key, value any) {
	if s.state == nil {
		s.state = map[any]any{}
	}
	s.state[key] = value
}

// Transaction is one mail on its way in.
type Transaction struct {
	HasSender  bool
	Sender     container.Address // zero: null reverse-path
	Recipients []Recipient       // accepted ones, duplicates kept
	UTF8       bool              // MAIL had SMTPUTF8
	Body       string            // BODY parameter of MAIL, "" when not given
	Delay      time.Duration     // the mail is not processed before this has passed

	state map[any]any
}

// State returns what a hook noted with SetState for the transaction.
func (t *Transaction) State(key any) any { return t.state[key] }

// SetState notes something until the transaction ends.
func (t *Transaction) SetState(key, value any) {
	if t.state == nil {
		t.state = map[any]any{}
	}
	t.state[key] = value
}

// ClearState forgets what hooks noted: a MAIL command that is refused leaves
// nothing behind.
func (t *Transaction) ClearState() { t.state = nil }
