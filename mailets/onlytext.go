package mailets

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// OnlyText leaves only the text of a message. Of a multipart the first plain text
// becomes the whole of it, as it stands; without one the first HTML, made plain,
// or else the first text of another type. A message that is HTML is made plain,
// and other single texts stay.
//
//	<mailet match="All" class="OnlyText">
//	  <NoTextProcessor>transport</NoTextProcessor>
//	</mailet>
//
// Parameters:
//
//   - NoTextProcessor: processor for a message without any text, which otherwise
//     goes on as it is.
//
// Differs from James: attachments are taken for the text only if there is no
// other; text of other types, and text in nested multiparts, is found; HTML is
// read as mail programs do, with paragraphs, lists and links. The server does not
// start while NoTextProcessor does not exist.
type OnlyText struct{ noText string }

func newOnlyText(p *conf.Params) container.Mailet {
	return &OnlyText{p.String("NoTextProcessor", "")}
}

// ReferredStates names the processor for messages without text.
func (o *OnlyText) ReferredStates() []string {
	if o.noText == "" {
		return nil
	}
	return []string{o.noText}
}

// Service reduces the message to its text.
func (o *OnlyText) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	root, err := mime.Scan(&m.Message, mime.Limits{})
	if err != nil {
		return fmt.Errorf("find the text: %w", err)
	}
	e := mainText(root)
	switch {
	case e == nil && o.noText != "":
		m.State = o.noText
		return nil
	case e == nil:
		return nil
	case e.MediaType == "text/html":
		err = keepHTML(&m.Message, root, e)
	case e != root:
		err = keepPart(&m.Message, e)
	}
	if err != nil {
		return fmt.Errorf("keep the text: %w", err)
	}
	return nil
}

// mainText returns the part that OnlyText keeps, nil when there is no text.
func mainText(root *mime.Entity) *mime.Entity {
	var best *mime.Entity
	rank := 0
	for e := range root.Leaves() {
		r := 0
		switch {
		case e.MediaType == "text/plain":
			r = 6
		case e.MediaType == "text/html":
			r = 5
		case strings.HasPrefix(e.MediaType, "text/"):
			r = 4
		default:
			continue
		}
		if e.IsAttachment() {
			r -= 3
		}
		if r > rank {
			best, rank = e, r
		}
	}
	return best
}

// keepPart makes a part the whole message. Its content stays encoded as it is.
func keepPart(m *container.Message, e *mime.Entity) error {
	size := m.Body().Size()
	last, err := e.Tail(m.Body(), 1)
	if err != nil {
		return err
	}
	var end []byte
	if len(last) > 0 && last[0] != '\n' {
		end = []byte("\r\n")
	}
	body, err := mime.Splice(m.Body(), mime.Edit{From: 0, To: e.Content}, mime.Edit{From: e.End, To: size, Data: end})
	if err != nil {
		return err
	}
	*m = container.NewMessage(textHeader(m.Header(), e.Header), body)
	return nil
}

// keepHTML makes the text of an HTML part the whole message.
func keepHTML(m *container.Message, root, e *mime.Entity) error {
	text, err := e.Text(m.Body(), maxPart)
	if err != nil {
		return err
	}
	header, content, err := text.Format(htmlToText(text), mime.TypeEdit{MediaType: "text/plain"})
	if err != nil {
		return err
	}
	w := mime.NewRewriter(m)
	w.Replace(root, textHeader(m.Header(), header), content)
	return w.Apply()
}

// htmlToText returns the plain text of an HTML part. Text of unknown meaning has
// no character references that do not fit.
func htmlToText(text *mime.TextPart) string {
	plain := mime.HTMLText(text.String)
	if !text.Opaque {
		return plain
	}
	return strings.Map(func(r rune) rune {
		if r > 0xff {
			return '?'
		}
		return r
	}, plain)
}

// textHeader returns the header of a message with the type and encoding of a
// part in the place of its own.
func textHeader(header, part []byte) []byte {
	var fields []byte
	for f := range mime.Fields(part) {
		if f.Is("Content-Type") || f.Is("Content-Transfer-Encoding") || f.Is("Content-Language") {
			fields = append(fields, f.Raw...)
		}
	}
	return mime.SetContentFields(header, fields)
}
