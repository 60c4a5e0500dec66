package mailets

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/mime"
)

// resender sends a mail, or what is made of it, to others: Redirect, Resend and
// Forward (James: ProcessRedirectNotify).
type resender struct {
	redirected
	name        string // of the class, for errors
	hostname    string
	postmaster  container.Address
	dns         dns.Resolver
	recipients  addressItems
	to          addressItems
	from        addressItem
	replyTo     addressItem
	reversePath addressItem
	subject     string
	prefix      string
	isReply     bool
	passThrough bool
	checkSender bool
	now         func() time.Time
}

// newResender reads what all three classes have.
func newResender(s Services, p *conf.Params, name string) *resender {
	p.Strict()
	r := &resender{name: name, hostname: s.Hostname, postmaster: s.Postmaster, dns: s.DNS, now: time.Now,
		passThrough: p.Bool("passThrough", false), checkSender: p.Bool("fakeDomainCheck", false)}
	p.Bool("debug", false)
	r.inline, r.attachment = "unaltered", "none"
	return r
}

// readAll reads what Redirect and Resend have.
func (r *resender) readAll(p *conf.Params) {
	r.redirected = readRedirected(p, "unaltered", "none")
	r.text = p.String("message", "")
	r.recipients = readAddressItems(p, "recipients")
	r.to = readAddressItems(p, "to")
	r.from = readAddressItem(p, "sender", wordPostmaster, wordSender, wordUnaltered)
	words := []string{wordPostmaster, wordSender, wordNull, wordUnaltered}
	old := readAddressItem(p, "replyto", words...)
	if r.replyTo = readAddressItem(p, "replyTo", words...); r.replyTo == (addressItem{}) {
		r.replyTo = old
	}
	r.reversePath = readAddressItem(p, "reversePath", words...)
	r.subject, r.prefix = p.String("subject", ""), p.String("prefix", "")
	r.isReply = p.Bool("isReply", false)
	p.Bool("static", false)
}

// warnSame warns about a configuration that sends each mail round and round.
func (r *resender) warnSame(p *conf.Params) {
	if !r.recipients.given() {
		p.Warn("", "%s has no <recipients>: each mail is sent again to the recipients it has, from the processor root on", r.name)
	}
}

// errNobody keeps a mail that would be gone without having been sent to anybody.
var errNobody = errors.New("the configured recipients come to nobody for this mail")

// Service sends the new mail.
func (r *resender) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	n, err := r.resend(ctx, m)
	switch {
	case errors.Is(err, errNobody) && r.passThrough:
		return nil
	case err != nil:
		return fmt.Errorf("%s mail: %w", strings.ToLower(r.name), err)
	}
	out.Send(n)
	if !r.passThrough {
		m.State = container.StateGhost
	}
	return nil
}

func (r *resender) resend(ctx context.Context, m *container.Mail) (*container.Mail, error) {
	rcpts, sender := m.Recipients, m.Sender
	if r.recipients.given() {
		rcpts = r.recipients.envelope(m, r.postmaster)
	}
	if len(rcpts) == 0 {
		return nil, errNobody
	}
	if r.reversePath.given() {
		sender = r.reversePath.one(m, r.postmaster)
	}
	if r.checkSender && !sender.IsNull() {
		if err := r.checkDomain(ctx, sender); err != nil {
			return nil, err
		}
	}
	msg, err := r.newMessage(m)
	if err != nil {
		return nil, err
	}
	n, err := m.Duplicate()
	if err != nil {
		return nil, err
	}
	n.Sender, n.Message, n.Attributes = sender, msg, nil
	if r.recipients.given() {
		n.Recipients = rcpts
	}
	n.RemoteAddr = "127.0.0.1"
	if n.RemoteHost = r.hostname; r.hostname == "" {
		n.RemoteHost = "localhost"
	}
	r.keep(m, n)
	return n, nil
}

