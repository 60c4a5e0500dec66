package mailets

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// RecipientToLowerCase puts the address of every recipient into lower case, for
// mailbox stores that tell Bob from bob.
//
//	<mailet match="All" class="RecipientToLowerCase"/>
//
// Parameters: none.
//
// Differs from James: recipients that become the same are one.
type RecipientToLowerCase struct{}

func newRecipientToLowerCase(*conf.Params) container.Mailet { return &RecipientToLowerCase{} }

// Service changes the recipients.
func (*RecipientToLowerCase) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	changed := false
	for _, r := range m.Recipients {
		changed = changed || strings.ToLower(r.Local) != r.Local
	}
	if !changed {
		return nil
	}
	var out addressSet
	for _, r := range m.Recipients {
		r.Local = strings.ToLower(r.Local)
		out.add(r)
	}
	m.Recipients = out.list
	return nil
}
