package mailets

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// maxLogged bounds what LogMessage writes of a header and of a body, in octets.
const maxLogged = 64 << 10

// LogMessage writes the message to the log, for looking for mistakes.
//
//	<mailet match="RecipientIs=test@example.com" class="LogMessage">
//	  <headers>true</headers>
//	  <body>true</body>
//	  <maxBody>1000</maxBody>
//	  <comment>mail to test</comment>
//	</mailet>
//
// Parameters:
//
//   - headers (default true): whether the header is logged.
//   - body (default true): whether the text of the message is logged: its first
//     text part, decoded.
//   - maxBody (default 0): how many octets of it at most; 0 means 65536, which
//     is also the most there can be.
//   - comment: a text to go with it.
//   - passThrough (default true): whether the mail goes on to the next mailet.
//
// Differs from James: header and body are limited to 65536 octets each; the body
// is the text of the message, not its encoded form; a maxBody that is no number is
// a warning.
type LogMessage struct {
	log                        *slog.Logger
	headers, body, passThrough bool
	maxBody                    int64
	comment                    string
}

func newLogMessage(log *slog.Logger) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		l := &LogMessage{
			log:         log,
			passThrough: p.Bool("passThrough", true),
			headers:     p.Bool("headers", true),
			body:        p.Bool("body", true),
			comment:     p.String("comment", ""),
			maxBody:     maxLogged,
		}
		v := p.String("maxBody", "0")
		switch n, err := strconv.ParseInt(v, 10, 32); {
		case err != nil || n < 0:
			p.Warn("maxBody", "<maxBody> is %q, not a number of octets; using %d", v, maxLogged)
		case n > 0:
			l.maxBody = min(n, maxLogged)
		}
		return l
	}
}

// Service logs the message. What cannot be read is logged as such.
func (l *LogMessage) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	var attrs []slog.Attr
	if l.comment != "" {
		attrs = append(attrs, slog.String("comment", l.comment))
	}
	if l.headers {
		attrs = append(attrs, slog.String("header", bounded(string(m.Message.Header()), maxLogged)))
	}
	if l.body {
		text, err := mime.PlainText(&m.Message, l.maxBody)
		if err != nil {
			text = fmt.Sprintf("(cannot be read: %v)", err)
		}
		attrs = append(attrs, slog.String("body", bounded(text, l.maxBody)))
	}
	l.log.LogAttrs(ctx, slog.LevelInfo, "message content", attrs...)
	if !l.passThrough {
		m.State = container.StateGhost
	}
	return nil
}

// bounded returns at most n octets of s, all of them valid UTF-8.
func bounded(s string, n int64) string {
	if int64(len(s)) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