// keep sets the attributes of the new mail n: the record against loops, and what
// the next hop has to know.
func (r *resender) keep(m, n *container.Mail) {
	keepForRedirect(m, n)
	if v, ok := m.Attributes[container.AttrBodyType]; ok && r.inline == "unaltered" {
		n.Set(container.AttrBodyType, v)
	}
	ascii := n.Sender.IsASCII()
	for _, a := range append(n.Recipients[:len(n.Recipients):len(n.Recipients)], r.from.addr, r.replyTo.addr) {
		ascii = ascii && a.IsASCII()
	}
	for _, i := range r.to {
		ascii = ascii && i.addr.IsASCII()
	}
	if !ascii {
		n.Set(container.AttrSMTPUTF8, true)
	}
}

// kept are the fields that a new message takes over. Received keeps the count
// that ends loops (RFC 5321 §6.3), Auto-Submitted stops answers (RFC 3834 §5).
var kept = []string{"Received", "Date", "From", "Reply-To", "To", "Subject", "Auto-Submitted"}

// newMessage returns the message of the new mail.
func (r *resender) newMessage(m *container.Mail) (container.Message, error) {
	old := m.Message.Header()
	if r.inline == "unaltered" {
		h := r.edit(m, old)
		if len(h) == len(old) && (len(h) == 0 || &h[0] == &old[0]) {
			return m.Message, nil
		}
		return container.NewMessage(h, m.Message.Body()), nil
	}
	var head []byte
	for f := range mime.Fields(old) {
		for _, name := range kept {
			if f.Is(name) {
				head = append(head, f.Raw...)
			}
		}
	}
	head = r.edit(m, head)
	head = append(head[:len(head):len(head)], mime.FormatField("Message-ID", mime.MessageID(r.hostname))...)
	return r.compose(m, head, r.text)
}

// edit makes the configured changes to the fields of h.
func (r *resender) edit(m *container.Mail, h []byte) []byte {
	if r.to.given() {
		if list := r.to.header(m, r.postmaster); len(list) > 0 {
			h = mime.Set(h, "To", addressField(list))
		} else if len(r.to) == 1 && r.to[0].word == wordNull {
			h = mime.Remove(h, "To")
		}
	}
	if s, ok := r.newSubject(m); ok {
		h = mime.Set(h, "Subject", s)
	}
	if r.replyTo.word == wordNull {
		h = mime.Remove(h, "Reply-To")
	} else if a := r.replyTo.one(m, r.postmaster); !a.IsNull() {
		h = mime.Set(h, "Reply-To", a.Path())
	}
	if id, ok := mime.Get(m.Message.Header(), "Message-ID"); ok && r.isReply {
		h = mime.Set(h, "In-Reply-To", id)
	}
	if a := r.from.one(m, r.postmaster); !a.IsNull() {
		h = mime.Set(h, "From", a.Path())
	}
	if !mime.Has(h, "Date") {
		h = mime.Add(h, "Date", mime.FormatDate(r.now()))
	}
	return h
}

func (r *resender) newSubject(m *container.Mail) (string, bool) {
	s := r.subject
	if r.prefix == "" {
		return s, s != ""
	}
	if s == "" {
		s, _ = mime.Text(m.Message.Header(), "Subject")
	}
	return strings.TrimSpace(r.prefix + " " + s), true
}

// checkDomain refuses a sender to whom no bounce could be sent.
func (r *resender) checkDomain(ctx context.Context, a container.Address) error {
	if _, err := netip.ParseAddr(a.Domain); err == nil {
		return nil
	}
	mx, err := r.dns.MX(ctx, a.Domain)
	if err == nil && len(mx) > 0 {
		if mx[0].Host == "." {
			return fmt.Errorf("invalid sender domain of %s: it takes no mail (RFC 7505)", a)
		}
		return nil
	}
	if errors.Is(err, dns.ErrTemporary) {
		return fmt.Errorf("look up the sender domain of %s: %w", a, err)
	}
	if _, err := r.dns.Addrs(ctx, a.Domain); err != nil {
		return fmt.Errorf("invalid sender domain of %s: %w", a, err)
	}
	return nil
}
