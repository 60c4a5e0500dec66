package mime

import (
	"bytes"
	"crypto/rand"
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

// ContentFields returns the fields of header whose name begins with Content-, as
// they stand.
func ContentFields(header []byte) []byte {
	var out []byte
	for f := range Fields(header) {
		if isContentField(f) {
			out = append(out, f.Raw...)
		}
	}
	return out
}

func isContentField(f Field) bool {
	const prefix = "content-"
	return len(f.Name) > len(prefix) && equalFold(f.Name[:len(prefix)], prefix)
}

// SetContentFields puts fields, complete lines, in the place of all those of
// header whose name begins with Content-; on top when there is none. A missing
// MIME-Version is added.
func SetContentFields(header, fields []byte) []byte {
	out := make([]byte, 0, len(header)+len(fields))
	at := 0
	for pos := 0; pos < len(header); {
		end := pos + fieldLength(header[pos:])
		if f, ok := parseField(header[pos:end]); !ok || !isContentField(f) {
			out = append(out, header[pos:end]...)
		} else if at == 0 {
			at = len(out) + 1
		}
		pos = end
	}
	out = slices.Insert(out, max(at-1, 0), fields...)
	if !Has(out, "MIME-Version") {
		out = Add(out, "MIME-Version", "1.0")
	}
	return out
}

// Wrap makes a message a multipart/mixed: its content becomes the first part,
// with the fields that partHeader makes of those whose name begins with
// Content-, and more parts follow, each a header, a blank line and content. The
// octets of the content stay.
func Wrap(m *container.Message, partHeader func(contentFields []byte) []byte, more ...[]byte) error {
	boundary := "=_" + rand.Text()
	first := partHeader(ContentFields(m.Header()))
	encoding := widest("", first)
	head := slices.Concat([]byte("--"+boundary+"\r\n"), first, []byte("\r\n"))
	var tail []byte
	for _, part := range more {
		encoding = widest(encoding, part[:container.HeaderLength(part)])
		tail = append(tail, "\r\n--"+boundary+"\r\n"...)
		tail = append(tail, part...)
	}
	tail = append(tail, "\r\n--"+boundary+"--\r\n"...)
	size := m.Body().Size()
	body, err := Splice(m.Body(), Edit{0, 0, head}, Edit{size, size, tail})
	if err != nil {
		return err
	}
	field := FormatField("Content-Type", `multipart/mixed; boundary="`+boundary+`"`)
	if encoding != "" {
		field = append(field, FormatField("Content-Transfer-Encoding", encoding)...)
	}
	*m = container.NewMessage(SetContentFields(m.Header(), field), body)
	return nil
}

// widest returns the transfer encoding that a multipart needs for the parts so
// far and one with the given header, "" when the default will do (RFC 2045
// §6.4).
func widest(encoding string, header []byte) string {
	e := Entity{Header: header}
	switch enc := e.Encoding(); {
	case enc == "binary", enc == "8bit" && encoding != "binary":
		return enc
	default:
		return encoding
	}
}

// Splits reports whether data has a line that would pass for a boundary line of
// the multipart.
func (e *Entity) Splits(data []byte) bool {
	line := []byte("--" + e.boundary)
	for rest := data; ; {
		i := bytes.Index(rest, line)
		if i < 0 {
			return false
		}
		if at := len(data) - len(rest) + i; at == 0 || data[at-1] == '\n' {
			return true
		}
		rest = rest[i+1:]
	}
}
