package mailets

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// meeting is an invitation with a folded identifier, and an alarm in the event
// that has properties of its own.
const meeting = "BEGIN:VCALENDAR\r\nPRODID:-//Test//EN\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\n" +
	"BEGIN:VTIMEZONE\r\nTZID:Europe/Paris\r\nBEGIN:STANDARD\r\nDTSTART:19701025T030000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n" +
	"BEGIN:VEVENT\r\nDTSTAMP:20250106T115036Z\r\nDTSTART;TZID=\"Europe:Paris\":20250111T090000\r\nSEQUENCE:2\r\n" +
	"RECURRENCE-ID;TZID=Europe/Paris:20250118T090000\r\nUID:f1514f44-0123456789\r\n \tabc\\, def\r\n" +
	"SUMMARY:Überstunden\r\nBEGIN:VALARM\r\nUID:alarm\r\nEND:VALARM\r\nEND:VEVENT\r\n" +
	"BEGIN:VEVENT\r\nUID:second\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

// show returns what was read of a calendar.
func (c *calendar) show() string {
	text := func(s *string) string {
		if s == nil {
			return "-"
		}
		return *s
	}
	if c.event == nil {
		return text(c.method)
	}
	return strings.Join([]string{text(c.method), text(c.event.uid), text(c.event.stamp), text(c.event.sequence), text(c.event.recurrenceID)}, "|")
}

func TestParseCalendar(t *testing.T) {
	event := func(lines string) string {
		return "BEGIN:VCALENDAR\nBEGIN:VEVENT\n" + lines + "\nEND:VEVENT\nEND:VCALENDAR"
	}
	for _, tc := range []struct{ name, in, want, err string }{
		{name: "meeting", in: meeting, want: "REQUEST|f1514f44-0123456789\tabc, def|20250106T115036Z|2|20250118T090000"},
		{name: "no more than needed", in: event(""), want: "-|-|-|-|-"},
		{name: "mark, blank lines, cases", in: "\ufeff\n \nbegin:vcalendar\nmethod:x\nBegin:vEvent\nuid : a b \nEnd:Vevent\nend:VCALENDAR", want: "x|a b|-|-|-"},
		{name: "no event", in: "BEGIN:VCALENDAR\nMETHOD:PUBLISH\nBEGIN:VTODO\nUID:x\nEND:VTODO\nEND:VCALENDAR\n", want: "PUBLISH"},
		{name: "event in an event", in: event("BEGIN:VEVENT\nUID:inner\nEND:VEVENT\nUID:outer"), want: "-|outer|-|-|-"},
		{name: "first counts", in: event("UID:a\nUID:b"), want: "-|a|-|-|-"},
		{name: "bad values", in: event("SEQUENCE:many\nDTSTAMP:yesterday\nRECURRENCE-ID:2025-01-01\nUID:"), want: "-|-|-|-|-"},
		{name: "date", in: event("RECURRENCE-ID;VALUE=DATE:20250101\nSEQUENCE:+5\nDTSTAMP:20250101T000000"), want: "-|-|20250101T000000|5|20250101"},
		{name: "no properties", in: event("hello\n;;\n:\nA;B=\nX\"Y:Z\nUID;A=\":\":u"), want: "-|u|-|-|-"},
		{name: "escapes", in: event(`UID:a\nb\;c\\n\q`), want: "-|a\nb;c\\n\\q|-|-|-"},
		{name: "long property", in: event("UID:" + strings.Repeat("x", maxCalendarProperty) + "\nSEQUENCE:1"), want: "-|-|-|1|-"},
		{name: "attachment", in: event("ATTACH:" + strings.Repeat("x\r\n ", 100000) + "\nUID:u"), want: "-|u|-|-|-"},
		{name: "two calendars", in: event("UID:1") + "\n" + event("UID:2"), want: "-|1|-|-|-"},
		{name: "none", in: "anyValue", err: "does not begin"},
		{name: "empty", err: "no END:VCALENDAR"},
		{name: "blanks in front", in: " BEGIN:VCALENDAR\nEND:VCALENDAR", want: "-"},
		{name: "cut off", in: meeting[:300], err: "no END:VCALENDAR"},
		{name: "crossed", in: "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\nEND:VEVENT", err: "END:VCALENDAR where END:VEVENT should be"},
		{name: "deep", in: "BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:A\n", maxCalendarDepth), err: "within each other"},
		{name: "large", in: event("X:" + strings.Repeat("x", maxCalendar)), err: "larger than"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := parseCalendar([]byte(tc.in))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil || c.show() != tc.want {
				t.Errorf("got %q and %v, want %q", c.show(), err, tc.want)
			}
		})
	}
}

