package mailets

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// MimeDecodingMailet takes the parts in an attribute, as StripAttachment stores
// them, and leaves their content there, with the transfer encoding undone.
//
//	<mailet match="All" class="MimeDecodingMailet">
//	  <attribute>com.example.attachments</attribute>
//	</mailet>
//
// Parameters:
//
//   - attribute (required): name of the attribute: a map from names to parts with
//     header and content. A part that cannot be decoded is dropped, and an
//     attribute that is no map becomes an empty one.
//
// Differs from James: what is dropped is in the log.
type MimeDecodingMailet struct {
	log       *slog.Logger
	attribute string
}

func newMimeDecodingMailet(log *slog.Logger) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		return &MimeDecodingMailet{log, p.Required("attribute")}
	}
}

// Service decodes the parts.
func (d *MimeDecodingMailet) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	if _, there := m.Attributes[d.attribute]; !there {
		return nil
	}
	stored, ok := m.Attributes.Map(d.attribute)
	if !ok {
		d.log.WarnContext(ctx, "attribute is no map", "attribute", d.attribute)
	}
	decoded := make(map[string]container.Value, len(stored))
	for name, v := range stored {
		content, err := decodePart(v)
		if err != nil {
			d.log.WarnContext(ctx, "part cannot be decoded", "attribute", d.attribute, "name", name, "err", err)
			continue
		}
		decoded[name] = content
	}
	m.Set(d.attribute, decoded)
	return nil
}

func decodePart(v container.Value) ([]byte, error) {
	data, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("it is a %T, not octets", v)
	}
	part := container.ParseMessage(data)
	root, err := mime.Scan(&part, mime.Limits{})
	if err != nil {
		return nil, err
	}
	return root.Decode(part.Body(), int64(len(data)))
}
