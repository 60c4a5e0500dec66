package mailets

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// DumpSystemErr writes the whole message to standard error.
//
//	<mailet match="RecipientIs=test@example.com" class="debug.DumpSystemErr"/>
//
// Parameters: none.
//
// Differs from James: nothing.
type DumpSystemErr struct {
	mu sync.Mutex // messages do not mix
	w  io.Writer
}

func newDumpSystemErr(*conf.Params) container.Mailet { return &DumpSystemErr{w: os.Stderr} }

// Service writes the message. That nobody reads standard error is no error.
func (d *DumpSystemErr) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := m.Message.WriteTo(deaf{d.w}); err != nil {
		return fmt.Errorf("dump message: %w", err)
	}
	return nil
}

// deaf writes and does not say what went wrong.
type deaf struct{ io.Writer }

func (d deaf) Write(p []byte) (int, error) {
	_, _ = d.Writer.Write(p)
	return len(p), nil
}
