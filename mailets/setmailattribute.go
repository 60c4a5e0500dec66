package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// SetMailAttribute sets attributes of the mail. Each parameter becomes one, of
// type String, and replaces what was there under its name.
//
//	<mailet match="All" class="SetMailAttribute">
//	  <com.example.checked>yes</com.example.checked>
//	  <com.example.by>gateway 7</com.example.by>
//	</mailet>
//
// Parameters: any name.
//
// Differs from James: onMailetException and onMatchException are settings of the
// container and do not become attributes.
type SetMailAttribute struct{ attributes []conf.Param }

func newSetMailAttribute(p *conf.Params) container.Mailet {
	s := &SetMailAttribute{}
	for _, a := range p.All() {
		if a.Name != "onMailetException" && a.Name != "onMatchException" {
			s.attributes = append(s.attributes, a)
		}
	}
	return s
}

// Service sets the attributes.
func (s *SetMailAttribute) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	for _, a := range s.attributes {
		m.Set(a.Name, a.Value)
	}
	return nil
}
