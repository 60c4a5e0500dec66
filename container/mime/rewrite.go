package mime

import (
	"slices"

	"github.com/mailetd/mailetd/container"
)

// Rewriter collects changes to the parts of one message. Everything it is not
// told to change stays as it is, octet by octet. Entities come from Scan of
// this message; an entity below one that was replaced must not be touched.
type Rewriter struct {
	msg     *container.Message
	edits   []Edit
	removed map[*Entity]bool
	header  []byte
	changed bool
}

// NewRewriter returns a Rewriter for m.
func NewRewriter(m *container.Message) *Rewriter {
	return &Rewriter{msg: m, header: m.Header(), removed: map[*Entity]bool{}}
}

// Replace gives an entity a new header and new content. For the message itself
// header is that of the message.
func (w *Rewriter) Replace(e *Entity, header, content []byte) {
	w.changed = true
	if e.Parent == nil {
		w.header = header
		w.edits = append(w.edits, Edit{0, e.End, content})
		return
	}
	w.edits = append(w.edits, Edit{e.Begin, e.End, e.part(header, content, e.glued)})
}

// SetHeader gives an entity a new header; its content stays.
func (w *Rewriter) SetHeader(e *Entity, header []byte) {
	w.changed = true
	if e.Parent == nil {
		w.header = header
		return
	}
	w.edits = append(w.edits, Edit{e.Begin, e.Content, e.part(header, nil, e.glued && e.Content == e.End)})
}

// part returns a part for the place between two boundary lines, with the line
// ends that are missing there.
func (e *Entity) part(header, content []byte, glued bool) []byte {
	data := make([]byte, 0, len(header)+len(content)+6)
	if e.cut {
		data = append(data, "\r\n"...)
	}
	data = append(append(append(data, header...), "\r\n"...), content...)
	if glued {
		data = append(data, "\r\n"...)
	}
	return data
}

// Append puts data behind the content of a leaf.
func (w *Rewriter) Append(e *Entity, data []byte) {
	if e.Content == e.End {
		w.Replace(e, e.Header, data)
		return
	}
	w.changed = true
	if e.glued {
		data = append(slices.Clip(data), "\r\n"...)
	}
	w.edits = append(w.edits, Edit{e.End, e.End, data})
}

// AppendPart puts a new part at the end of a multipart. part is a header, a
// blank line and content, with or without a line end.
func (w *Rewriter) AppendPart(multipart *Entity, part []byte) {
	w.changed = true
	line := "--" + multipart.boundary
	at := multipart.closing
	if at >= 0 {
		data := slices.Concat([]byte(line+"\r\n"), part, []byte("\r\n"))
		w.edits = append(w.edits, Edit{at, at, data})
		return
	}
	// Its last boundary line is missing: here it comes.
	data := slices.Concat([]byte("\r\n"+line+"\r\n"), part, []byte("\r\n"+line+"--"))
	if multipart.Parent == nil || multipart.glued {
		data = append(data, "\r\n"...)
	}
	w.edits = append(w.edits, Edit{multipart.End, multipart.End, data})
}

// Remove takes a part out, with the boundary line in front of it. A multipart
// of which nothing is left gets an empty part, since it must have one (RFC 2046
// §5.1.1). The message itself cannot be removed.
func (w *Rewriter) Remove(e *Entity) {
	if e.Parent == nil || w.removed[e] {
		return
	}
	w.changed = true
	w.removed[e] = true
}

// Changed reports whether there is anything to apply.
func (w *Rewriter) Changed() bool { return w.changed }

// Apply makes the changes. After an error the message is as it was.
func (w *Rewriter) Apply() error {
	if !w.changed {
		return nil
	}
	edits := w.edits
	for e := range w.removed {
		edits = append(edits, Edit{e.Start, e.Next, w.leftover(e)})
	}
	body := w.msg.Body()
	if len(edits) > 0 {
		var err error
		if body, err = Splice(body, edits...); err != nil {
			return err
		}
	}
	*w.msg = container.NewMessage(w.header, body)
	return nil
}

// leftover returns what stands for a part that is removed: nothing, unless it
// is the first of a multipart of which nothing is left, or the last of one
// whose last boundary line is missing.
func (w *Rewriter) leftover(e *Entity) []byte {
	siblings := e.Parent.Children
	all := !slices.ContainsFunc(siblings, func(s *Entity) bool { return !w.removed[s] })
	var out []byte
	line := "--" + e.Parent.boundary
	if all && e == siblings[0] {
		out = append(out, line+"\r\n\r\n\r\n"...)
	}
	if e.Parent.closing < 0 && e == siblings[len(siblings)-1] {
		out = append(out, line+"--\r\n"...)
	}
	return out
}
