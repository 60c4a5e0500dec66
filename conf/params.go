package conf

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// Params reads the init parameters of one mailet or one SMTP hook handler: the
// child elements of its element. A bad value is noted in the report and the
// default returned, so that one start reports every mistake in the file.
//
// Repeated elements are joined with a comma and nested elements have dotted
// names, as in James. A Params is used while the configuration is loaded, by
// one goroutine.
type Params struct {
	class  string
	file   *File
	elem   *etree.Element
	report *Report
	read   []string
	strict bool
	all    bool
}

// NewParams returns the parameters below e, for class.
func NewParams(f *File, e *etree.Element, class string, r *Report) *Params {
	return &Params{class: class, file: f, elem: e, report: r}
}

// ParseParams returns the parameters of a snippet such as
// <mailet match="All" class="ToProcessor"><processor>transport</processor></mailet>,
// for tests and for tools.
func ParseParams(snippet string, r *Report) *Params {
	f := ParseXML("snippet.xml", []byte(snippet), r)
	if f.Root == nil {
		f.Root = etree.NewElement("mailet")
	}
	return NewParams(f, f.Root, f.Root.SelectAttrValue("class", ""), r)
}

// Class returns the class name as configured.
func (p *Params) Class() string { return p.class }

// Element returns the element itself, for classes with nested configuration.
// Its children then count as read.
func (p *Params) Element() *etree.Element {
	p.all = true
	return p.elem
}

// File returns the file the element stands in, for positions.
func (p *Params) File() *File { return p.file }

// Pos returns the position of the element, or of its first child called name.
func (p *Params) Pos(name string) Pos {
	if name != "" {
		if es := p.elements(name); len(es) > 0 {
			return p.file.Pos(es[0])
		}
	}
	return p.file.Pos(p.elem)
}

// elements returns the elements whose dotted path below p.elem is name.
func (p *Params) elements(name string) []*etree.Element {
	var out []*etree.Element
	walkParams(p.elem, "", func(n string, e *etree.Element) {
		if n == name {
			out = append(out, e)
		}
	})
	return out
}

// walkParams visits every leaf below e with its dotted name.
func walkParams(e *etree.Element, prefix string, visit func(string, *etree.Element)) {
	for _, c := range e.ChildElements() {
		name := prefix + strings.ReplaceAll(c.Tag, "..", ".")
		visit(name, c)
		walkParams(c, name+".", visit)
	}
}

func (p *Params) note(name string) {
	for _, n := range p.read {
		if n == name {
			return
		}
	}
	p.read = append(p.read, name)
}

// Lookup returns the value of name and whether the element is there at all.
// An empty element gives "" and true.
func (p *Params) Lookup(name string) (string, bool) {
	p.note(name)
	es := p.elements(name)
	var vals []string
	for _, e := range es {
		vals = append(vals, Text(e))
	}
	return strings.Join(vals, ","), len(es) > 0
}

// Text returns the character data of e, trimmed unless xml:space="preserve".
func Text(e *etree.Element) string {
	var b strings.Builder
	for _, c := range e.Child {
		if cd, ok := c.(*etree.CharData); ok {
			b.WriteString(cd.Data)
		}
	}
	if e.SelectAttrValue("space", "") == "preserve" {
		return b.String()
	}
	return strings.TrimSpace(b.String())
}

// String returns the value of name, or def when it is absent or empty.
func (p *Params) String(name, def string) string {
	if v, _ := p.Lookup(name); v != "" {
		return v
	}
	return def
}

// Required returns the value of name and notes an error when it is absent or
// empty.
func (p *Params) Required(name string) string {
	v, _ := p.Lookup(name)
	if v == "" {
		p.report.Errorf(p.Pos(name), "<%s> is required by %s", name, p.class)
	}
	return v
}

// Bool accepts true and false in any case. Anything else is def, as in James,
// which does not say so; we do.
func (p *Params) Bool(name string, def bool) bool {
	switch v := p.String(name, ""); strings.ToLower(v) {
	case "":
		return def
	case "true":
		return true
	case "false":
		return false
	default:
		p.report.Warnf(p.Pos(name), "<%s> is %q, not true or false; using %t", name, v, def)
		return def
	}
}

