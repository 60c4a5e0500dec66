package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// AddDeliveredToHeader adds Delivered-To with the recipient's address to the
// copy that local delivery stores for each recipient (RFC 9228). Mail that goes
// elsewhere is not changed.
//
//	<mailet match="All" class="AddDeliveredToHeader"/>
//
// Parameters: none.
//
// Differs from James: nothing.
type AddDeliveredToHeader struct{}

func newAddDeliveredToHeader(*conf.Params) container.Mailet { return &AddDeliveredToHeader{} }

// Service adds one header field for each recipient.
func (*AddDeliveredToHeader) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	for _, rcpt := range m.Recipients {
		m.AddRecipientHeader(rcpt, "Delivered-To", rcpt.String())
	}
	return nil
}
