package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// SanitizeMimeMessageId gives the message a Message-ID if it has none.
//
//	<mailet match="All" class="SanitizeMimeMessageId"/>
//
// Parameters: none.
//
// Differs from James: an empty Message-ID counts as none; a missing Date or
// MIME-Version is not added.
type SanitizeMimeMessageId struct{ hostname string } //lint:ignore ST1003 James's name

func newSanitizeMimeMessageID(hostname string) container.MailetFactory {
	return func(*conf.Params) container.Mailet { return &SanitizeMimeMessageId{hostname} }
}

// Service adds the field.
func (s *SanitizeMimeMessageId) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	if v, _ := mime.Get(m.Message.Header(), "Message-ID"); v == "" {
		m.Message.SetHeader(mime.Set(m.Message.Header(), "Message-ID", mime.MessageID(s.hostname)))
	}
	return nil
}
