package responder

import (
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// correspondent returns who gets the answer; null for nobody.
func correspondent(m *container.Mail, mode Mode) container.Address {
	if mode == ReplyToHeader {
		if list := mime.Addresses(m.Message.Header(), "Reply-To"); len(list) > 0 {
			return list[0]
		}
	}
	return m.Sender
}

// refusal tells why a mail is not answered, whoever would get the answer; "" when
// nothing speaks against it. Sources: RFC 3834 §2, RFC 5230 §4.5 and §4.6.
func refusal(m *container.Mail, a *Answer) string {
	if m.Sender.IsNull() {
		return "the sender is null"
	}
	if own, _ := m.Attributes.Bool(container.AttrSentByMailet); own {
		return "this server made the mail"
	}
	if why := notPerson(m.Sender, a); why != "" {
		return why
	}
	h := m.Message.Header()
	for f := range mime.Fields(h) {
		if why := fieldRefusal(f); why != "" {
			return why
		}
	}
	if Crowded(h) {
		return "the mail names too many addresses"
	}
	if !a.Unaddressed && !addressed(h, a) {
		return "the mail does not name the user as a recipient"
	}
	return ""
}

// maxAddresses bounds the fields with addresses of a mail that is answered, in
// octets together: a few thousand addresses. No person writes to more, and reading
// a megabyte of them takes half a second, for each user who is away.
const maxAddresses = 64 << 10

// Crowded reports whether the fields with addresses are too long to be read. Such
// mails are not answered.
func Crowded(header []byte) bool {
	if len(header) <= maxAddresses {
		return false
	}
	n := 0
	for f := range mime.Fields(header) {
		switch name := strings.ToLower(string(f.Name)); strings.TrimPrefix(name, "resent-") {
		case "from", "reply-to", "to", "cc", "bcc":
			n += len(f.Raw)
		}
	}
	return n > maxAddresses
}

// fieldRefusal tells why no mail with this field is answered.
func fieldRefusal(f mime.Field) string {
	if len(f.Name) == 0 || !strings.ContainsRune("aAcCpPlLxX", rune(f.Name[0])) {
		return ""
	}
	switch name := strings.ToLower(string(f.Name)); {
	case strings.HasPrefix(name, "list-"):
		return "the mail comes from a mailing list"
	case name == "auto-submitted":
		if firstWord(f.Value()) != "no" {
			return "the mail was sent automatically"
		}
	case name == "precedence":
		switch v := firstWord(f.Value()); v {
		case "bulk", "list", "junk", "auto_reply":
			return "the mail has precedence " + v
		}
	case name == "content-type":
		if mime.ParseParameterized(f.Value()).Main == "multipart/report" {
			return "the mail is a report"
		}
	case name == "x-auto-response-suppress":
		for w := range strings.SplitSeq(f.Value(), ",") {
			switch firstWord(w) {
			case "oof", "all", "autoreply":
				return "the mail asks for no automatic answer"
			}
		}
	}
	return ""
}

// firstWord returns a value in lower case without comments and parameters.
func firstWord(v string) string {
	v = strings.TrimSpace(v)
	for strings.HasPrefix(v, "(") {
		_, rest, closed := strings.Cut(v, ")")
		if !closed {
			return ""
		}
		v = strings.TrimSpace(rest)
	}
	if i := strings.IndexAny(v, ";( \t"); i >= 0 {
		v = v[:i]
	}
	return strings.ToLower(v)
}

// addressed reports whether the message names the user as one of its recipients.
func addressed(h []byte, a *Answer) bool {
	for _, name := range [...]string{"To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"} {
		if !mime.Has(h, name) {
			continue
		}
		for _, addr := range mime.Addresses(h, name) {
			if a.owns(addr) {
				return true
			}
		}
	}
	return false
}

func (a *Answer) owns(addr container.Address) bool {
	return a.User.Equal(addr) || container.ContainsAddress(a.Aliases, addr)
}

// notPerson tells why an address is not answered.
func notPerson(addr container.Address, a *Answer) string {
	switch {
	case addr.IsNull():
		return "there is nobody to answer"
	case a.owns(addr):
		return "the user wrote the mail"
	case isRobot(addr.Local):
		return addr.String() + " is not a person"
	}
	return ""
}

// isRobot reports whether a local part is one of those that read no answers: those
// of RFC 3834 §2 and James, addresses that say so themselves, and where mailing
// lists take their bounces.
func isRobot(local string) bool {
	local = strings.ToLower(strings.Trim(local, `"`))
	base, _, _ := strings.Cut(local, "+")
	switch base {
	case "mailer-daemon", "listserv", "majordomo", "bounce", "bounces":
		return true
	}
	for _, prefix := range [...]string{"owner-", "bounce-", "bounces-"} {
		if strings.HasPrefix(local, prefix) {
			return true
		}
	}
	for _, suffix := range [...]string{"-request", "-owner", "-bounces", "-bounce"} {
		if strings.HasSuffix(base, suffix) {
			return true
		}
	}
	plain := strings.NewReplacer("-", "", "_", "", ".", "").Replace(base)
	for _, w := range [...]string{"noreply", "donotreply"} {
		if strings.HasPrefix(plain, w) || strings.HasSuffix(plain, w) {
			return true
		}
	}
	return false
}
