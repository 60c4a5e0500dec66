package webadmin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
)

// dateFormat is how James shows the dates of tasks and mails: UTC, milliseconds,
// an offset without colon.
const dateFormat = "2006-01-02T15:04:05.000-0700"

// date returns t as James shows it, nil for the zero time.
func date(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(dateFormat)
	return &s
}

// instant returns t in ISO 8601 with milliseconds, nil for the zero time.
func instant(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
	return &s
}

// optional returns s, nil for "".
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// count reads a whole number that is not negative; def when it is absent.
func count(q url.Values, name string, def int) (int, error) {
	if !q.Has(name) {
		return def, nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil {
		return 0, badRequest("Can not parse %s", name).because(err)
	}
	if n < 0 {
		return 0, badRequest("%s can not be negative", name)
	}
	return n, nil
}

// page reads limit and offset of a list; limit 0 means that there is none.
func page(q url.Values) (limit, offset int, err error) {
	if limit, err = listLimit(q); err != nil {
		return 0, 0, err
	}
	offset, err = count(q, "offset", 0)
	return limit, offset, err
}

// listLimit reads the limit of a list, which cannot be zero.
func listLimit(q url.Values) (int, error) {
	limit, err := count(q, "limit", 0)
	if err == nil && limit == 0 && q.Has("limit") {
		return 0, badRequest("limit can not be equal to zero")
	}
	return limit, err
}

// age reads a duration and returns the time that long ago; zero when absent.
func age(q url.Values, name string, now time.Time) (time.Time, error) {
	if !q.Has(name) {
		return time.Time{}, nil
	}
	d, err := conf.ParseDuration(q.Get(name), time.Second)
	if err != nil {
		return time.Time{}, illegalArgument("%w", err)
	}
	return now.Add(-d), nil
}

// action reads the query parameter action, which must be one of supported.
func action(r *http.Request, supported ...string) (string, error) {
	q := r.URL.Query()
	list := "[" + strings.Join(supported, ", ") + "]"
	a := q.Get("action")
	switch {
	case !q.Has("action"):
		return "", illegalArgument("'action' query parameter is compulsory. Supported values are %s", list)
	case strings.TrimSpace(a) == "":
		return "", illegalArgument("'action' query parameter cannot be empty or blank. Supported values are %s", list)
	case !slices.Contains(supported, a):
		return "", illegalArgument("Invalid value supplied for query parameter 'action': %s. Supported values are %s", a, list)
	}
	return a, nil
}

// filled returns an error when one of the parameters is there without a value. A
// filter that a script left empty would select everything.
func filled(q url.Values, names ...string) error {
	for _, name := range names {
		if q.Has(name) && q.Get(name) == "" {
			return badRequest("'%s' can not be empty", name)
		}
	}
	return nil
}

// without returns an error when one of the parameters is there: whoever gives it
// believes that it selects some mails, and the request is about all.
func without(q url.Values, names ...string) error {
	for _, name := range names {
		if q.Has(name) {
			return badRequest("This request is about all mails; it does not take '%s'", name)
		}
	}
	return nil
}

// isTrue is Java's Boolean.parseBoolean.
func isTrue(s string) bool { return strings.EqualFold(s, "true") }

// inPages returns the page of list that limit (0: all) and offset select.
func inPages[T any](list []T, limit, offset int) []T {
	list = list[min(offset, len(list)):]
	if limit > 0 {
		list = list[:min(limit, len(list))]
	}
	return list
}
