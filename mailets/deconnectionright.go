package mailets

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // zones by name, whatever the machine has

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// DeconnectionRight holds mail back outside working hours (Monday to Friday, from
// workDayStart to workDayEnd): it goes into the spool again, to start at root
// when work does. Within working hours it does nothing.
//
//	<mailet match="RecipientIsLocal" class="DeconnectionRight">
//	  <zoneId>Europe/Paris</zoneId>
//	  <workDayStart>07:00:00</workDayStart>
//	  <workDayEnd>20:00</workDayEnd>
//	</mailet>
//
// Parameters:
//
//   - zoneId (required): time zone, by name or as an offset such as +02:00.
//   - workDayStart, workDayEnd (required): times of day, both belonging to the
//     working hours; the end comes after the start.
//
// There are no holidays.
//
// Differs from James: nothing.
type DeconnectionRight struct {
	zone       *time.Location
	start, end time.Duration // since midnight
	now        func() time.Time
}

func newDeconnectionRight(p *conf.Params) container.Mailet {
	d := &DeconnectionRight{zone: time.UTC, now: time.Now}
	if v := p.Required("zoneId"); v != "" {
		zone, err := parseZone(v)
		if err != nil {
			p.Fail("zoneId", err)
		} else {
			d.zone = zone
		}
	}
	var ok1, ok2 bool
	d.start, ok1 = timeOfDay(p, "workDayStart")
	d.end, ok2 = timeOfDay(p, "workDayEnd")
	if ok1 && ok2 && d.end <= d.start {
		p.Fail("workDayEnd", errors.New("the end of the working day does not come after its start"))
	}
	return d
}

// parseZone reads the forms of java.time.ZoneId: a name, Z, or an offset, with
// or without UTC or GMT before it.
func parseZone(v string) (*time.Location, error) {
	offset := v
	for _, prefix := range []string{"UTC", "GMT", "UT"} {
		if rest, ok := strings.CutPrefix(v, prefix); ok && rest != "" {
			offset = rest
			break
		}
	}
	if len(offset) == 2 && (offset[0] == '+' || offset[0] == '-') {
		offset = offset[:1] + "0" + offset[1:]
	}
	for _, layout := range []string{"Z07:00", "-0700", "-07"} {
		if t, err := time.Parse(layout, offset); err == nil {
			_, seconds := t.Zone()
			return time.FixedZone(v, seconds), nil
		}
	}
	if v == "Local" {
		return nil, errors.New("unknown time zone Local")
	}
	return time.LoadLocation(v)
}

// timeOfDay reads HH:mm or HH:mm:ss.
func timeOfDay(p *conf.Params, name string) (time.Duration, bool) {
	v := p.Required(name)
	if v == "" {
		return 0, false
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, v); err == nil {
			return sinceMidnight(t), true
		}
	}
	p.Fail(name, fmt.Errorf("%q is not a time of day, such as 07:30", v))
	return 0, false
}

func sinceMidnight(t time.Time) time.Duration {
	h, m, s := t.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
}

// Service holds the mail back, or lets it go on.
func (d *DeconnectionRight) Service(_ context.Context, m *container.Mail, out *container.Outbox) error {
	wait := d.wait(d.now())
	if wait == 0 {
		return nil
	}
	c := m.Clone()
	c.State = container.StateRoot
	out.SendDelayed(c, wait)
	m.State = container.StateGhost
	return nil
}

// wait returns how long it takes from now until work starts, in whole seconds
// rounded up so that the mail does not come back too early; 0 during work.
func (d *DeconnectionRight) wait(now time.Time) time.Duration {
	local := now.In(d.zone)
	if clock := sinceMidnight(local); workday(local) && clock >= d.start && (clock < d.end || clock == d.end && local.Nanosecond() == 0) {
		return 0
	}
	year, month, day := local.Date()
	for i := range 8 {
		// The hour counts, not the time that has passed: a day may have 23 or 25 hours.
		start := time.Date(year, month, day+i, 0, 0, int(d.start/time.Second), 0, d.zone)
		if workday(start) && start.After(local) {
			return (start.Sub(now) + time.Second - 1).Truncate(time.Second)
		}
	}
	return 0 // not reached: a week has working days
}

func workday(t time.Time) bool {
	return t.Weekday() != time.Saturday && t.Weekday() != time.Sunday
}
