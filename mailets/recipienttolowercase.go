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
	var out []container.Address
	for i, r := range m.Recipients {
		low := strings.ToLower(r.Local)
		if low != r.Local && out == nil {
			out = append(make([]container.Address, 0, len(m.Recipients)), m.Recipients[:i]...)
		}
		if r.Local = low; out != nil && !container.ContainsAddress(out, r) {
			out = append(out, r)
		}
	}
	if out != nil {
		m.Recipients = out
	}
	return nil
}
