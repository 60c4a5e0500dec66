package smtphooks

import (
	"strings"

	"github.com/beevik/etree"

	"github.com/mailetd/mailetd/conf"
)

// entries returns the elements at path, such as accounts.account, for handlers
// whose parameters belong together in groups. The dotted names of what is read
// below them, fields, count as read.
func entries(p *conf.Params, path string, fields ...string) []*etree.Element {
	if len(fields) == 0 {
		p.Lookup(path)
	}
	for _, f := range fields {
		p.Lookup(path + "." + f)
	}
	own := *p // Element makes all parameters count as read; the check for others is still wanted
	list := []*etree.Element{own.Element()}
	for _, tag := range strings.Split(path, ".") {
		var next []*etree.Element
		for _, e := range list {
			next = append(next, e.SelectElements(tag)...)
		}
		list = next
	}
	return list
}

// fieldOf returns the text of the first child of e called tag, or "".
func fieldOf(e *etree.Element, tag string) string {
	if c := e.SelectElement(tag); c != nil {
		return conf.Text(c)
	}
	return ""
}
