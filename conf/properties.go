package conf

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Properties are the values of one properties file, and of those it includes.
// A value is a list: items are separated by commas, and a key given twice adds
// to the list, as in James. A Properties is used while the configuration is
// loaded, by one goroutine.
type Properties struct {
	Name   string
	Exists bool // false: no such file, neither in the folder nor built in

	entries []*property
	report  *Report
	read    []string
}

// property is one key, its escapes resolved.
type property struct {
	key   string
	items []string
	pos   Pos
}

func (p *Properties) find(key string) *property {
	for _, e := range p.entries {
		if e.key == key {
			return e
		}
	}
	return nil
}

func (p *Properties) note(key string) *property {
	if !slices.Contains(p.read, key) {
		p.read = append(p.read, key)
	}
	return p.find(key)
}

// Pos returns the position of key, or the file as a whole when it is not there.
func (p *Properties) Pos(key string) Pos {
	if e := p.find(key); e != nil {
		return e.pos
	}
	return Pos{File: p.Name}
}

// Has reports whether key is given, without reading it.
func (p *Properties) Has(key string) bool { return p.find(key) != nil }

// Keys returns every key, in the order of the file.
func (p *Properties) Keys() []string {
	out := make([]string, 0, len(p.entries))
	for _, e := range p.entries {
		out = append(out, e.key)
	}
	return out
}

// String returns the value of key, or def when it is absent or empty. Of a list
// the first item counts, as in James, with a warning.
func (p *Properties) String(key, def string) string {
	e := p.note(key)
	if e == nil || len(e.items) == 0 || e.items[0] == "" {
		return def
	}
	if len(e.items) > 1 {
		p.report.Warnf(e.pos, "%s has %d values, only the first counts; write \\, for a comma in a value", key, len(e.items))
	}
	return e.items[0]
}

// Raw returns the value of key with its commas, or "".
func (p *Properties) Raw(key string) string {
	if e := p.note(key); e != nil {
		return strings.Join(e.items, ",")
	}
	return ""
}

// List returns the items of key, without empty ones.
func (p *Properties) List(key string) []string {
	e := p.note(key)
	if e == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(e.items), func(s string) bool { return s == "" })
}

// Bool accepts true, yes, on, y, t and 1, their opposites, in any case.
// Anything else is an error.
//
// Source: commons-configuration, PropertyConverter.
func (p *Properties) Bool(key string, def bool) bool {
	v := p.String(key, "")
	if v == "" {
		return def
	}
	b, ok := parseBool(v)
	if !ok {
		p.report.Errorf(p.Pos(key), "%s is %q, not true or false", key, v)
		return def
	}
	return b
}

// parseBool reads the words commons-configuration takes for a boolean.
func parseBool(s string) (v, ok bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "yes", "on", "y", "t", "1":
		return true, true
	case "false", "no", "off", "n", "f", "0":
		return false, true
	}
	return false, false
}

// Int returns a whole number. Anything else is an error.
func (p *Properties) Int(key string, def int) int {
	v := p.String(key, "")
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		p.report.Errorf(p.Pos(key), "%s is %q, not a whole number", key, v)
		return def
	}
	return n
}

// Duration returns a James duration; a number without unit counts unit.
func (p *Properties) Duration(key string, unit, def time.Duration) time.Duration {
	v := p.String(key, "")
	if v == "" {
		return def
	}
	d, err := ParseDuration(v, unit)
	if err != nil {
		p.Fail(key, err)
		return def
	}
	return d
}

// Fail notes that the value of key cannot be used.
func (p *Properties) Fail(key string, err error) {
	p.report.Errorf(p.Pos(key), "%s: %v", key, err)
}

// Warn notes something an operator may want to change about key.
func (p *Properties) Warn(key, format string, args ...any) {
	p.report.Warnf(p.Pos(key), format, args...)
}

// Close warns about every key that nothing read.
func (p *Properties) Close() {
	for _, e := range p.entries {
		if !slices.Contains(p.read, e.key) {
			p.report.Warnf(e.pos, "%s is not a key of %s; ignored%s", e.key, p.Name, Suggest(e.key, p.read))
		}
	}
}
