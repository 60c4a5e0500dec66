package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// SaveMailNameInHeaders sets the field X-JAMES-Mail-Name to the name that the mail
// has in the log, in queues and in repositories.
//
//	<mailet match="All" class="SaveMailNameInHeaders"/>
//
// Parameters: none.
//
// Differs from James: a missing Date, Message-ID or MIME-Version is not added.
type SaveMailNameInHeaders struct{}

func newSaveMailNameInHeaders(*conf.Params) container.Mailet { return &SaveMailNameInHeaders{} }

// Service sets the field.
func (*SaveMailNameInHeaders) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	m.Message.SetHeader(mime.Set(m.Message.Header(), "X-JAMES-Mail-Name", m.Name))
	return nil
}
