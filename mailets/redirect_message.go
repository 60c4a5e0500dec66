package mailets

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// redirected is how the redirect family makes a new message out of a mail
// (James: ProcessRedirectNotify, MimeMessageModifier).
type redirected struct {
	text        string
	inline      string
	attachment  string
	attachError bool
}

// readRedirected reads inline, attachment and attachError.
func readRedirected(p *conf.Params, inline, attachment string) redirected {
	word := func(name, def string, known ...string) string {
		v := strings.ToLower(p.String(name, def))
		for _, k := range append(known, "heads", "body", "all", "message", "none") {
			if v == k {
				return v
			}
		}
		p.Warn(name, "<%s> is %q, which is no kind of content; using none", name, v)
		return "none"
	}
	return redirected{
		inline:      word("inline", inline, "unaltered"),
		attachment:  word("attachment", attachment),
		attachError: p.Bool("attachError", false),
	}
}

// headFields are the fields of a new header, top first.
type headFields []headField

type headField struct{ name, value string }

func (h headFields) bytes() []byte {
	var out []byte
	for _, f := range h {
		out = append(out, mime.FormatField(f.name, f.value)...)
	}
	return out
}

// message returns the new message under the header h: the mail itself with h
// instead of its own fields of these names (inline unaltered), or what compose
// makes. The body of the mail is referred to, not copied.
func (r redirected) message(m *container.Mail, h headFields, text string) (container.Message, error) {
	if r.inline == "unaltered" {
		old := m.Message.Header()
		for _, f := range h {
			old = mime.Remove(old, f.name)
		}
		return container.NewMessage(mime.AddRaw(old, h.bytes()), m.Message.Body()), nil
	}
	return r.compose(m, h.bytes(), text)
}

// compose returns a multipart/mixed of text, attachment and error message below
// the header fields head, which the caller gives away.
func (r redirected) compose(m *container.Mail, head []byte, text string) (container.Message, error) {
	heads := string(m.Message.Header())
	var b joinedBody
	outer, inner := "=_"+rand.Text(), "=_"+rand.Text()
	b.text("--" + outer + "\r\nContent-Type: multipart/alternative; boundary=\"" + inner + "\"\r\n\r\n--" + inner + "\r\n")
	if err := r.textPart(&b, m, heads, text); err != nil {
		return container.Message{}, err
	}
	b.text("\r\n--" + inner + "--\r\n")
	eightBit, err := r.attach(&b, m, outer, heads)
	if err != nil {
		return container.Message{}, err
	}
	if r.attachError && m.ErrorMessage != "" {
		b.text("\r\n--" + outer + "\r\nContent-Disposition: attachment; filename=Reasons\r\n")
		b.text(encodedText(m.ErrorMessage))
	}
	b.text("\r\n--" + outer + "--\r\n")
	head = append(head, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n\tboundary=\""+outer+"\"\r\n"...)
	if eightBit {
		head = append(head, "Content-Transfer-Encoding: 8bit\r\n"...)
	}
	return container.NewMessage(head, b), nil
}

// maxInline bounds what stands in the text part: it is encoded in memory.
const maxInline = 10 << 20

func (r redirected) textPart(b *joinedBody, m *container.Mail, heads, text string) error {
	text += "\n"
	if r.inline == "heads" || r.inline == "all" {
		text += "Message Headers:\n" + heads + "\n"
	}
	if r.inline == "body" || r.inline == "all" {
		rc, err := m.Message.Body().Open()
		if err != nil {
			return fmt.Errorf("read body: %w", err)
		}
		defer rc.Close()
		body, err := io.ReadAll(io.LimitReader(rc, maxInline))
		if err != nil {
			return fmt.Errorf("read body: %w", err)
		}
		text += "Message:\n" + string(body) + "\n"
	}
	b.text("Content-Disposition: inline\r\n" + encodedText(text))
	return nil
}

// encodedText is the rest of a part's header and its content.
func encodedText(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "")
	plain := true
	for line := range strings.SplitSeq(text, "\n") {
		plain = plain && len(line) <= 998
	}
	for i := range len(text) {
		plain = plain && text[i] < 0x80
	}
	text = strings.ReplaceAll(text, "\n", "\r\n")
	if plain {
		return "Content-Type: text/plain; charset=us-ascii\r\n\r\n" + text
	}
	var q bytes.Buffer
	w := quotedprintable.NewWriter(&q)
	_, _ = io.WriteString(w, text) // a buffer takes everything
	_ = w.Close()
	return "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + q.String()
}

// attach adds the attachment and reports whether it needs 8 bits.
func (r redirected) attach(b *joinedBody, m *container.Mail, outer, heads string) (eightBit bool, err error) {
	if r.attachment == "none" {
		return false, nil
	}
	kind, withHeads, withBody := "text/plain", r.attachment != "body", r.attachment != "heads"
	if r.attachment == "message" {
		kind = "message/rfc822"
	}
	if withBody {
		if eightBit, err = has8bit(m.Message.Body()); err != nil {
			return false, err
		}
	}
	if withHeads {
		for i := range len(heads) {
			eightBit = eightBit || heads[i] >= 0x80
		}
	}
	subject, _ := mime.Text(m.Message.Header(), "Subject")
	b.text("\r\n--" + outer + "\r\nContent-Type: " + kind + "\r\n" + dispositionField(subject))
	if eightBit {
		b.text("Content-Transfer-Encoding: 8bit\r\n")
	}
	b.text("\r\n")
	if withHeads {
		b.text(heads)
	}
	if r.attachment == "all" {
		b.text("\r\nMessage:\r\n")
	}
	if r.attachment == "message" {
		b.text("\r\n")
	}
	if withBody {
		b.parts = append(b.parts, m.Message.Body())
	}
	return eightBit, nil
}

