package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// RemoveAllMailAttributes removes the attributes of the mail.
//
//	<mailet match="All" class="RemoveAllMailAttributes"/>
//
// Parameters: none.
//
// Differs from James: smtp-body and smtp-utf8 stay, which say what the next hop
// must be able to take; James has no such attributes.
type RemoveAllMailAttributes struct{}

func newRemoveAllMailAttributes(*conf.Params) container.Mailet { return &RemoveAllMailAttributes{} }

// Service removes the attributes.
func (*RemoveAllMailAttributes) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	old := m.Attributes
	m.Attributes = nil
	for _, name := range []string{container.AttrBodyType, container.AttrSMTPUTF8} {
		if v, ok := old[name]; ok {
			m.Set(name, v)
		}
	}
	return nil
}
