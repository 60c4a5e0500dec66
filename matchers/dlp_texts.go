package matchers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-message/charset"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// senderTexts returns what rules about senders are searched in.
func senderTexts(m *container.Mail) ([]string, error) {
	h := m.Message.Header()
	name := "From"
	if !mime.Has(h, name) {
		name = "Sender"
	}
	if !mime.Has(h, name) {
		return nil, errNoAuthor
	}
	return append([]string{m.Sender.String()}, addressTexts(h, name)...), nil
}

// recipientTexts returns what rules about recipients are searched in.
func recipientTexts(m *container.Mail) ([]string, error) {
	texts := container.AddressStrings(m.Recipients)
	for _, name := range []string{"To", "Cc", "Bcc"} {
		texts = append(texts, addressTexts(m.Message.Header(), name)...)
	}
	return texts, nil
}

// addressTexts returns the addresses of all fields called name as JavaMail shows
// them. A value that cannot be read to its end comes as it stands, too: what is
// not understood must not hide.
func addressTexts(header []byte, name string) []string {
	var texts []string
	for _, v := range mime.Values(header, name) {
		boxes, ok := mime.ParseAddresses(v)
		for _, b := range boxes {
			texts = append(texts, addressText(b))
		}
		if !ok && strings.TrimSpace(v) != "" {
			texts = append(texts, mime.DecodeText(v))
		}
	}
	return texts
}

func addressText(b mime.Mailbox) string {
	if b.Name == "" {
		return b.Address.String()
	}
	return phrase(b.Name) + " <" + b.Address.String() + ">"
}

// phrase puts a display name in quotes when it has more than letters, digits and
// blanks of ASCII, as JavaMail does (RFC 5322 §3.2.5).
func phrase(name string) string {
	plain := !strings.ContainsFunc(name, func(r rune) bool {
		return r < ' ' && r != '\t' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\".[]`, r)
	})
	if plain {
		return name
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// contentTexts returns the subject and every text of a message.
func contentTexts(m *container.Mail) ([]string, error) {
	c := textCollector{room: dlpText}
	if s, ok := mime.Text(m.Message.Header(), "Subject"); ok {
		c.texts = append(c.texts, s)
	}
	err := c.message(&m.Message, 0)
	return c.texts, err
}

// maxAttached bounds messages within messages.
const maxAttached = 20

// textCollector gathers the texts of a message.
type textCollector struct {
	texts []string
	room  int // octets
}

func (c *textCollector) message(m *container.Message, depth int) error {
	if depth > maxAttached {
		return mime.ErrTooComplex
	}
	root, err := mime.Scan(m, mime.Limits{})
	if err != nil {
		return err
	}
	for e := range root.All() {
		switch {
		case e.IsMultipart():
			if len(e.Children) == 0 {
				err = mime.ErrNoParts
			}
		case e.MediaType == "message/rfc822" || e.MediaType == "message/global":
			var inner container.Message
			if inner, err = c.attached(e, m.Body()); err == nil {
				err = c.message(&inner, depth+1)
			}
		case strings.HasPrefix(e.MediaType, "text/"):
			err = c.text(e, m.Body())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// limit is how long a part may be as it stands: quoted-printable makes three
// octets of one (RFC 2045 §6.7), and lines.
func (c *textCollector) limit() int64 { return 4*int64(c.room) + 1024 }

// text adds the text of a leaf.
func (c *textCollector) text(e *mime.Entity, body container.Body) error {
	data, err := e.Decode(body, c.limit())
	if err != nil {
		return err
	}
	s, err := readable(data, e.Charset())
	if err != nil {
		return err
	}
	if c.room -= len(s); c.room < 0 {
		return fmt.Errorf("texts of more than %d octets: %w", dlpText, mime.ErrTooLarge)
	}
	c.texts = append(c.texts, s)
	return nil
}

// readable decodes text. Octets that do not fit the charset become U+FFFD, as in
// Java, so that they do not hide the rest.
func readable(data []byte, name string) (string, error) {
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "utf8":
		return strings.ToValidUTF8(string(data), "\uFFFD"), nil
	}
	r, err := charset.Reader(name, bytes.NewReader(data))
	if err != nil {
		return "", fmt.Errorf("%w: %w", mime.ErrCharset, err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return "", fmt.Errorf("decode charset %q: %w", name, err)
	}
	return string(out), nil
}

// maxInnerHeader bounds the header of an attached message.
const maxInnerHeader = 1 << 20

// attached returns a message that is attached. It stays where it is, unless it
// is encoded, which RFC 2046 §5.2.1 forbids.
func (c *textCollector) attached(e *mime.Entity, body container.Body) (container.Message, error) {
	switch e.Encoding() {
	case "7bit", "8bit", "binary":
	default:
		data, err := e.Decode(body, c.limit())
		if err != nil {
			return container.Message{}, err
		}
		return container.ParseMessage(data), nil
	}
	inner, err := mime.Section(body, e.Content, e.End)
	if err != nil {
		return container.Message{}, err
	}
	header, size, err := innerHeader(inner)
	if err != nil {
		return container.Message{}, err
	}
	rest, err := mime.Section(inner, size, inner.Size())
	return container.NewMessage(header, rest), err
}

// innerHeader returns the header of an attached message and where its body
// begins.
func innerHeader(b container.Body) (header []byte, size int64, err error) {
	r, err := b.Open()
	if err != nil {
		return nil, 0, fmt.Errorf("read attached message: %w", err)
	}
	defer r.Close()
	for buf := make([]byte, 0, 16<<10); ; {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		whole := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !whole {
			return nil, 0, fmt.Errorf("read attached message: %w", err)
		}
		n = container.HeaderLength(buf)
		if line, _, ended := bytes.Cut(buf[n:], []byte("\n")); ended || whole {
			header, size = buf[:n:n], int64(n)
			if ended && len(bytes.TrimSpace(line)) == 0 {
				size += int64(len(line)) + 1
			}
			return header, size, nil
		}
		if cap(buf) >= maxInnerHeader {
			return nil, 0, fmt.Errorf("header of an attached message: %w", mime.ErrTooLarge)
		}
		buf = append(make([]byte, 0, 4*cap(buf)), buf...)
	}
}
