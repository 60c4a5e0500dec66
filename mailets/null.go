package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Null ends the processing of the mail. Nothing is sent to anyone.
//
//	<mailet match="All" class="Null"/>
//
// Parameters: none.
//
// Differs from James: nothing.
type Null struct{}

func newNull(*conf.Params) container.Mailet { return &Null{} }

// Service sets the state to ghost.
func (*Null) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	m.State = container.StateGhost
	return nil
}
