package mailets

import (
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// notifier makes the notices of Bounce, NotifySender and NotifyPostmaster.
type notifier struct {
	redirected
	hostname    string
	from        container.Address
	fromSender  bool
	prefix      string
	passThrough bool
	now         func() time.Time
}

// Default first lines of the text, for senders and for the postmaster.
const (
	bounceText     = "Your message could not be delivered because of an error in this mail server."
	postmasterText = "This message could not be delivered because of an error in this mail server."
)

// readNotifier reads what all three classes have; text is the default text.
func readNotifier(s Services, p *conf.Params, text string) notifier {
	p.Strict()
	n := notifier{hostname: s.Hostname, from: s.Postmaster, now: time.Now, prefix: p.String("prefix", "Re:"), passThrough: p.Bool("passThrough", true)}
	n.redirected = readRedirected(p, "none", "message")
	n.text = p.String("message", text)
	n.text = p.String("notice", n.text)
	p.Bool("fakeDomainCheck", false)
	p.Bool("debug", false)
	n.from, n.fromSender = readFrom(p, n.from, "sender", "sendingAddress")
	return n
}

// readFrom reads who a notice comes from, from the first of the parameters that is
// there: an address, or the sender of the mail; else it is the postmaster.
func readFrom(p *conf.Params, postmaster container.Address, names ...string) (from container.Address, sender bool) {
	var item addressItem
	for _, name := range slices.Backward(names) {
		if other := readAddressItem(p, name, wordPostmaster, wordSender, wordUnaltered); p.Has(name) {
			item = other
		}
	}
	if item.addr.IsNull() {
		item.addr = postmaster
	}
	return item.addr, item.word == wordSender
}

// readTo reads the parameter to, one of words. Other text has no effect, as in
// James.
func readTo(p *conf.Params, words ...string) string {
	v := strings.ToLower(p.String("to", words[0]))
	if !slices.Contains(words, v) {
		p.Warn("to", "<to> is %q, not one of %s; using %s", v, strings.Join(words, ", "), words[0])
		v = words[0]
	}
	return v
}

// notify sends a notice about m to rcpt. To and Auto-Submitted are what to and
// auto say; an empty to leaves the field out. more comes behind them.
func (n *notifier) notify(m *container.Mail, out *container.Outbox, rcpt container.Address, to, auto string, more ...headField) error {
	from := n.from
	if n.fromSender && !m.Sender.IsNull() {
		from = m.Sender
	}
	old := m.Message.Header()
	subject, _ := mime.Text(old, "Subject")
	h := headFields{{"Date", mime.FormatDate(n.now())}, {"From", from.Path()}}
	if to != "" {
		h = append(h, headField{"To", to})
	}
	h = append(h, headField{"Subject", strings.TrimSpace(n.prefix + " " + subject)},
		headField{"Message-ID", mime.MessageID(n.hostname)},
		headField{"Auto-Submitted", auto}) // RFC 3834 §5
	h = append(h, more...)
	if id, ok := mime.Get(old, "Message-ID"); ok {
		h = append(h, headField{"In-Reply-To", id})
	}
	msg, err := n.message(m, h, noticeText(m, n.text))
	if err != nil {
		return err
	}
	name, err := m.DeriveName()
	if err != nil {
		return err
	}
	// RFC 5321 §4.5.5: a notification has the null reverse-path.
	mail := container.NewMail(container.Address{}, []container.Address{rcpt}, msg)
	mail.Name = name
	if n.hostname != "" {
		mail.RemoteHost = n.hostname
	}
	keepForRedirect(m, mail)
	if !from.IsASCII() || !rcpt.IsASCII() {
		mail.Set(container.AttrSMTPUTF8, true)
	}
	out.Send(mail)
	return nil
}

// originalTo is the To field of the mail, for to=unaltered; "" for none.
func originalTo(m *container.Mail) string {
	return strings.Join(mime.Values(m.Message.Header(), "To"), ", ")
}
