package conf

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/beevik/etree"
)

// File is one parsed XML configuration file. The tree is etree's; the file
// remembers where each element stood.
type File struct {
	Name string
	Root *etree.Element // nil when the file is not well-formed

	pos map[*etree.Element]Pos
}

// Pos returns the position of e's start tag.
func (f *File) Pos(e *etree.Element) Pos {
	if p, ok := f.pos[e]; ok {
		return p
	}
	return Pos{File: f.Name}
}

// ParseXML reads one James XML file. Problems of form go to r; the tree is
// returned as far as it could be read, with a nil Root when it could not.
func ParseXML(name string, data []byte, r *Report) *File {
	f := &File{Name: name, pos: map[*etree.Element]Pos{}}
	d := xml.NewDecoder(bytes.NewReader(data))
	var stack []*etree.Element
	for {
		line, col := d.InputPos()
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return f
		}
		if err != nil {
			line, col = d.InputPos()
			r.Errorf(Pos{name, line, col}, "%v", err)
			f.Root = nil
			return f
		}
		switch t := tok.(type) {
		case xml.StartElement:
			e := etree.NewElement(t.Name.Local)
			for _, a := range t.Attr {
				e.CreateAttr(a.Name.Local, a.Value)
			}
			f.pos[e] = Pos{name, line, col}
			if len(stack) == 0 {
				f.Root = e
			} else {
				stack[len(stack)-1].AddChild(e)
			}
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].CreateText(string(t))
			} else if s := strings.TrimSpace(string(t)); s != "" {
				r.Errorf(Pos{name, line, col}, "text %q outside the root element", s)
			}
		}
	}
}
