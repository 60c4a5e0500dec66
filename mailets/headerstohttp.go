package mailets

import (
	"context"
	"log/slog"
	"net/url"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// HeadersToHTTP posts some of the header to a web server, as a form with the
// fields from, reply_to, message_id, subject and size, and one of your own. The
// message gets the field X-headerToHTTP: Succeeded, or Failed and with it
// X-headerToHTTPFailure with the reason.
//
//	<mailet match="All" class="HeadersToHTTP">
//	  <url>http://127.0.0.1:8080/mail</url>
//	  <parameterKey>pKey</parameterKey>
//	  <parameterValue>pValue</parameterValue>
//	  <passThrough>true</passThrough>
//	  <timeout>30s</timeout>
//	</mailet>
//
// Parameters:
//
//   - url (required): http or https.
//   - parameterKey (required): name of the field of your own.
//   - parameterValue: its value.
//   - passThrough (default true): whether the mail goes on to the next mailet. It
//     always does after a failure.
//   - timeout (default 30s): how long a request may take; a number without unit
//     means seconds. The mail waits for it.
//
// Differs from James: a status other than 2xx is a failure; from is Sender, or
// else From; redirections are not followed; timeout is our own parameter; the reason
// does not show addresses of our network.
type HeadersToHTTP struct {
	*httpPost
	key, value string
}

func newHeadersToHTTP(log *slog.Logger) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		return &HeadersToHTTP{readHTTPPost(p, log, "X-headerToHTTP"), p.Required("parameterKey"), p.String("parameterValue", "")}
	}
}

// Service posts the form.
func (h *HeadersToHTTP) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	head := m.Message.Header()
	form := url.Values{h.key: {h.value}}
	add := func(key string, names ...string) {
		v := ""
		for _, n := range names {
			if v == "" {
				v, _ = mime.Text(head, n)
			}
		}
		form.Add(key, v)
	}
	add("from", "Sender", "From")
	add("reply_to", "Reply-To")
	add("message_id", "Message-ID")
	add("subject", "Subject")
	form.Add("size", strconv.FormatInt(m.Message.Size(), 10))
	failure := h.post(ctx, m, strings.NewReader(form.Encode()))
	switch {
	case failure != "" || h.passThrough:
		h.note(m, failure)
	default:
		m.State = container.StateGhost
	}
	return nil
}