// FuzzCalendar: whatever a calendar holds, the fields it becomes are fields of
// ours, and the JSON says the same.
func FuzzCalendar(f *testing.F) {
	for _, s := range []string{meeting, "anyValue", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\\nSubject: x\\n\\nbody\nEND:VEVENT\nEND:VCALENDAR", "BEGIN:VCALENDAR\nMETHOD:\r\rX\nA;B=\nEND:VCALENDAR"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCalendar(data)
		if err != nil || c.event == nil {
			return
		}
		fields := meetingFields(c)
		for field := range mime.Fields(append(slices.Clone(fields), "\r\n"...)) {
			if !strings.HasPrefix(string(field.Name), "X-MEETING-") {
				t.Errorf("%q becomes %q", data, fields)
			}
		}
		if strings.Contains(string(fields), "\r\n\r\n") {
			t.Errorf("%q ends the header: %q", data, fields)
		}
		doc, err := marshalCalendar(calendarJSON{ICal: string(data), UID: c.event.uid})
		var back calendarJSON
		if err != nil || json.Unmarshal(doc, &back) != nil || c.event.uid != nil && *back.UID != strings.ToValidUTF8(*c.event.uid, "\ufffd") {
			t.Errorf("%q becomes %q and %v", data, doc, err)
		}
	})
}

func octets(kv ...string) map[string]container.Value {
	out := map[string]container.Value{}
	for i := 0; i < len(kv); i += 2 {
		out[kv[i]] = []byte(kv[i+1])
	}
	return out
}

