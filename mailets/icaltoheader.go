package mailets

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// ICALToHeader adds header fields that say which event a message is about:
// X-MEETING-METHOD, X-MEETING-UID, X-MEETING-RECURRENCE-ID, X-MEETING-SEQUENCE and
// X-MEETING-DTSTAMP, each if the calendar has the property.
//
//	<mailet match="All" class="ICALToHeader">
//	  <attribute>icalendar</attribute>
//	</mailet>
//
// Parameters:
//
//   - attribute (default icalendar): attribute with a map from names to calendars,
//     as ICalendarParser leaves it. Of several calendars the first with an event
//     counts, by their names, and of several events the first.
//
// Differs from James: a calendar without an event, such as a list of things to do,
// adds nothing; there it is an error. The fields stand on top, before those that
// came with the message. What a calendar holds cannot become more than one field.
type ICALToHeader struct {
	log       *slog.Logger
	attribute string
}

func newICALToHeader(log *slog.Logger) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		return &ICALToHeader{log, attributeParam(p, "attribute", "icalendar")}
	}
}

// Service adds the fields.
func (i *ICALToHeader) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	calendars, ok := m.Attributes.Map(i.attribute)
	if _, there := m.Attributes[i.attribute]; there && !ok {
		i.log.WarnContext(ctx, "attribute is no map", "attribute", i.attribute)
	}
	for _, name := range slices.Sorted(maps.Keys(calendars)) {
		cal, err := readCalendar(calendars, name)
		switch {
		case err != nil:
			i.log.WarnContext(ctx, "not a calendar", "attribute", i.attribute, "name", name, "err", err)
		case cal.event != nil:
			m.Message.SetHeader(mime.AddRaw(m.Message.Header(), meetingFields(cal)))
			return nil
		}
	}
	return nil
}

func meetingFields(c *calendar) []byte {
	var fields []byte
	for _, f := range []struct {
		name  string
		value *string
	}{
		{"X-MEETING-METHOD", c.method},
		{"X-MEETING-UID", c.event.uid},
		{"X-MEETING-RECURRENCE-ID", c.event.recurrenceID},
		{"X-MEETING-SEQUENCE", c.event.sequence},
		{"X-MEETING-DTSTAMP", c.event.stamp},
	} {
		if f.value != nil {
			fields = append(fields, mime.FormatField(f.name, *f.value)...)
		}
	}
	return fields
}
