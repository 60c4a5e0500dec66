package mailets

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// AddSubjectPrefix puts a text before the subject, each time the mail passes. A
// message without subject gets one.
//
//	<mailet match="All" class="AddSubjectPrefix">
//	  <subjectPrefix>[external]</subjectPrefix>
//	</mailet>
//
// Parameters:
//
//   - subjectPrefix (required): the text.
//
// Differs from James: a missing Date, Message-ID or MIME-Version is not added.
type AddSubjectPrefix struct{ prefix string }

func newAddSubjectPrefix(p *conf.Params) container.Mailet {
	return &AddSubjectPrefix{p.Required("subjectPrefix")}
}

// Service changes the subject.
func (a *AddSubjectPrefix) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	subject, _ := mime.Text(m.Message.Header(), "Subject")
	m.Message.SetHeader(mime.Set(m.Message.Header(), "Subject", strings.TrimSpace(a.prefix+" "+subject)))
	return nil
}
