package mailets

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// ServerTime answers a mail with the time of this server, to see whether mail
// gets through.
//
//	<mailet match="RecipientIs=time@example.com" class="ServerTime"/>
//
// The answer goes to the first address in Reply-To, or else From, and comes from
// the first recipient.
// Automatic mail and mail with a null sender get none. The mail itself goes on.
//
// Parameters: none.
//
// Differs from James: automatic mail, such as that of lists, is not answered; the
// answer goes to one address, not to as many as a stranger lists; it has the null
// reverse-path and Auto-Submitted (RFC 3834); the text is another.
type ServerTime struct {
	hostname string
	now      func() time.Time
}

func newServerTime(hostname string) container.MailetFactory {
	return func(*conf.Params) container.Mailet { return &ServerTime{hostname, time.Now} }
}

// Service sends the answer.
func (s *ServerTime) Service(_ context.Context, m *container.Mail, out *container.Outbox) error {
	if m.Sender.IsNull() || len(m.Recipients) == 0 || automatic(m) {
		return nil
	}
	to, now := replyAddresses(m)[:1], s.now()
	h := headFields{
		{"Date", mime.FormatDate(now)},
		{"From", m.Recipients[0].Path()},
		{"To", addressField(to)},
		{"Subject", "The time is now..."},
		{"Message-ID", mime.MessageID(s.hostname)},
		{"Auto-Submitted", "auto-replied"},
		{"MIME-Version", "1.0"},
	}
	if id, ok := mime.Get(m.Message.Header(), "Message-ID"); ok {
		h = append(h, headField{"In-Reply-To", id}, headField{"References", id})
	}
	head := append(h.bytes(), "Content-Type: text/plain; charset=us-ascii\r\n"...)
	body := container.BytesBody("It is " + mime.FormatDate(now) + " on this mail server.\r\n")
	name, err := m.DeriveName()
	if err != nil {
		return fmt.Errorf("answer with the time: %w", err)
	}
	n := container.NewMail(container.Address{}, to, container.NewMessage(head, body))
	n.Name = name
	for _, a := range append(to[:len(to):len(to)], m.Recipients[0]) {
		if !a.IsASCII() {
			n.Set(container.AttrSMTPUTF8, true)
		}
	}
	out.Send(n)
	return nil
}

// automatic reports whether no automatic answer may be given to the message
// (RFC 3834 §2).
func automatic(m *container.Mail) bool {
	h := m.Message.Header()
	if auto, ok := mime.Get(h, "Auto-Submitted"); ok && !hasPrefixFold(auto, "no") {
		return true
	}
	switch p, _ := mime.Get(h, "Precedence"); strings.ToLower(p) {
	case "bulk", "list", "junk":
		return true
	}
	return mime.Has(h, "List-Id") || mime.Has(h, "List-Unsubscribe")
}
