package mailets

import (
	"context"
	"errors"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// ExceptionThrowingMailet fails for each mail, to try out onMailetException.
//
//	<mailet match="All" class="debug.ExceptionThrowingMailet">
//	  <onMailetException>ignore</onMailetException>
//	</mailet>
//
// Parameters: none.
//
// Differs from James: nothing.
type ExceptionThrowingMailet struct{}

func newExceptionThrowingMailet(*conf.Params) container.Mailet { return &ExceptionThrowingMailet{} }

// Service returns an error.
func (*ExceptionThrowingMailet) Service(context.Context, *container.Mail, *container.Outbox) error {
	return errors.New("General protection fault") //lint:ignore ST1005 James's text
}
