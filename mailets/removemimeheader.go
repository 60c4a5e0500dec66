package mailets

import (
	"context"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// RemoveMimeHeader removes header fields from the message, and from the headers
// of single recipients. In processor transport it should remove Bcc for
// everybody.
//
//	<mailet match="All" class="RemoveMimeHeader">
//	  <name>bcc, x-internal</name>
//	</mailet>
//
// Parameters:
//
//   - name (required): names of the fields in any case, separated by commas.
//
// Differs from James: blanks around a name do not count; the case of a name does
// not count for the headers of single recipients either; a missing Date,
// Message-ID or MIME-Version is not added.
type RemoveMimeHeader struct{ names []string }

func newRemoveMimeHeader(p *conf.Params) container.Mailet {
	return &RemoveMimeHeader{requiredList(p, "name")}
}

// Service removes the fields.
func (r *RemoveMimeHeader) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	before := m.Message.Header()
	if after := mime.Remove(before, r.names...); len(after) != len(before) {
		m.Message.SetHeader(after)
	}
	for rcpt, fields := range m.RecipientHeaders {
		m.RecipientHeaders[rcpt] = slices.DeleteFunc(fields, func(f container.HeaderField) bool {
			return slices.ContainsFunc(r.names, func(n string) bool { return strings.EqualFold(n, f.Name) })
		})
	}
	return nil
}
