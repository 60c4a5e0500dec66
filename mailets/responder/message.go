package responder

import (
	"bytes"
	"crypto/rand"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Limits of what an answer repeats of the mail it answers.
const (
	maxSubject    = 500  // octets
	maxReferences = 2000 // octets
	maxMessageID  = 512  // octets
)

// mail makes the answer.
func (r *Responder) mail(m *container.Mail, to container.Address, a *Answer, now time.Time) (*container.Mail, error) {
	name, err := m.DeriveName()
	if err != nil {
		return nil, err
	}
	from := a.from()
	head := r.head(m, to, from, a, now)
	content, body := a.content()
	msg := container.NewMessage(append(head, content...), container.BytesBody(body))
	var sender container.Address
	if a.FromUser {
		sender = a.User
	}
	n := container.NewMail(sender, []container.Address{to}, msg)
	n.Name = name
	if r.Hostname != "" {
		n.RemoteHost = r.Hostname
	}
	if v, ok := m.Attributes[container.AttrRequireTLS]; ok { // RFC 8689 §5
		n.Set(container.AttrRequireTLS, v)
	}
	if !mime.IsASCII(body) {
		n.Set(container.AttrBodyType, "8BITMIME")
	}
	if !to.IsASCII() || !a.User.IsASCII() || !from.Address.IsASCII() {
		n.Set(container.AttrSMTPUTF8, true)
	}
	return n, nil
}

// from returns the mailbox of the field From.
func (a *Answer) from() mime.Mailbox {
	if boxes, ok := mime.ParseAddresses(a.From); ok && len(boxes) == 1 {
		return boxes[0]
	}
	return mime.Mailbox{Address: a.User}
}

// head returns the header fields up to the content (RFC 3834 §3.1).
func (r *Responder) head(m *container.Mail, to container.Address, from mime.Mailbox, a *Answer, now time.Time) []byte {
	old := m.Message.Header()
	var h []byte
	add := func(name, value string) { h = append(h, mime.FormatField(name, value)...) }
	add("Date", mime.FormatDate(now))
	add("From", mime.FormatAddress(from.Name, from.Address))
	add("To", to.Path())
	add("Subject", subject(old, a.Subject))
	add("Message-ID", mime.MessageID(r.Hostname))
	if id := messageID(old); id != "" {
		add("In-Reply-To", id)
		add("References", references(old, id))
	}
	add("Auto-Submitted", "auto-replied")
	add("MIME-Version", "1.0")
	return h
}

// subject returns the given subject, or that of an answer to the mail.
func subject(old []byte, given string) string {
	if given = mime.Clean(given); given != "" {
		return cut(given, maxSubject)
	}
	s, _ := mime.Text(old, "Subject")
	s = strings.TrimSpace(cut(mime.Clean(s), maxSubject))
	if len(s) >= 3 && strings.EqualFold(s[:3], "re:") {
		return s
	}
	return strings.TrimSpace("Re: " + s)
}

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}

// messageID returns the identifier of the mail; "" when it has none that can be
// repeated.
func messageID(old []byte) string {
	v, _ := mime.Get(old, "Message-ID")
	if ids := identifiers(v); len(ids) == 1 {
		return ids[0]
	}
	return ""
}

// references returns the field References of an answer (RFC 5322 §3.6.4): of a long
// list its first and its last entries.
func references(old []byte, id string) string {
	v, _ := mime.Get(old, "References")
	ids := identifiers(v)
	if len(ids) == 0 {
		v, _ = mime.Get(old, "In-Reply-To")
		if ids = identifiers(v); len(ids) != 1 {
			ids = nil
		}
	}
	ids = append(ids, id)
	size := 0
	for i := len(ids) - 1; i > 0; i-- {
		if size += len(ids[i]) + 1; size+len(ids[0]) > maxReferences {
			ids = append(ids[:1:1], ids[i+1:]...)
			break
		}
	}
	return strings.Join(ids, " ")
}

// identifiers returns the words of a value that can be message identifiers.
func identifiers(v string) []string {
	var out []string
	for w := range strings.FieldsSeq(v) {
		if len(w) <= maxMessageID && len(w) > 2 && w[0] == '<' && w[len(w)-1] == '>' &&
			mime.IsASCII(w) && mime.Clean(w) == w && !strings.ContainsAny(w[1:len(w)-1], "<>") {
			out = append(out, w)
		}
	}
	return out
}

// content returns the content fields and the body.
func (a *Answer) content() (fields, body []byte) {
	if len(a.MIME) > 0 {
		return entity(a.MIME)
	}
	text := clean(a.Text)
	if a.HTML == "" {
		return textPart("plain", text)
	}
	html := clean(a.HTML)
	if strings.TrimSpace(text) == "" {
		text = mime.HTMLText(html)
	}
	boundary := "=_" + rand.Text() // "=_" never occurs in quoted-printable
	var b bytes.Buffer
	for _, p := range [...]struct{ kind, text string }{{"plain", text}, {"html", html}} { // the best comes last: RFC 2046 §5.1.4
		fields, body := textPart(p.kind, p.text)
		b.WriteString("--" + boundary + "\r\n")
		b.Write(fields)
		b.WriteString("\r\n")
		b.Write(body)
		b.WriteString("\r\n")
	}
	b.WriteString("--" + boundary + "--\r\n")
	return []byte("Content-Type: multipart/alternative;\r\n\tboundary=\"" + boundary + "\"\r\n"), b.Bytes()
}

func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "")
}

func textPart(kind, text string) (fields, body []byte) {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return []byte("Content-Type: text/" + kind + "; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"),
		mime.EncodeQuotedPrintable([]byte(text))
}

// entity splits a MIME entity. Of its header only the content fields count: the
// others are ours (RFC 5230 §4.1).
func entity(data []byte) (fields, body []byte) {
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")), []byte("\x00"), nil)
	n := container.HeaderLength(data)
	for f := range mime.Fields(mime.ContentFields(data[:n])) {
		if v := f.Value(); v != "" {
			fields = append(fields, mime.FormatField(string(f.Name), v)...)
		}
	}
	body = bytes.TrimPrefix(data[n:], []byte("\r\n"))
	if mime.IsASCII(body) {
		return fields, body
	}
	if !mime.Has(fields, "Content-Type") {
		fields = append(fields, "Content-Type: text/plain; charset=utf-8\r\n"...)
	}
	if v, _ := mime.Get(fields, "Content-Transfer-Encoding"); v == "" || strings.EqualFold(v, "7bit") {
		fields = mime.Append(mime.Remove(fields, "Content-Transfer-Encoding"), "Content-Transfer-Encoding", "8bit")
	}
	return fields, body
}
