package repository

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
)

// QueueFilter selects items of a queue. Zero fields select everything.
type QueueFilter struct {
	Sender    *string // exact text, "" or "<>" for the null reverse-path
	Recipient *string // exact text of one recipient
	Name      *string
	Delayed   *bool  // ready later than now, or not
	Host      string // destination or domain of a recipient, ignoring case
	State     string // processor that the mail is for
	Attribute Attribute
	// The time since which the item is in the queue; retries do not begin it anew.
	EnqueuedBefore, EnqueuedAfter time.Time
}

// MailFilter selects mails of a repository. Zero fields select everything.
type MailFilter struct {
	UpdatedBefore, UpdatedAfter time.Time
	Sender, Recipient           string // address ignoring case, or *@domain
	RemoteAddr, RemoteHost      string // exact
	State                       string // exact
	Attribute                   Attribute
}

// Attribute selects mails by an attribute: those that have it or, with a value,
// whose attribute has that value, as text. The zero value selects all.
type Attribute string

// Matches reports whether a mail with the attributes is selected. Text without
// "=" is a name; behind it is the value.
func (a Attribute) Matches(attributes container.Attributes) bool {
	if a == "" {
		return true
	}
	name, want, valued := strings.Cut(string(a), "=")
	v, ok := attributes[name]
	if !ok || !valued {
		return ok
	}
	return fmt.Sprint(v) == want
}

// Matches reports whether f selects m.
func (f *MailFilter) Matches(m *container.Mail) bool {
	return (f.UpdatedBefore.IsZero() || m.LastUpdated.Before(f.UpdatedBefore)) &&
		(f.UpdatedAfter.IsZero() || m.LastUpdated.After(f.UpdatedAfter)) &&
		(f.RemoteAddr == "" || f.RemoteAddr == m.RemoteAddr) &&
		(f.RemoteHost == "" || f.RemoteHost == m.RemoteHost) &&
		(f.State == "" || f.State == m.State) &&
		(f.Sender == "" || addressMatches(f.Sender, m.Sender)) &&
		(f.Recipient == "" || slices.ContainsFunc(m.Recipients, func(a container.Address) bool { return addressMatches(f.Recipient, a) })) &&
		f.Attribute.Matches(m.Attributes)
}

// addressMatches compares ignoring case; *@domain stands for every address of a
// domain.
func addressMatches(pattern string, a container.Address) bool {
	if domain, ok := strings.CutPrefix(pattern, "*@"); ok {
		return strings.EqualFold(domain, a.Domain)
	}
	return strings.EqualFold(pattern, a.String())
}
