package conf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

var durationUnits = map[string]time.Duration{
	"ms": time.Millisecond, "msec": time.Millisecond, "msecs": time.Millisecond,
	"s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": day, "day": day, "days": day,
	"w": 7 * day, "week": 7 * day, "weeks": 7 * day,
	"month": month, "months": month,
	"y": year, "year": year, "years": year,
}

// A month and a year have Java's estimated lengths (ChronoUnit), as in James.
const (
	day   = 24 * time.Hour
	month = 2629746 * time.Second
	year  = 31556952 * time.Second
)

// ParseDuration reads an amount with an optional unit, as James's
// DurationParser does; an amount without unit counts unit.
func ParseDuration(s string, unit time.Duration) (time.Duration, error) {
	t := strings.TrimSpace(s)
	i := strings.IndexFunc(t, func(r rune) bool { return (r < '0' || r > '9') && r != '-' })
	num, name := t, ""
	if i >= 0 {
		num, name = t[:i], strings.ToLower(strings.TrimSpace(t[i:]))
	}
	n, err := strconv.ParseInt(num, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: want a number and a unit, such as 5 minutes", s)
	}
	if n < 0 {
		return 0, fmt.Errorf("Duration amount should be positive") // James's text, shown by webadmin
	}
	if name != "" {
		u, ok := durationUnits[name]
		if !ok {
			return 0, fmt.Errorf("%q is not a duration: unknown unit %q", s, name)
		}
		unit = u
	}
	if n > 0 && int64(unit) > math.MaxInt64/n {
		return math.MaxInt64, nil
	}
	return time.Duration(n) * unit, nil
}

// ParseSize reads a whole number of octets with an optional suffix B, K, M or G
// in either case; a number without suffix counts unit octets.
func ParseSize(s string, unit int64) (int64, error) {
	t := strings.ToUpper(strings.TrimSpace(s))
	if t != "" {
		switch t[len(t)-1] {
		case 'B':
			unit, t = 1, t[:len(t)-1]
		case 'K':
			unit, t = 1<<10, t[:len(t)-1]
		case 'M':
			unit, t = 1<<20, t[:len(t)-1]
		case 'G':
			unit, t = 1<<30, t[:len(t)-1]
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(t), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is not a size: want a number with an optional unit B, K, M or G", s)
	}
	return n * unit, nil
}
