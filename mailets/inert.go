package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// inert is a mailet that leaves every mail alone.
type inert struct{}

// Service does nothing.
func (inert) Service(context.Context, *container.Mail, *container.Outbox) error { return nil }

// JMAPFiltering loads and does nothing: the rules it would apply are kept by
// JMAP, which is not here.
//
//	<mailet match="RecipientIsLocal" class="org.apache.james.jmap.mailet.filter.JMAPFiltering"/>
//
// Parameters: any name; none has an effect.
//
// Differs from James: James applies the recipient's rules. The short name
// JMAPFiltering is known too, and processor rrt-error need not exist.
type JMAPFiltering struct{ inert }

func newJMAPFiltering(p *conf.Params) container.Mailet {
	p.All()
	return &JMAPFiltering{}
}

// InertReason says why nothing happens.
func (*JMAPFiltering) InertReason() string {
	return "filtering rules are kept by JMAP, which is not here; no rule applies"
}
