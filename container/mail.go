package container

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// States that have a meaning of their own; every other state is the name of a
// processor.
const (
	StateRoot  = "root"  // where a new mail starts
	StateError = "error" // where a mail goes that could not be processed
	StateGhost = "ghost" // nothing more to do: the mail is dropped
)

// SpoolQueue is the name of the queue in front of the processors.
const SpoolQueue = "spool"

// Mail is an envelope, a message and what happened to it so far. One goroutine
// owns a Mail at a time.
//
// Source: org.apache.mailet.Mail, org.apache.james.server.core.MailImpl.
type Mail struct {
	// ID stays the same when a mail is split, renamed or stored again: it
	// follows one accepted message through the log.
	ID string
	// Name is what an operator sees: log, queue listing and repository key.
	// Several mails may have the same name.
	Name         string
	Sender       Address // zero: null reverse-path
	Recipients   []Address
	State        string // processor that handles the mail next
	ErrorMessage string
	RemoteHost   string // name of the peer, not verified
	RemoteAddr   string
	LastUpdated  time.Time
	Attributes   Attributes
	// RecipientHeaders are header fields that local delivery adds to the copy of
	// one recipient. Keys are Address.Key.
	RecipientHeaders map[string][]HeaderField
	Message          Message

	// Redelivered is set when this mail was being processed before, when the
	// process died: effects outside the store may have happened already. It is
	// not stored.
	Redelivered bool

	copies int
}

// HeaderField is one header field, decoded of nothing.
type HeaderField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// NewMail returns a mail in state root with a fresh name and ID, from and to
// the given addresses, coming from this host.
func NewMail(sender Address, recipients []Address, msg Message) *Mail {
	return &Mail{
		ID:          rand.Text(),
		Name:        NewName(),
		Sender:      sender,
		Recipients:  recipients,
		State:       StateRoot,
		RemoteHost:  "localhost",
		RemoteAddr:  "127.0.0.1",
		LastUpdated: time.Now(),
		Message:     msg,
	}
}

// NewName returns a name for a new mail: "Mail", the time in milliseconds, "-"
// and 20 random characters.
func NewName() string {
	return fmt.Sprintf("Mail%d-%s", time.Now().UnixMilli(), rand.Text()[:20])
}

// Set sets an attribute. See Value for the types that are stored.
func (m *Mail) Set(name string, v Value) {
	if m.Attributes == nil {
		m.Attributes = Attributes{}
	}
	m.Attributes[name] = v
}

// Limits of derived names (org.apache.james.server.core.MailImpl).
const (
	maxNameLength = 48
	maxNameCopies = 7
)

// ErrTooManyCopies stops a mail that copies of copies of it were made of: in
// all likelihood the configuration loops.
var ErrTooManyCopies = errors.New("Unable to create a new message name: too long. Possible loop in config.xml.") //lint:ignore ST1005 James's text

// DeriveName returns the name of the next copy of m: m's name, "!" and four
// characters, of which the last 48 are kept. The characters depend only on the
// mail and on how many copies were made before, so that a mail that is
// processed again after a crash gives its copies the same names.
func (m *Mail) DeriveName() (string, error) {
	if strings.Count(m.Name, "!") > maxNameCopies {
		return "", fmt.Errorf("copy mail %s: %w", m.Name, ErrTooManyCopies)
	}
	m.copies++
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d", m.ID, m.Name, m.State, m.copies)
	sum := h.Sum64()
	name := []byte(m.Name + "!")
	for range 4 {
		name = append(name, alphabet[sum%uint64(len(alphabet))])
		sum /= uint64(len(alphabet))
	}
	if len(name) > maxNameLength {
		name = name[len(name)-maxNameLength:]
	}
	return string(name), nil
}

// Duplicate returns a copy under a derived name, in state root, as in James.
func (m *Mail) Duplicate() (*Mail, error) {
	name, err := m.DeriveName()
	if err != nil {
		return nil, err
	}
	c := m.Clone()
	c.Name, c.State, c.copies = name, StateRoot, 0
	return c, nil
}

// Clone returns a copy that shares nothing that can change.
func (m *Mail) Clone() *Mail {
	c := *m
	c.Recipients = slices.Clone(m.Recipients)
	c.Attributes = m.Attributes.Clone()
	if m.RecipientHeaders != nil {
		c.RecipientHeaders = make(map[string][]HeaderField, len(m.RecipientHeaders))
		for k, v := range m.RecipientHeaders {
			c.RecipientHeaders[k] = slices.Clone(v)
		}
	}
	return &c
}

// AddRecipientHeader adds a header field to the copy of one recipient.
func (m *Mail) AddRecipientHeader(rcpt Address, name, value string) {
	if m.RecipientHeaders == nil {
		m.RecipientHeaders = map[string][]HeaderField{}
	}
	m.RecipientHeaders[rcpt.Key()] = append(m.RecipientHeaders[rcpt.Key()], HeaderField{name, value})
}
