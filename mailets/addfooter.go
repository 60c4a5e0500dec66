package mailets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// AddFooter appends a text to the text of the message, in plain text and in
// HTML. Of a multipart/mixed or multipart/related the first part gets it, of a
// multipart/alternative every part; signed and encrypted content and everything
// else stays as it is.
//
//	<mailet match="HostIsLocal" class="AddFooter">
//	  <text>--
//	Sent to you by the example.com list.</text>
//	</mailet>
//
// Parameters:
//
//   - text: what is appended, on lines of its own. In HTML it stands before
//     </body>, behind a <br />, with a <br /> for every line end; it is not
//     escaped, so it may have tags.
//
// Differs from James: characters that are not in the charset of the text are
// kept: the text becomes UTF-8, and HTML gets character references. Line ends
// are always CRLF, and in HTML each becomes <br />. Attachments are left alone. A
// text that cannot be read, or is larger than 32 MiB, stays as it is, with a line
// in the log. Without text there is a warning and no footer.
type AddFooter struct {
	log  *slog.Logger
	text string
	html string
}

func newAddFooter(log *slog.Logger) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		text := crlfLines(p.String("text", ""))
		if text == "" {
			p.Warn("text", "<text> is empty: no footer is added")
		}
		return &AddFooter{log: log, text: text, html: "<br />" + strings.ReplaceAll(text, "\r\n", "<br />")}
	}
}

// Service appends the footer.
func (a *AddFooter) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	if a.text == "" {
		return nil
	}
	root, err := mime.Scan(&m.Message, mime.Limits{})
	w := mime.NewRewriter(&m.Message)
	if err == nil {
		err = a.entity(w, m.Message.Body(), root)
	}
	switch {
	case err != nil && !unreadable(err):
		return fmt.Errorf("add footer: %w", err)
	case err != nil:
		a.log.WarnContext(ctx, "footer not added to all of the text", "err", err)
	case !w.Changed():
		a.log.InfoContext(ctx, "message has no text for a footer", "type", root.MediaType)
	}
	return w.Apply()
}

func (a *AddFooter) entity(w *mime.Rewriter, body container.Body, e *mime.Entity) error {
	if e.IsAttachment() {
		return nil
	}
	switch e.MediaType {
	case "multipart/mixed", "multipart/related":
		if len(e.Children) > 0 {
			return a.entity(w, body, e.Children[0])
		}
	case "multipart/alternative":
		var failed error
		for _, c := range e.Children {
			err := a.entity(w, body, c)
			if err != nil && !unreadable(err) {
				return err
			}
			failed = errors.Join(failed, err)
		}
		return failed
	case "text/plain":
		return a.plain(w, body, e)
	case "text/html":
		return a.inHTML(w, body, e)
	}
	return nil
}

// plain appends to a plain text. Where it can it appends to the octets that are
// there, without looking at them.
func (a *AddFooter) plain(w *mime.Rewriter, body container.Body, e *mime.Entity) error {
	if done, err := a.appendEncoded(w, body, e); done || err != nil {
		return err
	}
	text, err := e.Text(body, maxPart)
	if err != nil {
		return err
	}
	if text.Opaque && !mime.IsASCII(a.text) {
		return fmt.Errorf("footer behind text of unknown meaning: %w", mime.ErrCharset)
	}
	footer := lastLine(e, a.text)
	if text.String != "" && !strings.HasSuffix(text.String, "\n") {
		footer = "\r\n" + footer
	}
	return replaceText(w, e, text, text.String+footer, mime.TypeEdit{})
}

// appendEncoded appends to the encoded content; done is false when that is not
// possible.
func (a *AddFooter) appendEncoded(w *mime.Rewriter, body container.Body, e *mime.Entity) (done bool, err error) {
	data, ok := e.EncodeLike(lastLine(e, a.text))
	if !ok || longestLine(data) > 900 {
		return false, nil
	}
	switch e.Encoding() {
	case "quoted-printable":
		data = mime.EncodeQuotedPrintable(data)
	case "7bit":
		if !mime.IsASCII(a.text) {
			return false, nil
		}
	case "8bit", "binary":
	default:
		return false, nil
	}
	tail, err := e.Tail(body, 3)
	if err != nil {
		return false, err
	}
	if len(tail) > 0 && (!bytes.HasSuffix(tail, []byte("\n")) || string(tail) == "=\r\n") {
		data = append([]byte("\r\n"), data...)
	}
	w.Append(e, data)
	return true, nil
}

// lastLine ends the footer with a line end where it is the end of the message;
// elsewhere the boundary line has one.
func lastLine(e *mime.Entity, footer string) string {
	if e.Parent == nil && !strings.HasSuffix(footer, "\n") {
		footer += "\r\n"
	}
	return footer
}

func longestLine(data []byte) int {
	n := 0
	for line := range bytes.Lines(data) {
		n = max(n, len(line))
	}
	return n
}

// inHTML puts the footer before the end of the body, or at the end.
func (a *AddFooter) inHTML(w *mime.Rewriter, body container.Body, e *mime.Entity) error {
	text, err := e.Text(body, maxPart)
	if err != nil {
		return err
	}
	footer := a.html
	if _, fits := e.EncodeLike(footer); !fits || text.Opaque {
		footer = charReferences(footer)
	}
	at := indexFold(text.String, "</body>")
	if at < 0 {
		at = len(text.String)
	}
	return replaceText(w, e, text, text.String[:at]+footer+text.String[at:], mime.TypeEdit{})
}

// charReferences writes characters outside ASCII as HTML does in any charset.
func charReferences(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "&#%d;", r)
		}
	}
	return b.String()
}

// indexFold finds an ASCII text that begins with "<", ignoring case.
func indexFold(s, want string) int {
	for from := 0; ; {
		i := strings.IndexByte(s[from:], '<')
		if i < 0 || len(s)-from-i < len(want) {
			return -1
		}
		from += i
		if strings.EqualFold(s[from:from+len(want)], want) {
			return from
		}
		from++
	}
}

// replaceText gives a part a new text.
func replaceText(w *mime.Rewriter, e *mime.Entity, old *mime.TextPart, text string, edit mime.TypeEdit) error {
	header, content, err := old.Format(text, edit)
	if err != nil {
		return err
	}
	w.Replace(e, header, content)
	return nil
}
