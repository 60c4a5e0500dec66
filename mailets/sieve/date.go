package sieve

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container/mime"
)

// zoneTag is the zone in which the parts of a date are taken (RFC 5260 §4.1).
var zoneTag = tagSpec{name: "zone", value: text, group: "zone"}

func checkDate(c *checker, call *call) {
	t := call.args[len(call.args)-2].list[0]
	if _, ok := datePart(time.Time{}, t.text); t.constant() && !ok {
		c.errorf(t.pos, "%q is no part of a date", shorten(t.text))
	}
	if z := call.tags["zone"]; z.present && z.list[0].constant() {
		if _, err := parseZone(z.list[0].text); err != nil {
			c.errorf(z.pos, "%v", err)
		}
	}
	checkIndex(c, call)
	c.matching(call)
}

// parseZone reads +hhmm or -hhmm.
func parseZone(s string) (*time.Location, error) {
	if len(s) != 5 || s[0] != '+' && s[0] != '-' || !isNumber(s[1:]) {
		return nil, fmt.Errorf("time zone %q is not of the form +hhmm", shorten(s))
	}
	h, _ := strconv.Atoi(s[1:3])
	m, _ := strconv.Atoi(s[3:])
	if m > 59 {
		return nil, fmt.Errorf("time zone %q is not of the form +hhmm", shorten(s))
	}
	sec := (h*60 + m) * 60
	if s[0] == '-' {
		sec = -sec
	}
	return time.FixedZone("", sec), nil
}

// datePart returns one part of a date (RFC 5260 §4.2).
func datePart(t time.Time, part string) (string, bool) {
	switch strings.ToLower(part) {
	case "year":
		return t.Format("2006"), true
	case "month":
		return t.Format("01"), true
	case "day":
		return t.Format("02"), true
	case "date":
		return t.Format(time.DateOnly), true
	case "julian":
		return strconv.Itoa(julian(t)), true
	case "hour":
		return t.Format("15"), true
	case "minute":
		return t.Format("04"), true
	case "second":
		return t.Format("05"), true
	case "time":
		return t.Format(time.TimeOnly), true
	case "iso8601":
		return t.Format("2006-01-02T15:04:05-07:00"), true
	case "std11":
		return mime.FormatDate(t), true
	case "zone":
		return t.Format("-0700"), true
	case "weekday":
		return strconv.Itoa(int(t.Weekday())), true
	}
	return "", false
}

// julian returns the modified Julian day: days since 17 November 1858.
func julian(t time.Time) int {
	const epoch = 40587 // of 1 January 1970
	y, m, d := t.Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix()/(24*3600)) + epoch
}

// evalDate takes the date of a header field: what stands behind its last
// semicolon, where it has one (RFC 5260 §4).
func evalDate(r *run, c *call) (bool, error) {
	name, err := r.one(c.args[0])
	if err != nil {
		return false, err
	}
	values, err := r.raw(strings.ToLower(name))
	if err != nil {
		return false, err
	}
	first, end := 0, min(1, len(values)) // the first one without :index
	if c.has("index") {
		first, end = indexRange(c, len(values))
	}
	var dates []time.Time
	for _, v := range values[first:end] {
		if err := r.spend(8 * len(v)); err != nil {
			return false, err
		}
		t, err := mime.ParseDate(strings.TrimSpace(v[strings.LastIndexByte(v, ';')+1:]))
		if err == nil {
			dates = append(dates, t)
		}
	}
	return r.matchDates(c, dates, c.args[1], c.args[2])
}

func evalCurrentDate(r *run, c *call) (bool, error) {
	return r.matchDates(c, []time.Time{r.env.Now}, c.args[0], c.args[1])
}

func (r *run) matchDates(c *call, dates []time.Time, partArg, keys value) (bool, error) {
	part, err := r.one(partArg)
	if err != nil {
		return false, err
	}
	zone := r.env.Now.Location()
	if z := c.tags["zone"]; z.present {
		s, err := r.one(z)
		if err != nil {
			return false, err
		}
		if zone, err = parseZone(s); err != nil {
			return false, c.pos.errorf("%v", err)
		}
	}
	var list []string
	for _, t := range dates {
		if !c.has("originalzone") {
			t = t.In(zone)
		}
		if s, ok := datePart(t, part); ok {
			list = append(list, s)
		}
	}
	return r.matchAny(c.match, list, keys, true)
}
