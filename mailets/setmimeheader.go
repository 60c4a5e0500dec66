package mailets

import (
	"context"
	"fmt"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// SetMimeHeader adds a header field on top of the message. Fields of that name
// which are there already stay, despite the name of the class.
//
//	<mailet match="All" class="SetMimeHeader">
//	  <name>X-Gateway</name>
//	  <value>passed by mailetd</value>
//	</mailet>
//
// Parameters:
//
//   - name (required): name of the field.
//   - value (required): its value, one line; text outside ASCII is encoded
//     (RFC 2047).
//
// Differs from James: a name that cannot be a field name stops the start; text
// outside ASCII is encoded; a missing Date, Message-ID or MIME-Version is not
// added.
type SetMimeHeader struct{ field []byte }

func newSetMimeHeader(p *conf.Params) container.Mailet {
	name, value := p.Required("name"), p.Required("value")
	if name != "" && !mime.ValidName(name) {
		p.Fail("name", fmt.Errorf("%q cannot be the name of a header field", name))
	}
	return &SetMimeHeader{mime.FormatField(name, value)}
}

// Service adds the field.
func (s *SetMimeHeader) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	m.Message.SetHeader(mime.AddRaw(m.Message.Header(), s.field))
	return nil
}