// Int returns a whole number. Anything else is an error.
func (p *Params) Int(name string, def int) int {
	v := p.String(name, "")
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		p.report.Errorf(p.Pos(name), "<%s> is %q, not a whole number", name, v)
		return def
	}
	return n
}

// List returns the items of a comma list, trimmed, without empty ones.
func (p *Params) List(name string) []string {
	var out []string
	for _, s := range strings.Split(p.String(name, ""), ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// Duration returns a James duration ("5 minutes", "1h", "300"); a number
// without unit counts unit. A bad or negative one is an error.
func (p *Params) Duration(name string, unit, def time.Duration) time.Duration {
	v := p.String(name, "")
	if v == "" {
		return def
	}
	d, err := ParseDuration(v, unit)
	if err != nil {
		p.report.Errorf(p.Pos(name), "<%s>: %v", name, err)
		return def
	}
	return d
}

// Size returns a number of octets with optional suffix B, K, M or G.
func (p *Params) Size(name string, def int64) int64 {
	v := p.String(name, "")
	if v == "" {
		return def
	}
	n, err := ParseSize(v, 1)
	if err != nil {
		p.report.Errorf(p.Pos(name), "<%s>: %v", name, err)
		return def
	}
	return n
}

// Param is one parameter as written.
type Param struct{ Name, Value string }

// All returns every parameter in document order, for the classes that take
// any name (SetMailAttribute). All of them then count as read.
func (p *Params) All() []Param {
	p.all = true
	var out []Param
	seen := map[string]bool{}
	walkParams(p.elem, "", func(n string, e *etree.Element) {
		if len(e.ChildElements()) == 0 && !seen[n] {
			seen[n] = true
			v, _ := p.Lookup(n)
			out = append(out, Param{n, v})
		}
	})
	return out
}

// Has reports whether name is given, without reading it.
func (p *Params) Has(name string) bool { return len(p.elements(name)) > 0 }

// Names returns the parameters read so far, in the order of reading.
func (p *Params) Names() []string { return append([]string(nil), p.read...) }

// Strict makes unknown parameters an error instead of a warning, as James does
// for the redirect family and DSNBounce.
func (p *Params) Strict() { p.strict = true }

// Fail notes that the value of name (or the element as a whole when name is
// empty) cannot be used.
func (p *Params) Fail(name string, err error) {
	if name == "" {
		p.report.Errorf(p.Pos(""), "%s: %v", p.class, err)
		return
	}
	p.report.Errorf(p.Pos(name), "<%s>: %v", name, err)
}

// Warn notes something an operator may want to change about name.
func (p *Params) Warn(name, format string, args ...any) {
	p.report.Warnf(p.Pos(name), format, args...)
}

// ignored are the parameters that the container reads, not the mailet.
var ignored = map[string]bool{"onMailetException": true, "onMatchException": true}

// Close notes every parameter that nothing read: a warning, or an error after
// Strict.
func (p *Params) Close() {
	if p.all {
		return
	}
	known := map[string]bool{}
	for _, n := range p.read {
		known[n] = true
		for i := range n {
			if n[i] == '.' {
				known[n[:i]] = true
			}
		}
	}
	walkParams(p.elem, "", func(n string, e *etree.Element) {
		switch {
		case known[n] || ignored[n] || strings.Contains(n, ".") && known[n[:strings.LastIndexByte(n, '.')]]:
		case p.strict:
			p.report.Errorf(p.file.Pos(e), "<%s> is not a parameter of %s%s", n, p.class, Suggest(n, p.read))
		default:
			p.report.Warnf(p.file.Pos(e), "<%s> is not a parameter of %s; ignored%s", n, p.class, Suggest(n, p.read))
		}
	})
}

// Suggest returns ` (did you mean "x"?)` for the nearest of known, or "".
func Suggest(name string, known []string) string {
	best, dist := "", len(name)/3+2
	for _, k := range known {
		if d := editDistance(strings.ToLower(name), strings.ToLower(k)); d < dist {
			best, dist = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance is the Levenshtein distance of a and b in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diag
			if a[i-1] != b[j-1] {
				cost++
			}
			diag = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
