package mailets

import (
	"context"
	"log/slog"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// MailAttributesListToMimeHeaders adds a header field for each string in a
// collection attribute. Other values are passed over, with a warning in the log.
//
//	<mailet match="All" class="MailAttributesListToMimeHeaders">
//	  <simplemapping>com.example.tests;X-Test</simplemapping>
//	</mailet>
//
// Parameters:
//
//   - simplemapping (required): attribute;field, repeated for each attribute.
//     Fields of that name which are there stay.
//
// Differs from James: as MailAttributesToMimeHeaders.
type MailAttributesListToMimeHeaders struct {
	mappings []attributeMapping
	log      *slog.Logger
}

func newMailAttributesListToMimeHeaders(log *slog.Logger) container.MailetFactory {
	return func(p *conf.Params) container.Mailet { return &MailAttributesListToMimeHeaders{readMappings(p), log} }
}

// Service adds the fields, in the order of the mappings and of the collections.
func (a *MailAttributesListToMimeHeaders) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	var fields []byte
	for _, f := range a.mappings {
		v, ok := m.Attributes[f.attribute]
		if !ok {
			continue
		}
		list, ok := v.([]container.Value)
		if !ok {
			a.log.WarnContext(ctx, "attribute is no collection; no header field added", "mail", m.Name, "attribute", f.attribute)
		}
		for _, e := range list {
			s, ok := e.(string)
			if !ok {
				a.log.WarnContext(ctx, "value in a collection is no string; no header field added", "mail", m.Name, "attribute", f.attribute)
				continue
			}
			fields = append(fields, mime.FormatField(f.field, s)...)
		}
	}
	if fields != nil {
		m.Message.SetHeader(mime.AddRaw(m.Message.Header(), fields))
	}
	return nil
}
