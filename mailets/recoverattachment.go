package mailets

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// RecoverAttachment puts parts back into the message that StripAttachment stored
// in an attribute, all of them, in the order of their names. A message that is
// no multipart/mixed becomes one, with what it was as the first part.
//
//	<mailet match="All" class="RecoverAttachment">
//	  <attribute>com.example.attachments</attribute>
//	</mailet>
//
// Parameters:
//
//   - attribute (required): name of the attribute: a map from names to parts with
//     header and content.
//
// Differs from James: every part is put back, not every second one; a message of
// another multipart type is wrapped, so that an attachment does not become an
// alternative or break a signature; a value that is no part is passed over with a
// warning. The attribute stays, as in James.
type RecoverAttachment struct {
	log       *slog.Logger
	attribute string
}

func newRecoverAttachment(log *slog.Logger) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		return &RecoverAttachment{log, p.Required("attribute")}
	}
}

// Service puts the parts back.
func (r *RecoverAttachment) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	stored, _ := m.Attributes.Map(r.attribute)
	var parts [][]byte
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		data, ok := stored[name].([]byte)
		if !ok {
			r.log.WarnContext(ctx, "stored attachment is not made of octets", "attribute", r.attribute, "name", name)
			continue
		}
		parts = append(parts, wholePart(data))
	}
	if len(parts) == 0 {
		return nil
	}
	if err := appendParts(&m.Message, parts); err != nil {
		return fmt.Errorf("recover attachments: %w", err)
	}
	return nil
}

// wholePart returns a part whose header ends with a blank line.
func wholePart(data []byte) []byte {
	n := container.HeaderLength(data)
	if bytes.HasPrefix(data[n:], []byte("\r\n")) {
		return data
	}
	return slices.Concat(data[:n], []byte("\r\n"), data[n:])
}

// appendParts puts parts at the end of a message.
func appendParts(m *container.Message, parts [][]byte) error {
	root, err := mime.Scan(m, mime.Limits{})
	if err != nil {
		return err
	}
	w := mime.NewRewriter(m)
	if root.MediaType == "multipart/mixed" && len(root.Children) > 0 && !slices.ContainsFunc(parts, root.Splits) {
		for _, part := range parts {
			w.AppendPart(root, part)
		}
		return w.Apply()
	}
	return mime.Wrap(m, func(fields []byte) []byte { return fields }, parts...)
}
