package pipe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// Names of the placeholders, and what they stand for.
const (
	sender    = "sender"    // reverse-path, empty when it is null
	recipient = "recipient" // the recipient
	user      = "user"      // its local part
	domain    = "domain"    // its domain
)

var placeholders = []string{sender, recipient, user, domain}

// Envelope is what a program is told about the mail.
type Envelope struct {
	Name              string // of the mail
	Sender, Recipient container.Address
	Original          string // recipient as the client gave it, "" for the same
}

func (e Envelope) value(placeholder string) string {
	switch placeholder {
	case sender:
		return e.Sender.String()
	case recipient:
		return e.Recipient.String()
	case user:
		return e.Recipient.Local
	default:
		return e.Recipient.Domain
	}
}

// Argument is one argument of a program: text in which {sender}, {recipient},
// {user} and {domain}, or the same with a dollar sign in front, are replaced.
type Argument struct {
	parts []part
	// open: it begins with a placeholder, where an address could make it an
	// option; folder: its own text has a slash, so that it is a path.
	open, folder bool
}

type part struct {
	text        string
	placeholder bool // text is the name of one
}

// ParseArguments reads arguments. Behind an argument "--" there are no options,
// so that all is allowed there. An error names a placeholder that does not
// exist.
func ParseArguments(list []string) ([]Argument, error) {
	var out []Argument
	operands := false
	for _, s := range list {
		a, err := parseArgument(s)
		if err != nil {
			return nil, err
		}
		a.open = a.open && !operands
		operands = operands || s == "--"
		out = append(out, a)
	}
	return out, nil
}

func parseArgument(s string) (Argument, error) {
	var a Argument
	text := func(t string) {
		if t != "" {
			a.parts = append(a.parts, part{text: t})
			a.folder = a.folder || strings.Contains(t, "/")
		}
	}
	for {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			text(s)
			return a, nil
		}
		n := strings.IndexByte(s[i:], '}')
		if n < 0 || !isWord(s[i+1:i+n]) {
			text(s[:i+1])
			s = s[i+1:]
			continue
		}
		name := s[i+1 : i+n]
		if !slices.Contains(placeholders, name) {
			return a, fmt.Errorf("{%s} stands for nothing: there are {%s}", name, strings.Join(placeholders, "}, {"))
		}
		text(strings.TrimSuffix(s[:i], "$"))
		a.open = a.open || len(a.parts) == 0
		a.parts = append(a.parts, part{name, true})
		s = s[i+n+1:]
	}
}

func isWord(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return s != ""
}

// expand returns the argument for one recipient, or why it must not be passed
// on: an address would make an option of it, lead out of the folder that it
// names, or cannot be passed at all.
func (a Argument) expand(e Envelope) (string, error) {
	var b strings.Builder
	for _, p := range a.parts {
		if !p.placeholder {
			b.WriteString(p.text)
			continue
		}
		v := e.value(p.text)
		switch {
		case a.folder && strings.Contains(v, "/"):
			return "", fmt.Errorf("%q has a slash and cannot be part of a path", v)
		case strings.IndexByte(v, 0) >= 0:
			return "", fmt.Errorf("%q cannot be an argument", v)
		}
		b.WriteString(v)
	}
	s := b.String()
	if a.open && strings.HasPrefix(s, "-") {
		return "", fmt.Errorf("%q would be taken for an option", s)
	}
	return s, nil
}
