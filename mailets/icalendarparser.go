package mailets

import (
	"context"
	"log/slog"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// ICalendarParser takes the calendars out of a map of attachments: those that can
// be read as iCalendar objects (RFC 5545) come into another map, under the same
// names. All others are left out, with a line in the log.
//
//	<mailet match="All" class="StripAttachment">
//	  <mimeType>text/calendar</mimeType>
//	  <attribute>rawIcalendar</attribute>
//	</mailet>
//	<mailet match="All" class="MimeDecodingMailet">
//	  <attribute>rawIcalendar</attribute>
//	</mailet>
//	<mailet match="All" class="ICalendarParser">
//	  <sourceAttribute>rawIcalendar</sourceAttribute>
//	  <destinationAttribute>icalendar</destinationAttribute>
//	</mailet>
//
// Parameters:
//
//   - sourceAttribute (default icsAttachments): attribute with a map from names to
//     content, as MimeDecodingMailet leaves it.
//   - destinationAttribute (default calendars): attribute for the calendars.
//
// Differs from James: the calendars stay octets, so that they are there still when
// the mail has been in a queue; a calendar of more than 4 MiB is left out.
type ICalendarParser struct {
	log                 *slog.Logger
	source, destination string
}

func newICalendarParser(log *slog.Logger) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		return &ICalendarParser{log, attributeParam(p, "sourceAttribute", "icsAttachments"), attributeParam(p, "destinationAttribute", "calendars")}
	}
}

// Service reads the calendars.
func (i *ICalendarParser) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	if _, there := m.Attributes[i.source]; !there {
		return nil
	}
	attachments, ok := m.Attributes.Map(i.source)
	if !ok {
		i.log.WarnContext(ctx, "attribute is no map", "attribute", i.source)
		return nil
	}
	calendars := make(map[string]container.Value, len(attachments))
	for name, content := range attachments {
		if _, err := readCalendar(attachments, name); err != nil {
			i.log.InfoContext(ctx, "not a calendar", "attribute", i.source, "name", name, "err", err)
			continue
		}
		calendars[name] = content
	}
	m.Set(i.destination, calendars)
	return nil
}
