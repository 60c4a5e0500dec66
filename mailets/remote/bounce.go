package remote

import (
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// textBounce sends the plain text that James sends without a bounce processor
// (Bouncer, MailetContext.bounce). Nobody is told about mail with a null
// reverse-path, nor about recipients for whom no failure notice is wanted (RFC
// 3461 §4.1), which James does not look at.
func (h *handover) textBounce(g reasons) {
	m := h.mail
	var rcpts []container.Address
	for _, i := range g.rcpts {
		if wantsFailure(&h.a.env.asked, h.a.rcpts[i].addr) {
			rcpts = append(rcpts, h.a.rcpts[i].addr)
		}
	}
	if m.Sender.IsNull() || len(rcpts) == 0 {
		h.in.log.Info("mail dropped without notice", "mail", m.Name, "from", m.Sender.Pretty(), "reply", g.outcome.Reply())
		return
	}
	orig := m.Message.Header()
	subject, _ := mime.Get(orig, "Subject")
	var header []byte
	add := func(name, value string) { header = append(header, mime.FormatField(name, value)...) }
	add("From", h.in.services.Postmaster.String())
	add("To", m.Sender.String())
	add("Subject", "Re: "+subject)
	add("Date", mime.FormatDate(h.now))
	add("Message-ID", mime.MessageID(h.in.cfg.HeloName))
	if id, ok := mime.Get(orig, "Message-ID"); ok {
		refs, _ := mime.Get(orig, "References")
		add("In-Reply-To", id)
		add("References", strings.TrimSpace(refs+" "+id))
	}
	add("Auto-Submitted", "auto-replied") // RFC 3834 §5
	add("MIME-Version", "1.0")
	add("Content-Type", "text/plain; charset=utf-8")
	add("Content-Transfer-Encoding", "8bit")
	body := strings.ReplaceAll(h.bounceText(rcpts, g.outcome), "\n", "\r\n")
	b := container.NewMail(container.Address{}, []container.Address{m.Sender}, container.NewMessage(header, container.BytesBody(body)))
	b.Name = "replyTo-" + m.Name
	if h.pieces > 0 {
		b.Name = "replyTo-" + h.pieceName()
	}
	h.pieces++
	h.out.Send(b)
}

// bounceText is James's text, which mail clients and scripts know.
func (h *handover) bounceText(rcpts []container.Address, o container.Outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Hi. This is the James mail server at %s.\n", h.in.cfg.HeloName)
	b.WriteString("I'm afraid I wasn't able to deliver your message to the following addresses.\n" +
		"This is a permanent error; I've given up. Sorry it didn't work out. Below\n" +
		"I include the list of recipients and the reason why I was unable to deliver\n" +
		"your message.\n\n")
	for _, r := range rcpts {
		b.WriteString(r.String() + "\n")
	}
	switch {
	case o.Code != 0 && o.Host != "":
		b.WriteString("Remote mail server told me: " + deliveryError(o) + "\n\n")
	case o.Enhanced == "5.1.2" || o.Enhanced == "4.1.2":
		fmt.Fprintf(&b, "Unknown host: %s\nThis could be a DNS server error, a typo, or a problem with the recipient's mail server.\n\n", rcpts[0].Domain)
	default:
		b.WriteString(o.Text + "\n\n")
	}
	return b.String()
}

// wantsFailure reports whether a failure notice for rcpt is wanted.
func wantsFailure(asked *container.RecipientLookup, rcpt container.Address) bool {
	n, ok := asked.RecipientString(container.AttrDSNNotify, rcpt)
	return !ok || n == "" || strings.Contains(strings.ToUpper(n), "FAILURE")
}
