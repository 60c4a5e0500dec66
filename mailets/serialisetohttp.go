package mailets

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// SerialiseToHTTP posts the whole message to a web server, as one field of a form,
// octet by octet. The message gets the field X-toHTTP: Succeeded, or Failed and
// with it X-toHTTPFailure with the reason.
//
//	<mailet match="All" class="SerialiseToHTTP">
//	  <url>http://127.0.0.1:8080/mail</url>
//	  <parameterKey>pKey</parameterKey>
//	  <parameterValue>pValue</parameterValue>
//	  <MessageKeyName>message</MessageKeyName>
//	  <passThrough>true</passThrough>
//	  <timeout>30s</timeout>
//	</mailet>
//
// Parameters:
//
//   - url (required): http or https.
//   - parameterKey: name of a further field of the form.
//   - parameterValue: its value.
//   - MessageKeyName (default message): name of the field with the message.
//   - passThrough (default true): whether the mail goes on to the next mailet.
//   - timeout (default 30s): how long a request may take; a number without unit
//     means seconds. The mail waits for it.
//
// A failure without passThrough is an error, so that the mail is not lost: see
// onMailetException.
//
// Differs from James: a mail that could not be posted is not dropped; every status
// 2xx is a success; redirections are not followed; timeout is our own parameter; the
// reason does not show addresses of our network.
type SerialiseToHTTP struct {
	*httpPost
	message string
	rest    string // of the form
}

func newSerialiseToHTTP(log *slog.Logger) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		s := &SerialiseToHTTP{httpPost: readHTTPPost(p, log, "X-toHTTP"), message: p.String("MessageKeyName", "message")}
		key, value := p.String("parameterKey", ""), p.String("parameterValue", "")
		if key != "" {
			s.rest = "&" + url.QueryEscape(key) + "=" + url.QueryEscape(value)
		}
		return s
	}
}

// Service posts the form.
func (s *SerialiseToHTTP) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	form, err := formWithMessage(s.message, &m.Message, s.rest)
	if err != nil {
		return fmt.Errorf("serialise to HTTP: %w", err)
	}
	defer form.Close()
	var failure string
	if small, ok := form.(inMemory); ok {
		failure = s.post(ctx, m, small.Reader) // net/http knows its length
	} else {
		failure = s.post(ctx, m, form)
	}
	switch {
	case s.passThrough:
		s.note(m, failure)
	case failure != "":
		return fmt.Errorf("serialise to HTTP: %s", failure)
	default:
		m.State = container.StateGhost
	}
	return nil
}
