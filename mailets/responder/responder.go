// Package responder sends answers that nobody wrote: vacation notices and the
// like. It knows whom not to answer (RFC 3834, RFC 5230 §4.5 to §4.7) and what an answer
// looks like; what is said, and to whom it was said before, is of others.
package responder

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
)

// Mode says to whom an answer goes.
type Mode int

const (
	// Envelope answers the sender of the envelope, as RFC 3834 §4 asks.
	Envelope Mode = iota
	// ReplyToHeader answers the first address in Reply-To, and the sender of the
	// envelope where there is none, as James does.
	ReplyToHeader
)

// Answer is what a user says to a mail.
type Answer struct {
	User container.Address
	// Handle tells apart the answers of one user: a correspondent gets one of
	// each.
	Handle  string
	Aliases []container.Address // further addresses of the user
	// Period passes before the same correspondent is answered again; 0: none.
	Period time.Duration
	Until  time.Time // when it is over; zero: Period from now
	// From is the field From, one mailbox; "" or what is none: User.
	From       string
	Subject    string // "": Re: and the subject of the mail
	Text, HTML string // UTF-8; HTML "" for none, Text "" for that of HTML
	// MIME, when not empty, is a whole MIME entity that is sent instead of Text and
	// HTML: content fields, an empty line and the body.
	MIME    []byte
	ReplyTo Mode
	// Unaddressed answers also mails that name the user in none of To, Cc, Bcc and
	// their Resent forms (RFC 5230 §4.5).
	Unaddressed bool
	// FromUser makes the user the sender of the envelope. Otherwise it is null, so
	// that nobody answers the answer (RFC 3834 §3.3).
	FromUser bool
}

// Notes keeps who was answered; see local.VacationStorage.
type Notes interface {
	NoteResponse(ctx context.Context, user, handle, correspondent string, now, until time.Time) (bool, error)
}

// Responder answers mails. It is safe for concurrent use.
type Responder struct {
	Notes    Notes
	Hostname string // for Message-ID
	// UserName returns the account of an address; nil: the address in lower case.
	UserName func(container.Address) string
	Now      func() time.Time // nil: time.Now
}

// Reply answers m on behalf of a.User unless RFC 3834 says no answer, or the
// correspondent has had it; it puts the answer into out. why tells why nothing was
// sent. That the answer is sent is noted durably before m has left the spool: a
// crash between the two costs an answer and never doubles it.
func (r *Responder) Reply(ctx context.Context, m *container.Mail, out *container.Outbox, a Answer) (sent bool, why string, err error) {
	if why := refusal(m, &a); why != "" {
		return false, why, nil
	}
	to := correspondent(m, a.ReplyTo)
	if why := notPerson(to, &a); why != "" {
		return false, why, nil
	}
	now := r.now()
	until := a.Until
	if until.IsZero() {
		until = now.Add(a.Period)
	}
	answer, err := r.mail(m, to, &a, now)
	if err != nil {
		return false, "", fmt.Errorf("answer for %s: %w", a.User, err)
	}
	first, err := r.Notes.NoteResponse(ctx, r.userName(a.User), a.Handle, strings.ToLower(to.String()), now, until)
	if err != nil {
		return false, "", fmt.Errorf("note the answer of %s: %w", a.User, err)
	}
	if !first {
		return false, to.String() + " was answered before", nil
	}
	out.Send(answer)
	return true, "", nil
}

// Compose returns the answer to m for to, without asking whether m may be answered:
// for commands. Notes is not used.
func (r *Responder) Compose(m *container.Mail, to container.Address, a Answer) (*container.Mail, error) {
	return r.mail(m, to, &a, r.now())
}

func (r *Responder) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

func (r *Responder) userName(a container.Address) string {
	if r.UserName == nil {
		return strings.ToLower(a.String())
	}
	return r.UserName(a)
}
