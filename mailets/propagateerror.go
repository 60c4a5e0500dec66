package mailets

import (
	"context"
	"fmt"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// PropagateError fails with the error message of the mail. With
// onMailetException propagate the failure reaches whoever runs the mail: the
// spool tries it again, and after that sets it aside.
//
//	<mailet match="All" class="PropagateError">
//	  <onMailetException>propagate</onMailetException>
//	</mailet>
//
// Parameters: none.
//
// Differs from James: nothing.
type PropagateError struct{}

func newPropagateError(*conf.Params) container.Mailet { return &PropagateError{} }

// Service returns the error.
func (*PropagateError) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	//lint:ignore ST1005 James's text
	return fmt.Errorf("Propagating previously encountered mailet processing errors: %s", m.ErrorMessage)
}
