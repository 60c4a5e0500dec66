package mailets

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Limits of a calendar, which strangers write.
const (
	maxCalendar         = 4 << 20 // octets
	maxCalendarProperty = 8 << 10 // octets of a property that is looked at
	maxCalendarDepth    = 16      // components within components
)

// calendar is what the mailets for calendars want of an iCalendar object (RFC
// 5545). Values that are not there are nil.
type calendar struct {
	method *string
	event  *calendarEvent // the first one
}

// calendarEvent is a VEVENT.
type calendarEvent struct{ uid, stamp, sequence, recurrenceID *string }

// parseCalendar reads the first calendar in data, leniently: lines may end with
// LF alone, and a line that is no property, or whose value is not of its type, is
// passed over. BEGIN and END must fit together.
//
// This is not a job for emersion/go-ical: it panics on the parameter
// "A;B=" and takes time in the square of the length of a parameter.
func parseCalendar(data []byte) (*calendar, error) {
	if len(data) > maxCalendar {
		return nil, fmt.Errorf("calendar of %d octets is larger than %d", len(data), maxCalendar)
	}
	r := calendarReader{rest: bytes.TrimPrefix(data, []byte("\ufeff")), cal: &calendar{}}
	for {
		line, ok := r.next()
		switch {
		case !ok:
			return nil, errors.New("no END:VCALENDAR")
		case len(bytes.TrimSpace(line)) == 0:
			continue
		}
		name, value, ok := splitProperty(line)
		switch {
		case len(r.open) == 0 && (name != "BEGIN" || !strings.EqualFold(value, "VCALENDAR")):
			return nil, errors.New("it does not begin with BEGIN:VCALENDAR")
		case !ok:
		case name == "BEGIN" || name == "END":
			if err := r.component(name == "BEGIN", strings.ToUpper(value)); err != nil {
				return nil, err
			}
			if len(r.open) == 0 {
				return r.cal, nil
			}
		default:
			r.property(name, value)
		}
	}
}

// calendarReader reads one calendar.
type calendarReader struct {
	rest    []byte
	line    []byte // buffer for next
	open    []string
	cal     *calendar
	inEvent bool // open is within the first event
}

// next returns the next line, unfolded (RFC 5545 §3.1), as far as it is looked at.
func (r *calendarReader) next() (line []byte, ok bool) {
	if len(r.rest) == 0 {
		return nil, false
	}
	first := r.physical()
	if !r.continued() {
		return first[:min(len(first), maxCalendarProperty+1)], true
	}
	r.line = append(r.line[:0], first...)
	for r.continued() {
		more := r.physical()[1:]
		if len(r.line) <= maxCalendarProperty {
			r.line = append(r.line, more...)
		}
	}
	return r.line[:min(len(r.line), maxCalendarProperty+1)], true
}

func (r *calendarReader) continued() bool {
	return len(r.rest) > 0 && (r.rest[0] == ' ' || r.rest[0] == '\t')
}

func (r *calendarReader) physical() []byte {
	line, rest, _ := bytes.Cut(r.rest, []byte("\n"))
	r.rest = rest
	return bytes.TrimSuffix(line, []byte("\r"))
}

// splitProperty cuts a line into the name, in capitals, and the value. There is
// no value when the line is no property or too long.
func splitProperty(line []byte) (name, value string, ok bool) {
	at := bytes.IndexAny(line, ";:")
	if at < 0 || len(line) > maxCalendarProperty {
		return "", "", false
	}
	name = strings.ToUpper(strings.TrimSpace(string(line[:at])))
	quoted := false
	for i := at; i < len(line); i++ {
		switch line[i] {
		case '"':
			quoted = !quoted
		case ':':
			if !quoted {
				return name, strings.TrimSpace(string(line[i+1:])), true
			}
		}
	}
	return name, "", false
}

func (r *calendarReader) component(begin bool, name string) error {
	if begin {
		if len(r.open) == maxCalendarDepth {
			return fmt.Errorf("more than %d components within each other", maxCalendarDepth)
		}
		r.open = append(r.open, name)
		if len(r.open) == 2 && name == "VEVENT" && r.cal.event == nil {
			r.cal.event, r.inEvent = &calendarEvent{}, true
		}
		return nil
	}
	last := len(r.open) - 1
	if r.open[last] != name {
		return fmt.Errorf("END:%.40s where END:%.40s should be", name, r.open[last])
	}
	r.open = r.open[:last]
	r.inEvent = r.inEvent && last > 1
	return nil
}

// property keeps a value that is looked at; of several the first.
func (r *calendarReader) property(name, value string) {
	keep := func(to **string, v string, ok bool) {
		if ok && *to == nil {
			*to = &v
		}
	}
	switch {
	case len(r.open) == 1 && name == "METHOD":
		keep(&r.cal.method, value, value != "")
	case !r.inEvent || len(r.open) != 2:
	case name == "UID":
		text := unescapeCalendar(value)
		keep(&r.cal.event.uid, text, text != "")
	case name == "DTSTAMP":
		keep(&r.cal.event.stamp, value, isCalendarTime(value))
	case name == "RECURRENCE-ID":
		keep(&r.cal.event.recurrenceID, value, isCalendarTime(value))
	case name == "SEQUENCE":
		n, err := strconv.ParseInt(value, 10, 32)
		keep(&r.cal.event.sequence, strconv.FormatInt(n, 10), err == nil)
	}
}

// isCalendarTime reports whether v is a DATE or DATE-TIME (RFC 5545 §3.3.4, §3.3.5).
func isCalendarTime(v string) bool {
	date, clock, timed := strings.Cut(v, "T")
	clock = strings.TrimSuffix(clock, "Z")
	return len(date) == 8 && isDigits(date) && (!timed || len(clock) == 6 && isDigits(clock))
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// unescapeCalendar undoes the escapes of a TEXT (RFC 5545 §3.3.11).
func unescapeCalendar(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\;`, ";", `\,`, ",", `\n`, "\n", `\N`, "\n").Replace(s)
}

// readCalendar returns the calendar that a map in an attribute has under a name.
func readCalendar(calendars map[string]container.Value, name string) (*calendar, error) {
	data, ok := calendars[name].([]byte)
	if !ok {
		return nil, fmt.Errorf("it is a %T, not octets", calendars[name])
	}
	return parseCalendar(data)
}

// attributeParam reads the name of an attribute, which must not be empty if it is
// given.
func attributeParam(p *conf.Params, name, def string) string {
	v, given := p.Lookup(name)
	switch {
	case !given:
		return def
	case v == "":
		p.Fail(name, errors.New("it is empty; want the name of an attribute"))
	}
	return v
}
