package conf

import (
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// Twin returns how many elements before this one in its file have the same class
// and the same values of names: 0 for the first. It tells apart what would have
// the same name otherwise, and stays the same while others come and go.
func (p *Params) Twin(names ...string) int {
	root := p.elem
	for root.Parent() != nil && root.Parent().Tag != "" {
		root = root.Parent()
	}
	want := namesake(p.elem, names)
	n, found := 0, false
	var visit func(e *etree.Element)
	visit = func(e *etree.Element) {
		if found = found || e == p.elem; found {
			return
		}
		if e.Tag == p.elem.Tag && slices.Equal(namesake(e, names), want) {
			n++
		}
		for _, c := range e.ChildElements() {
			visit(c)
		}
	}
	visit(root)
	return n
}

// namesake is the class of an element, without its package, and the texts below
// it that names names, in order.
func namesake(e *etree.Element, names []string) []string {
	class := e.SelectAttrValue("class", "")
	out := []string{class[strings.LastIndexByte(class, '.')+1:]}
	walkParams(e, "", func(name string, c *etree.Element) {
		if slices.Contains(names, name) {
			out = append(out, name, Text(c))
		}
	})
	return out
}