func TestICalendarParser(t *testing.T) {
	r := testRegistry(t)
	for _, tc := range []struct {
		name     string
		in, want container.Value
	}{
		{name: "absent"},
		{name: "no map", in: "text"},
		{name: "empty", in: octets(), want: octets()},
		{name: "calendars", in: octets("a.ics", meeting, "b.ics", "anyValue", "c.ics", ""), want: octets("a.ics", meeting)},
		{name: "other values", in: map[string]container.Value{"a": "text", "b": []byte(meeting), "c": nil}, want: octets("b", meeting)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := testMail("bob@example.com")
			if tc.in != nil {
				m.Set("icsAttachments", tc.in)
			}
			serve(t, mustLoad(t, r, "ICalendarParser", ""), m)
			if got := m.Attributes["calendars"]; !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
	for _, params := range []string{"ICalendarParser <sourceAttribute/>", "ICalendarParser <destinationAttribute></destinationAttribute>", "ICALToHeader <attribute/>",
		"ICALToJsonAttribute <source/>", "ICALToJsonAttribute <rawSource/>", "ICALToJsonAttribute <destination/>"} {
		class, params, _ := strings.Cut(params, " ")
		if _, problems := load(t, r, class, params); len(problems) == 0 || !strings.Contains(problems[0], "empty") {
			t.Errorf("%s: got %v", params, problems)
		}
	}
}

func TestICALToHeader(t *testing.T) {
	r := testRegistry(t)
	const empty = "BEGIN:VCALENDAR\nEND:VCALENDAR"
	for _, tc := range []struct {
		name string
		in   container.Value
		want string
	}{
		{"absent", nil, ""},
		{"no map", "x", ""},
		{"no event", octets("a", empty), ""},
		{"no calendar", octets("a", "x"), ""},
		{"meeting", octets("b", meeting, "a", empty), "X-MEETING-METHOD: REQUEST\r\nX-MEETING-UID: f1514f44-0123456789\tabc, def\r\n" +
			"X-MEETING-RECURRENCE-ID: 20250118T090000\r\nX-MEETING-SEQUENCE: 2\r\nX-MEETING-DTSTAMP: 20250106T115036Z\r\n"},
		{"line ends", octets("a", "BEGIN:VCALENDAR\nMETHOD:A\rSubject: z\nBEGIN:VEVENT\nUID:a\\nSubject: x\\n\\ny\nEND:VEVENT\nEND:VCALENDAR"),
			"X-MEETING-METHOD: A Subject: z\r\nX-MEETING-UID: a Subject: x y\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := testMail("bob@example.com")
			before := string(m.Message.Header())
			if tc.in != nil {
				m.Set("icalendar", tc.in)
			}
			serve(t, mustLoad(t, r, "ICALToHeader", ""), m)
			if got := string(m.Message.Header()); got != tc.want+before {
				t.Errorf("got %q, want %q", got, tc.want+before)
			}
		})
	}
}

func TestICALToJsonAttribute(t *testing.T) {
	r := testRegistry(t)
	doc := func(sender, recipient, replyTo, rest string) string {
		return fmt.Sprintf(`{"ical":%s,"sender":%q,"recipient":%q,"replyTo":%q,%s}`, quoteJSON(meeting), sender, recipient, replyTo, rest)
	}
	const rest = `"uid":"f1514f44-0123456789\tabc, def","dtstamp":"20250106T115036Z","method":"REQUEST","sequence":"2","recurrence-id":"20250118T090000"`
	for _, tc := range []struct {
		name, header string
		sender       string
		calendars    container.Value
		raw          container.Value
		want         []string
	}{
		{name: "absent", sender: "a@x.test"},
		{name: "no raw ones", sender: "a@x.test", calendars: octets("a", meeting)},
		{name: "raw under another name", sender: "a@x.test", calendars: octets("a", meeting), raw: octets("b", meeting)},
		{name: "no event", sender: "a@x.test", calendars: octets("a", "BEGIN:VCALENDAR\nEND:VCALENDAR"), raw: octets("a", "x")},
		{name: "no calendar", sender: "a@x.test", calendars: octets("a", "x"), raw: octets("a", "x")},
		{name: "no sender", calendars: octets("a", meeting), raw: octets("a", meeting)},
		{name: "envelope", sender: "a@x.test", calendars: octets("a", meeting), raw: octets("a", meeting),
			want: []string{doc("a@x.test", "bob@example.com", "a@x.test", rest), doc("a@x.test", "Eve@example.com", "a@x.test", rest)}},
		{name: "header", header: "From: A <b@x.test>\r\nReply-To: <c@x.test>, d@x.test\r\n", calendars: octets("a", meeting), raw: octets("a", meeting),
			want: []string{doc("b@x.test", "bob@example.com", "c@x.test", rest), doc("b@x.test", "Eve@example.com", "c@x.test", rest)}},
		{name: "sender field", header: "From: undisclosed\r\nSender: s@x.test\r\nReply-To: nobody\r\n", sender: "a@x.test", calendars: octets("a", meeting), raw: octets("a", meeting),
			want: []string{doc("s@x.test", "bob@example.com", "s@x.test", rest), doc("s@x.test", "Eve@example.com", "s@x.test", rest)}},
		{name: "little", sender: "a@x.test", calendars: octets("a", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR"), raw: octets("a", "\xff<&>"),
			want: []string{`{"ical":"` + "\ufffd" + `<&>","sender":"a@x.test","recipient":"bob@example.com","replyTo":"a@x.test","uid":null,"dtstamp":null,"method":null,"sequence":"0","recurrence-id":null}`,
				`{"ical":"` + "\ufffd" + `<&>","sender":"a@x.test","recipient":"Eve@example.com","replyTo":"a@x.test","uid":null,"dtstamp":null,"method":null,"sequence":"0","recurrence-id":null}`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := testMail("bob@example.com", "Eve@example.com")
			m.Message.SetHeader([]byte(tc.header))
			m.Sender = container.Address{}
			if tc.sender != "" {
				m.Sender = container.MustAddress(tc.sender)
			}
			if tc.calendars != nil {
				m.Set("icalendar", tc.calendars)
			}
			if tc.raw != nil {
				m.Set("attachments", tc.raw)
			}
			serve(t, mustLoad(t, r, "ICALToJsonAttribute", ""), m)
			docs, there := m.Attributes.Map("icalendarJson")
			if there != (tc.want != nil) {
				t.Errorf("attribute is there: %t", there)
			}
			var got []string
			for key, v := range docs {
				if len(key) != 36 || key[14] != '4' {
					t.Errorf("key %q is no UUID", key)
				}
				got = append(got, string(v.([]byte)))
			}
			slices.Sort(got)
			slices.Sort(tc.want)
			if !slices.Equal(got, tc.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

func quoteJSON(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// TestICALToJsonBounded: a large calendar for very many is not there as many
// times.
func TestICALToJsonBounded(t *testing.T) {
	large := strings.Replace(meeting, "SUMMARY:", "SUMMARY:"+strings.Repeat("x", 3<<20), 1)
	var rcpts []string
	for i := range 100 {
		rcpts = append(rcpts, fmt.Sprintf("u%d@example.com", i))
	}
	m := testMail(rcpts...)
	m.Set("icalendar", octets("a", large))
	m.Set("attachments", octets("a", large))
	serve(t, mustLoad(t, testRegistry(t), "ICALToJsonAttribute", ""), m)
	docs, _ := m.Attributes.Map("icalendarJson")
	size := 0
	for v := range maps.Values(docs) {
		size += len(v.([]byte))
	}
	if len(docs) != 10 || size > maxCalendarJSON {
		t.Errorf("%d documents of %d octets", len(docs), size)
	}
}
