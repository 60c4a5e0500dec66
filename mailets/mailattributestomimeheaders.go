package mailets

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// MailAttributesToMimeHeaders adds header fields with the values of attributes of
// type String. Attributes that are missing or of another type add nothing.
//
//	<mailet match="All" class="MailAttributesToMimeHeaders">
//	  <simplemapping>org.apache.james.HELO;X-Helo</simplemapping>
//	  <simplemapping>com.example.checked;X-Checked</simplemapping>
//	</mailet>
//
// Parameters:
//
//   - simplemapping (required): attribute;field, repeated for each attribute.
//     Fields of that name which are there stay.
//
// Differs from James: a name that cannot be a field name stops the start; a
// value is made fit for one field; a missing Date, Message-ID or MIME-Version is
// not added.
type MailAttributesToMimeHeaders struct{ mappings []attributeMapping }

// attributeMapping is one attribute and the field it becomes.
type attributeMapping struct{ attribute, field string }

func newMailAttributesToMimeHeaders(p *conf.Params) container.Mailet {
	return &MailAttributesToMimeHeaders{readMappings(p)}
}

// readMappings reads the parameter simplemapping.
func readMappings(p *conf.Params) []attributeMapping {
	var out []attributeMapping
	seen := map[string]bool{}
	for _, item := range requiredList(p, "simplemapping") {
		attribute, field, ok := strings.Cut(item, ";")
		attribute, field = strings.TrimSpace(attribute), strings.TrimSpace(field)
		switch {
		case !ok || attribute == "" || strings.Contains(field, ";"):
			p.Fail("simplemapping", fmt.Errorf("%q is not of the form attribute;field", item))
		case !mime.ValidName(field):
			p.Fail("simplemapping", fmt.Errorf("%q cannot be the name of a header field", field))
		case seen[attribute]:
			p.Fail("simplemapping", fmt.Errorf("attribute %s is mapped twice", attribute))
		}
		seen[attribute] = true
		out = append(out, attributeMapping{attribute, field})
	}
	return out
}

// Service adds the fields, in the order of the mappings.
func (a *MailAttributesToMimeHeaders) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	var fields []byte
	for _, f := range a.mappings {
		if v, ok := m.Attributes.String(f.attribute); ok {
			fields = append(fields, mime.FormatField(f.field, v)...)
		}
	}
	if fields != nil {
		m.Message.SetHeader(mime.AddRaw(m.Message.Header(), fields))
	}
	return nil
}
