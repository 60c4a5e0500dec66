package mailets

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// ICSSanitizer repairs calendar parts of a multipart that have no content because
// the blank line behind their header is missing: the lines of the calendar, which
// stand in the header then, become the content, in UTF-8. A part without a file
// name is called event.ics.
//
//	<mailet match="All" class="ICSSanitizer"/>
//
// Parameters: none.
//
// Differs from James: the MIME fields stay in the header and the lines of the
// calendar stay as they were, so that the content is a calendar; a part that has
// none in its header is left alone.
type ICSSanitizer struct{ log *slog.Logger }

func newICSSanitizer(log *slog.Logger) container.MailetFactory {
	return func(*conf.Params) container.Mailet { return &ICSSanitizer{log} }
}

// Service repairs the parts.
func (s *ICSSanitizer) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	root, err := mime.Scan(&m.Message, mime.Limits{})
	if err != nil {
		if !unreadable(err) {
			return fmt.Errorf("repair calendar: %w", err)
		}
		s.log.WarnContext(ctx, "calendar not repaired", "err", err)
		return nil
	}
	w := mime.NewRewriter(&m.Message)
	for _, e := range root.Children {
		if e.MediaType != "text/calendar" || e.End > e.Content || e.Sealed() {
			continue
		}
		if header, calendar := splitCalendar(e.Header); calendar != nil {
			w.Replace(e, calendarHeader(header, e, calendar), calendar)
		}
	}
	if err := w.Apply(); err != nil {
		return fmt.Errorf("repair calendar: %w", err)
	}
	return nil
}

// splitCalendar separates the fields of a part from the calendar behind them;
// there is none when calendar is nil.
func splitCalendar(header []byte) (fields, calendar []byte) {
	const begin = "BEGIN:VCALENDAR"
	at := 0
	for line := range bytes.Lines(header) {
		if strings.EqualFold(strings.TrimSpace(string(line)), begin) {
			return header[:at], header[at:]
		}
		at += len(line)
	}
	return header, nil
}

// calendarHeader returns the header of a part for a calendar as it stands.
func calendarHeader(header []byte, e *mime.Entity, calendar []byte) []byte {
	name := ""
	if names := e.FileNames(); len(names) == 0 {
		name = "event.ics"
	}
	if !mime.Has(header, "Content-Type") {
		header = mime.Append(header, "Content-Type", "text/calendar; charset=utf-8")
	} else if _, ok := e.Type.Param("charset"); !ok && !mime.IsASCII(calendar) {
		v, _ := mime.Get(header, "Content-Type")
		header = mime.Set(header, "Content-Type", strings.TrimRight(v, "; ")+"; charset=utf-8")
	}
	if name != "" {
		disposition, ok := mime.Get(header, "Content-Disposition")
		if disposition = strings.TrimRight(disposition, "; "); !ok || disposition == "" {
			disposition = "attachment"
		}
		header = mime.Set(header, "Content-Disposition", disposition+`; filename="`+name+`"`)
	}
	header = mime.Remove(header, "Content-Transfer-Encoding", "Content-Length")
	if !mime.IsASCII(calendar) {
		header = mime.Append(header, "Content-Transfer-Encoding", "8bit")
	}
	return header
}
