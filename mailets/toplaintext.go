package mailets

import (
	"context"
	"fmt"
	"slices"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// ToPlainText removes HTML. In a multipart/alternative that has plain text too,
// the HTML parts are taken out; all other HTML is made plain text.
//
//	<mailet match="All" class="ToPlainText"/>
//
// Parameters: none.
//
// Differs from James: HTML in other places is made plain also when some was taken
// out, as James's manual says; a multipart/alternative without plain text keeps
// its content; types are compared ignoring case; signed and encrypted content
// stays as it is.
type ToPlainText struct{}

func newToPlainText(*conf.Params) container.Mailet { return &ToPlainText{} }

// Service takes out or converts HTML.
func (*ToPlainText) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	root, err := mime.Scan(&m.Message, mime.Limits{})
	if err != nil {
		return fmt.Errorf("convert HTML: %w", err)
	}
	w := mime.NewRewriter(&m.Message)
	for e := range root.Leaves() {
		if e.MediaType != "text/html" || e.Sealed() {
			continue
		}
		if p := e.Parent; p != nil && p.MediaType == "multipart/alternative" && hasPlainText(p) {
			w.Remove(e)
			continue
		}
		text, err := e.Text(m.Message.Body(), maxPart)
		if err != nil {
			return fmt.Errorf("convert HTML: %w", err)
		}
		if err := replaceText(w, e, text, htmlToText(text), mime.TypeEdit{MediaType: "text/plain"}); err != nil {
			return fmt.Errorf("convert HTML: %w", err)
		}
	}
	if err := w.Apply(); err != nil {
		return fmt.Errorf("convert HTML: %w", err)
	}
	return nil
}

func hasPlainText(e *mime.Entity) bool {
	return slices.ContainsFunc(slices.Collect(e.Leaves()), func(l *mime.Entity) bool { return l.MediaType == "text/plain" })
}