// dispositionField names the attachment after the subject (RFC 2231 when it is
// not ASCII).
func dispositionField(subject string) string {
	name := mime.Clean(subject)
	if len(name) > 200 {
		name = strings.ToValidUTF8(name[:200], "")
	}
	if name == "" {
		name = "No Subject"
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c >= 0x80 || c < ' ' || strings.IndexByte(`"\%`, c) >= 0 {
			return "Content-Disposition: attachment;\r\n filename*=utf-8''" + percent(name) + "\r\n"
		}
		b.WriteByte(name[i])
	}
	return "Content-Disposition: attachment;\r\n filename=\"" + b.String() + "\"\r\n"
}

func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// has8bit looks for octets outside ASCII.
func has8bit(body container.Body) (bool, error) {
	rc, err := body.Open()
	if err != nil {
		return false, fmt.Errorf("read body: %w", err)
	}
	defer rc.Close()
	buf := make([]byte, max(min(body.Size(), 32<<10), 512))
	for {
		n, err := rc.Read(buf)
		if eightBit(buf[:n]) {
			return true, nil
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read body: %w", err)
		}
	}
}

// eightBit reports whether b has octets outside ASCII; it looks at eight at a time.
func eightBit(b []byte) bool {
	const high = 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		if binary.LittleEndian.Uint64(b)&high != 0 {
			return true
		}
	}
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

// joinedBody is a body made of others, one behind the other.
type joinedBody struct{ parts []container.Body }

func (b *joinedBody) text(s string) { b.parts = append(b.parts, container.BytesBody(s)) }

// Size returns the sum of the sizes.
func (b joinedBody) Size() (n int64) {
	for _, p := range b.parts {
		n += p.Size()
	}
	return n
}

// Open returns a reader over all parts, each opened when it is its turn.
func (b joinedBody) Open() (io.ReadCloser, error) {
	return &joinedReader{parts: b.parts}, nil
}

type joinedReader struct {
	parts []container.Body
	cur   io.ReadCloser
}

func (r *joinedReader) Read(p []byte) (int, error) {
	for {
		if r.cur == nil {
			if len(r.parts) == 0 {
				return 0, io.EOF
			}
			rc, err := r.parts[0].Open()
			if err != nil {
				return 0, err
			}
			r.cur, r.parts = rc, r.parts[1:]
		}
		n, err := r.cur.Read(p)
		if errors.Is(err, io.EOF) {
			err = r.cur.Close()
			r.cur = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (r *joinedReader) Close() error {
	if r.cur == nil {
		return nil
	}
	err := r.cur.Close()
	r.cur, r.parts = nil, nil
	return err
}

// keepForRedirect copies what the redirect family keeps of the attributes: the
// record that stops forwarding loops; and says what the new message needs of
// the next hop.
func keepForRedirect(m, n *container.Mail) {
	keepRequireTLS(m, n)
	if rec, ok := m.Attributes[container.AttrRecordedRcpts]; ok {
		n.Set(container.AttrRecordedRcpts, container.Attributes{"": rec}.Clone()[""])
	}
	if cte, _ := mime.Get(n.Message.Header(), "Content-Transfer-Encoding"); strings.EqualFold(cte, "8bit") {
		n.Set(container.AttrBodyType, "8BITMIME")
	}
	if utf8, _ := m.Attributes.Bool(container.AttrSMTPUTF8); utf8 {
		n.Set(container.AttrSMTPUTF8, true)
	}
}

// keepRequireTLS protects what is made of a mail as the mail was protected (RFC
// 8689 §4.2.1, and §5 for reports).
func keepRequireTLS(m, n *container.Mail) {
	if v, ok := m.Attributes[container.AttrRequireTLS]; ok {
		n.Set(container.AttrRequireTLS, v)
	}
}

// noticeText is the text of a notification: the given words, the error message,
// and what the mail was.
func noticeText(m *container.Mail, words string) string {
	var b strings.Builder
	b.WriteString(words + "\n\n")
	if m.ErrorMessage != "" {
		b.WriteString("Error message below:\n" + m.ErrorMessage + "\n\n")
	}
	h := m.Message.Header()
	b.WriteString("Message details:\n")
	if s, ok := mime.Text(h, "Subject"); ok {
		b.WriteString("  Subject: " + s + "\n")
	}
	if v, ok := mime.Get(h, "Date"); ok {
		if d, err := mime.ParseDate(v); err == nil {
			v = d.Format("Mon Jan 02 15:04:05 MST 2006")
		}
		b.WriteString("  Sent date: " + v + "\n")
	}
	b.WriteString("  MAIL FROM: " + m.Sender.Pretty() + "\n")
	for i, r := range m.Recipients {
		b.WriteString([]string{"  RCPT TO: ", "           "}[min(i, 1)] + r.String() + "\n")
	}
	for _, f := range []struct{ name, label string }{{"From", "From"}, {"To", "To"}, {"Cc", "CC"}} {
		if !mime.Has(h, f.name) {
			continue
		}
		b.WriteString("  " + f.label + ": \n")
		for _, v := range mime.Values(h, f.name) {
			boxes, _ := mime.ParseAddresses(v)
			for _, box := range boxes {
				b.WriteString(box.Address.String() + " \n")
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("  Size: " + binarySize(m.Message.Size()) + "\n")
	return b.String()
}

// binarySize shows a size with one decimal in binary units.
func binarySize(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1024, 0
	for f >= 1024 && unit < 3 {
		f, unit = f/1024, unit+1
	}
	return fmt.Sprintf("%.1f %s", f, []string{"KiB", "MiB", "GiB", "TiB"}[unit])
}
