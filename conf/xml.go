package conf

import (
	"github.com/beevik/etree"
)

// File is one parsed XML configuration file. The tree is etree's; the file
// remembers where each element stood.
type File struct {
	Name string
	Root *etree.Element // nil when there is no such file, or no sense in it

	pos map[*etree.Element]Pos
	sys map[string]string // -D flags and jvm.properties, nil without a folder
}

// Pos returns the position of e's start tag.
func (f *File) Pos(e *etree.Element) Pos {
	if p, ok := f.pos[e]; ok {
		return p
	}
	return Pos{File: f.Name}
}

// Bounds of what is read.
const (
	maxDepth    = 100     // elements within elements; James's files have at most ten
	maxElements = 200_000 // in one file
	maxRepairs  = 50      // faults after which a file is given up
	maxWork     = 64 << 20
)

// ParseXML reads one James XML file. Problems of form go to r.
//
// A fault with one obvious remedy (a placeholder such as <...>, an end tag
// without its "<", a bare &) is an error at its own position; reading then goes
// on as if it were mended, so that one start shows all of them. Root is nil
// when the file makes no sense beyond that.
//
// Text between elements is legal XML and means nothing to James; it is a
// warning. DOCTYPE, entities other than XML's five, encodings other than
// UTF-8, ISO-8859-1 and US-ASCII are refused. Columns count characters.
func ParseXML(name string, data []byte, r *Report) *File {
	broken := &File{Name: name}
	text, err := decodeXML(data)
	if err != nil {
		r.Errorf(Pos{name, 1, 1}, "%v", err)
		return broken
	}
	src := newSource(name, text)
	src.replaceIllegal(r)
	for work, repairs := len(text), 0; ; work += len(src.text) {
		b := newBuilder(src)
		fault := b.build()
		if fault == nil {
			return b.file(r)
		}
		r.Errorf(src.pos(fault.at), "%s", fault.text)
		if fault.edit == nil {
			b.flush(r)
			return broken
		}
		if repairs++; repairs == maxRepairs || work > maxWork {
			r.Errorf(src.pos(fault.at), "too many faults; the rest of the file was not looked at")
			return broken
		}
		src.apply(*fault.edit)
	}
}
