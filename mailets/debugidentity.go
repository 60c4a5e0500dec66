package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Identity leaves the mail as it is.
//
//	<mailet match="All" class="debug.Identity"/>
//
// Parameters: none.
//
// Differs from James: nothing.
type Identity struct{}

func newIdentity(*conf.Params) container.Mailet { return &Identity{} }

// Service does nothing.
func (*Identity) Service(context.Context, *container.Mail, *container.Outbox) error { return nil }
