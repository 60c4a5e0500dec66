package mailets

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// ICALToJsonAttribute makes a JSON document of each calendar for each recipient,
// for AmqpForwardAttribute to pass on.
//
//	<mailet match="All" class="ICALToJsonAttribute">
//	  <source>icalendar</source>
//	  <rawSource>rawIcalendar</rawSource>
//	  <destination>icalendarAsJson</destination>
//	</mailet>
//
// A document is an object with the strings ical (the calendar as it came), sender
// (the address in From, without one that in Sender, without one that of the
// envelope), recipient, replyTo (the address in Reply-To, without one the sender),
// uid, dtstamp, method, sequence ("0" if there is none) and recurrence-id; what
// the first event does not have is null. A mail without sender, and a calendar
// without event, make none.
//
// Parameters:
//
//   - source (default icalendar): attribute with a map from names to calendars, as
//     ICalendarParser leaves it.
//   - rawSource (default attachments): attribute with the map that they were read
//     from; calendars that are not there are passed over.
//   - destination (default icalendarJson): attribute for a map from random keys to
//     documents.
//
// Differs from James: the documents of a mail have 32 MiB together at most; what
// does not fit is left out, with a warning in the log.
type ICALToJsonAttribute struct {
	log                      *slog.Logger
	source, raw, destination string
}

// maxCalendarJSON bounds the documents of a mail: one that has many recipients has
// the calendar as many times.
const maxCalendarJSON = 32 << 20

func newICALToJsonAttribute(log *slog.Logger) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		return &ICALToJsonAttribute{log, attributeParam(p, "source", "icalendar"),
			attributeParam(p, "rawSource", "attachments"), attributeParam(p, "destination", "icalendarJson")}
	}
}

// calendarJSON is a document, with the keys of James.
type calendarJSON struct {
	ICal         string  `json:"ical"`
	Sender       string  `json:"sender"`
	Recipient    string  `json:"recipient"`
	ReplyTo      string  `json:"replyTo"`
	UID          *string `json:"uid"`
	Stamp        *string `json:"dtstamp"`
	Method       *string `json:"method"`
	Sequence     string  `json:"sequence"`
	RecurrenceID *string `json:"recurrence-id"`
}

// Service makes the documents.
func (i *ICALToJsonAttribute) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	calendars, ok := m.Attributes.Map(i.source)
	raw, rawOK := m.Attributes.Map(i.raw)
	if !ok || !rawOK {
		return nil
	}
	sender, replyTo := calendarSender(m)
	if sender.IsNull() {
		i.log.InfoContext(ctx, "no JSON of calendars: there is no sender")
		return nil
	}
	docs, size := map[string]container.Value{}, 0
	for _, name := range slices.Sorted(maps.Keys(calendars)) {
		doc, ok := i.document(ctx, calendars, raw, name)
		if !ok {
			continue
		}
		doc.Sender, doc.ReplyTo = sender.String(), replyTo.String()
		for _, r := range m.Recipients {
			doc.Recipient = r.String()
			text, err := marshalCalendar(doc)
			if err != nil {
				return fmt.Errorf("write calendar %s as JSON: %w", name, err)
			}
			if size += len(text); size > maxCalendarJSON {
				i.log.WarnContext(ctx, "too many or too large calendars for JSON; the others are left out", "limit", maxCalendarJSON, "documents", len(docs))
				m.Set(i.destination, docs)
				return nil
			}
			docs[randomUUID()] = text
		}
	}
	if len(docs) > 0 {
		m.Set(i.destination, docs)
	}
	return nil
}

// document returns what is the same for all recipients of a calendar.
func (i *ICALToJsonAttribute) document(ctx context.Context, calendars, raw map[string]container.Value, name string) (calendarJSON, bool) {
	text, ok := raw[name].([]byte)
	if !ok {
		i.log.DebugContext(ctx, "no raw calendar", "attribute", i.raw, "name", name)
		return calendarJSON{}, false
	}
	cal, err := readCalendar(calendars, name)
	switch {
	case err != nil:
		i.log.WarnContext(ctx, "not a calendar", "attribute", i.source, "name", name, "err", err)
		return calendarJSON{}, false
	case cal.event == nil:
		i.log.DebugContext(ctx, "calendar without event", "attribute", i.source, "name", name)
		return calendarJSON{}, false
	}
	sequence := "0"
	if cal.event.sequence != nil {
		sequence = *cal.event.sequence
	}
	return calendarJSON{ICal: strings.ToValidUTF8(string(text), "\ufffd"), UID: cal.event.uid, Stamp: cal.event.stamp, Method: cal.method,
		Sequence: sequence, RecurrenceID: cal.event.recurrenceID}, true
}

// calendarSender returns who sent a calendar, null when nobody says so, and who
// wants the answer.
func calendarSender(m *container.Mail) (sender, replyTo container.Address) {
	header := m.Message.Header()
	sender = m.Sender
	for _, field := range []string{"From", "Sender"} {
		if list := mime.Addresses(header, field); len(list) > 0 {
			sender = list[0]
			break
		}
	}
	if list := mime.Addresses(header, "Reply-To"); len(list) > 0 {
		return sender, list[0]
	}
	return sender, sender
}

// marshalCalendar writes a document without the escapes that HTML would need.
func marshalCalendar(doc calendarJSON) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// randomUUID returns a random UUID (RFC 9562 §5.4).
func randomUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
