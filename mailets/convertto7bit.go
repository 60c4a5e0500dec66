package mailets

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// ConvertTo7Bit encodes all content that is sent as 8bit: text as
// quoted-printable, everything else in base64. Each part that is changed gets a
// field X-MIME-Autoconverted. Put it before DKIMSign, since a next hop that takes
// no 8-bit content makes a conversion needed that breaks signatures.
//
//	<mailet match="All" class="org.apache.james.jdkim.mailets.ConvertTo7Bit"/>
//
// Parameters: none.
//
// Differs from James: the short name ConvertTo7Bit is known too; attached messages
// are converted inside, since they must not be encoded (RFC 2046 §5.2.1);
// signed and encrypted content stays as it is (RFC 1847 §2.1); a multipart of
// which nothing is 8bit any more is 7bit itself; lines keep their CRLF. A part
// larger than 32 MiB is an error.
type ConvertTo7Bit struct{ host string }

func newConvertTo7Bit(host string) container.MailetFactory {
	return func(*conf.Params) container.Mailet { return &ConvertTo7Bit{mime.Clean(host)} }
}

// Service converts the message.
func (c *ConvertTo7Bit) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	if err := c.convert(&m.Message, 0); err != nil {
		return fmt.Errorf("convert to 7bit: %w", err)
	}
	return nil
}

// maxAttached is how deep attached messages are converted.
const maxAttached = 5

func (c *ConvertTo7Bit) convert(m *container.Message, depth int) error {
	root, err := mime.Scan(m, mime.Limits{})
	if err != nil {
		return err
	}
	w := mime.NewRewriter(m)
	if _, err := c.entity(w, m.Body(), root, depth); err != nil {
		return err
	}
	return w.Apply()
}

// entity converts an entity; clean is false when some of it is 8bit still.
func (c *ConvertTo7Bit) entity(w *mime.Rewriter, body container.Body, e *mime.Entity, depth int) (clean bool, err error) {
	eightBit := e.Encoding() == "8bit"
	if e.Sealed() {
		return !eightBit, nil
	}
	if e.IsMultipart() {
		clean = true
		for _, child := range e.Children {
			ok, err := c.entity(w, body, child, depth)
			if err != nil {
				return false, err
			}
			clean = clean && ok
		}
		if eightBit && clean {
			w.SetHeader(e, mime.Set(e.Header, "Content-Transfer-Encoding", "7bit"))
		}
		return clean, nil
	}
	switch {
	case e.MediaType == "message/rfc822":
		return !eightBit || depth < maxAttached, c.attached(w, body, e, depth)
	case !eightBit:
		return e.Encoding() != "binary", nil
	}
	data, err := e.Decode(body, maxPart)
	if err != nil {
		return false, err
	}
	enc, content := "base64", []byte(nil)
	if strings.HasPrefix(e.MediaType, "text/") {
		enc, content = "quoted-printable", mime.EncodeQuotedPrintable(data)
	} else {
		content = mime.EncodeBase64(data)
		if e.Parent != nil {
			content = bytes.TrimSuffix(content, []byte("\r\n")) // the boundary line has one
		}
	}
	header := mime.Set(e.Header, "Content-Transfer-Encoding", enc)
	header = mime.Add(header, "X-MIME-Autoconverted", "from 8bit to "+enc+" by "+c.host)
	w.Replace(e, header, content)
	return true, nil
}

// attached converts an attached message.
func (c *ConvertTo7Bit) attached(w *mime.Rewriter, body container.Body, e *mime.Entity, depth int) error {
	if e.Encoding() != "8bit" || depth == maxAttached {
		return nil
	}
	data, err := e.Decode(body, maxPart)
	if err != nil {
		return err
	}
	m := container.ParseMessage(data)
	if err := c.convert(&m, depth+1); err != nil {
		return err
	}
	r, err := m.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	w.Replace(e, mime.Set(e.Header, "Content-Transfer-Encoding", "7bit"), content)
	return nil
}
