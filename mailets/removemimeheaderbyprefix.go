package mailets

import (
	"context"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// RemoveMimeHeaderByPrefix removes the header fields whose names begin with a
// text, from the message and from the headers of single recipients.
//
//	<mailet match="All" class="RemoveMimeHeaderByPrefix">
//	  <prefix>X-Internal-</prefix>
//	</mailet>
//
// Parameters:
//
//   - prefix (required): how the names begin.
//
// Differs from James: the case of a name does not count (RFC 5322 §1.2.2), so
// that a stranger's x-internal- does not stay; a missing Date, Message-ID or
// MIME-Version is not added.
type RemoveMimeHeaderByPrefix struct{ prefix string }

func newRemoveMimeHeaderByPrefix(p *conf.Params) container.Mailet {
	return &RemoveMimeHeaderByPrefix{p.Required("prefix")}
}

// Service removes the fields.
func (r *RemoveMimeHeaderByPrefix) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	before := m.Message.Header()
	after := mime.RemoveFunc(before, func(f mime.Field) bool {
		return len(f.Name) >= len(r.prefix) && strings.EqualFold(string(f.Name[:len(r.prefix)]), r.prefix)
	})
	if len(after) != len(before) {
		m.Message.SetHeader(after)
	}
	for rcpt, fields := range m.RecipientHeaders {
		m.RecipientHeaders[rcpt] = slices.DeleteFunc(fields, func(f container.HeaderField) bool { return hasPrefixFold(f.Name, r.prefix) })
	}
	return nil
}
