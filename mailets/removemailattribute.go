package mailets

import (
	"context"
	"errors"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// RemoveMailAttribute removes attributes of the mail.
//
//	<mailet match="All" class="RemoveMailAttribute">
//	  <name>AT_MOST_EXECUTIONS, com.example.checked</name>
//	</mailet>
//
// Parameters:
//
//   - name (required): names of the attributes, separated by commas.
//
// Differs from James: nothing.
type RemoveMailAttribute struct{ names []string }

func newRemoveMailAttribute(p *conf.Params) container.Mailet {
	return &RemoveMailAttribute{requiredList(p, "name")}
}

// requiredList returns the items of a comma list that must have one.
func requiredList(p *conf.Params, name string) []string {
	if p.Required(name) == "" {
		return nil
	}
	list := p.List(name)
	if len(list) == 0 {
		p.Fail(name, errors.New("the list is empty"))
	}
	return list
}

// Service removes the attributes.
func (r *RemoveMailAttribute) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	for _, n := range r.names {
		delete(m.Attributes, n)
	}
	return nil
}
