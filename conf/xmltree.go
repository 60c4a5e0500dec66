package conf

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/beevik/etree"
)

// fault is what stops the reading of a text. With an edit reading can start
// again as if it were not there.
type fault struct {
	at   int
	text string
	edit *edit
}

// note is a problem that does not stop the reading.
type note struct {
	at       int
	severity Severity
	text     string
}

// builder makes one attempt to read a source. It checks what encoding/xml does
// not: one root, nothing outside of it, attributes given once, depth.
type builder struct {
	src   *source
	dec   *xml.Decoder
	root  *etree.Element
	stack []*etree.Element
	order []*etree.Element        // all of them, as in the file
	at    map[*etree.Element]int  // start of the start tag
	inner map[*etree.Element]int  // end of the start tag
	texts map[*etree.CharData]int // first character that is no blank
	notes []note
}

func newBuilder(src *source) *builder {
	b := &builder{src: src, dec: xml.NewDecoder(bytes.NewReader(src.text)),
		at: map[*etree.Element]int{}, inner: map[*etree.Element]int{}, texts: map[*etree.CharData]int{}}
	// The text is UTF-8 whatever the declaration says.
	b.dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	return b
}

func (b *builder) errorf(at int, format string, args ...any) {
	b.notes = append(b.notes, note{at, Error, fmt.Sprintf(format, args...)})
}

// build reads the text to its end, or to the first fault.
func (b *builder) build() *fault {
	for {
		start := int(b.dec.InputOffset())
		tok, err := b.dec.RawToken()
		if errors.Is(err, io.EOF) {
			return b.end()
		}
		if err != nil {
			return b.lexical(start, err)
		}
		var f *fault
		switch t := tok.(type) {
		case xml.StartElement:
			f = b.open(start, t)
		case xml.EndElement:
			f = b.close(start, t.Name.Local)
		case xml.CharData:
			b.chars(start, string(t))
		case xml.Directive:
			b.errorf(start, "a DOCTYPE is not accepted, nor are entities it declares; remove it")
		case xml.ProcInst:
			if t.Target == "xml" && start != 0 {
				b.errorf(start, "the XML declaration must be the first thing in the file; remove what stands before it")
			}
		}
		if f != nil {
			return f
		}
	}
}

func (b *builder) top() *etree.Element {
	if len(b.stack) == 0 {
		return nil
	}
	return b.stack[len(b.stack)-1]
}

func (b *builder) open(start int, t xml.StartElement) *fault {
	switch {
	case len(b.stack) == maxDepth:
		return &fault{at: start, text: fmt.Sprintf("elements are nested more than %d deep", maxDepth)}
	case len(b.at) == maxElements:
		return &fault{at: start, text: fmt.Sprintf("the file has more than %d elements", maxElements)}
	}
	e := etree.NewElement(t.Name.Local)
	for _, a := range t.Attr {
		// Names of schemas say nothing about mail.
		if a.Name.Space == "xmlns" || a.Name.Space == "xsi" || a.Name.Local == "xmlns" {
			continue
		}
		if e.SelectAttr(a.Name.Local) != nil {
			b.errorf(start, "attribute %s of <%s> is given twice", a.Name.Local, e.Tag)
			continue
		}
		e.CreateAttr(a.Name.Local, a.Value)
	}
	b.order = append(b.order, e)
	b.at[e], b.inner[e] = start, int(b.dec.InputOffset())
	switch {
	case len(b.stack) > 0:
		b.top().AddChild(e)
	case b.root == nil:
		b.root = e
	default:
		b.errorf(start, "second root element <%s>: everything must stand within <%s>", e.Tag, b.root.Tag)
	}
	b.stack = append(b.stack, e)
	return nil
}

func (b *builder) close(start int, name string) *fault {
	if top := b.top(); top == nil || top.Tag != name {
		return b.mismatch(start, int(b.dec.InputOffset()), name)
	}
	b.stack = b.stack[:len(b.stack)-1]
	return nil
}

func (b *builder) chars(start int, text string) {
	at := start
	for at < len(b.src.text) && strings.IndexByte(" \t\r\n", b.src.text[at]) >= 0 {
		at++
	}
	blank := strings.TrimSpace(text) == ""
	if e := b.top(); e != nil {
		b.texts[e.CreateText(text)] = at
	} else if !blank {
		b.errorf(at, "text %s outside the root element; remove it", excerpt(text))
	}
}

// excerpt quotes the beginning of a text on one line.
func excerpt(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if c := []rune(s); len(c) > 40 {
		s = string(c[:40]) + "…"
	}
	return `"` + s + `"`
}

// end is called when the text is over.
func (b *builder) end() *fault {
	if e := b.top(); e != nil {
		if f := b.brokenEnd(e, len(b.src.text)); f != nil {
			return f
		}
		return &fault{at: b.at[e], text: fmt.Sprintf("<%s> is never closed: the file ends first", e.Tag)}
	}
	if b.root == nil {
		return &fault{text: "the file has no element"}
	}
	return nil
}

// file returns the tree after a reading without fault.
func (b *builder) file(r *Report) *File {
	b.stray(b.root, true)
	b.flush(r)
	f := &File{Name: b.src.name, Root: b.root, pos: make(map[*etree.Element]Pos, len(b.at))}
	for _, e := range b.order {
		f.pos[e] = b.src.pos(b.at[e])
	}
	return f
}

func (b *builder) flush(r *Report) {
	for _, n := range b.notes {
		r.add(b.src.pos(n.at), n.severity, n.text)
	}
}

// structural are the elements that hold other elements and never a text.
var structural = map[string]bool{
	"mailetcontainer": true, "context": true, "spooler": true, "processors": true, "processor": true, "mailet": true, "matcher": true,
	"smtpservers": true, "smtpserver": true, "lmtpservers": true, "lmtpserver": true, "handlerchain": true,
	"domainlist": true, "domainnames": true, "usersrepository": true, "recipientrewritetable": true,
	"dnsservice": true, "servers": true, "searchpaths": true,
	"mailrepositorystore": true, "mailrepositories": true, "mailrepository": true, "protocols": true,
	"scheduledReprocessing": true, "reprocess": true,
}

// parametric are the elements whose children are values, whatever their names.
var parametric = map[string]bool{"mailet": true, "handler": true, "reprocess": true}

// stray warns about text where only elements make sense: between elements, and
// in structural ones outside parameters.
func (b *builder) stray(e *etree.Element, outside bool) {
	children := e.ChildElements()
	holder := outside && structural[e.Tag]
	for _, c := range e.Child {
		cd, ok := c.(*etree.CharData)
		if !ok || strings.TrimSpace(cd.Data) == "" || len(children) == 0 && !holder {
			continue
		}
		b.notes = append(b.notes, note{b.texts[cd], Warning,
			fmt.Sprintf("text %s between the elements of <%s> means nothing; remove it", excerpt(cd.Data), e.Tag)})
	}
	for _, c := range children {
		b.stray(c, outside && !parametric[e.Tag])
	}
}
