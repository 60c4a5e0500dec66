package mailbox

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// NewAnyLayout is NewLayout for patterns that may do without %u: several
// recipients have one box then.
func NewAnyLayout(root, pattern string) (Layout, error) {
	l, err := NewLayout(root, pattern)
	if err == nil {
		return l, nil
	}
	// Any other fault shows again with a %u in the pattern.
	l, again := NewLayout(root, pattern+"/%u")
	if again != nil {
		return Layout{}, err
	}
	l.pattern = filepath.Dir(l.pattern)
	if l.pattern == "/" || root != "" && l.pattern == filepath.Clean(root) {
		return Layout{}, errors.New("the folder itself cannot be a mailbox")
	}
	return l, nil
}

// PerUser reports whether users have boxes of their own, at least within a domain.
func (l Layout) PerUser() bool {
	plain := strings.ReplaceAll(l.pattern, "%%", "")
	return strings.Contains(plain, "%u") || strings.Contains(plain, "%n")
}

// Copy returns the copy of m for the box of one recipient, for Store.Deliver. It
// has the header that LocalDelivery gives it; user, domain and folder are left to
// the caller.
func Copy(m *container.Mail, rcpt container.Address) *Message {
	msg := newCopy(m, rcpt.Key())
	msg.Header = copyHeader(m, mime.Remove(m.Message.Header(), "Return-Path"), rcpt, strings.ToLower(rcpt.String()))
	return msg
}

// SharedCopy returns the one copy of m for a box that several recipients share.
// Its header has each of them in an X-Envelope-To, and nothing that is for one of
// them alone.
func SharedCopy(m *container.Mail, rcpts []container.Address) *Message {
	msg := newCopy(m, "")
	base := mime.Remove(m.Message.Header(), "Return-Path", "X-Envelope-To")
	var to []byte
	for _, r := range rcpts {
		to = append(to, mime.FormatField("X-Envelope-To", r.String())...)
	}
	msg.Header = copyHeader(m, append(to, base...), container.Address{}, "")
	return msg
}

func newCopy(m *container.Mail, key string) *Message {
	return &Message{
		Repeated: m.Redelivered || hasFailedBefore(m),
		ID:       m.ID + "\x00" + m.Name + "\x00" + key,
		Time:     nameTime(m),
		Body:     m.Message.Body(),
	}
}

// Explain returns the enhanced status code of an error of Deliver, of class 5 when
// it makes no sense to try again, and a text that does not tell a stranger about
// our file system.
func Explain(err error) (enhanced, text string) { return classify(err) }
