package conf

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/beevik/etree"
)

// lexical explains what encoding/xml refused in the token that begins at start.
func (b *builder) lexical(start int, err error) *fault {
	text, here := b.src.text, min(int(b.dec.InputOffset()), len(b.src.text))
	start = min(start, len(text))
	msg := strings.TrimPrefix(err.Error(), "xml: ")
	var se *xml.SyntaxError
	if errors.As(err, &se) {
		msg = se.Msg
	}
	token := text[start:here]
	switch {
	case len(token) == 0:
		return &fault{at: start, text: msg}
	case strings.HasPrefix(msg, "invalid character entity"):
		return b.entity(start, here)
	case token[0] != '<':
		if i := bytes.Index(token, []byte("]]>")); i >= 0 {
			return &fault{start + i, "]]> is not allowed in text; write ]]&gt;", &edit{start + i, 3, "]]&gt;"}}
		}
		return &fault{at: start, text: msg}
	case strings.HasPrefix(msg, "unexpected EOF"):
		return endsInside(start, token)
	case bytes.HasPrefix(token, []byte("<!--")):
		return b.comment(start, msg)
	case bytes.HasPrefix(token, []byte("</")):
		return b.endTag(start, msg)
	}
	c, _ := utf8.DecodeRune(text[min(start+1, len(text)):])
	if c != '!' && c != '?' && c != '_' && !unicode.IsLetter(c) {
		return b.noTag(start)
	}
	return b.startTag(start, here, msg)
}

func endsInside(start int, token []byte) *fault {
	switch {
	case bytes.HasPrefix(token, []byte("<!--")):
		return &fault{at: start, text: "this comment is never closed: --> is missing"}
	case bytes.HasPrefix(token, []byte("<![CDATA[")):
		return &fault{at: start, text: "this CDATA section is never closed: ]]> is missing"}
	}
	return &fault{at: start, text: "this tag is never closed: the file ends first; is a quote or > missing?"}
}

// entity explains a & that begins no entity of XML.
func (b *builder) entity(start, here int) *fault {
	at := start + max(0, bytes.LastIndexByte(b.src.text[start:here], '&'))
	name, _, ok := bytes.Cut(b.src.text[at+1:min(here+1, len(b.src.text))], []byte(";"))
	text := "a bare & is not allowed; write &amp;"
	if ok && len(name) > 0 && !bytes.ContainsAny(name, " \t\r\n\"<") {
		text = fmt.Sprintf("entity &%s; is unknown here: only &lt; &gt; &amp; &quot; &apos; and numbers such as &#228; are; for a plain & write &amp;", name)
	}
	return &fault{at, text, &edit{at, 1, "&amp;"}}
}

func (b *builder) comment(start int, msg string) *fault {
	if i := bytes.Index(b.src.text[start+4:], []byte("--")); i >= 0 {
		at := start + 4 + i
		return &fault{at, "-- is not allowed within a comment; write - or ==", &edit{at, 2, "=="}}
	}
	return &fault{at: start, text: msg}
}

// endTag explains an end tag that encoding/xml refused: "</name" without ">".
func (b *builder) endTag(start int, msg string) *fault {
	if !strings.HasPrefix(msg, "invalid characters between") {
		return b.noTag(start)
	}
	end := start + 2
	for end < len(b.src.text) && isNameByte(b.src.text[end]) {
		end++
	}
	name := b.src.text[start+2 : end]
	if bytes.IndexByte(name, ':') >= 0 {
		return &fault{at: start, text: msg}
	}
	return &fault{start, fmt.Sprintf("the end tag </%s lacks its >", name), &edit{end, 0, ">"}}
}

func isNameByte(c byte) bool {
	return c >= utf8.RuneSelf || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-.:", c) >= 0
}

// noTag explains a < that begins no tag: a placeholder that was copied from
// documentation, a </ with the wrong slash, or a plain <.
func (b *builder) noTag(start int) *fault {
	rest := b.src.text[start:min(start+200, len(b.src.text))]
	if end := bytes.IndexAny(rest[1:], "<>\n"); end > 0 && rest[1+end] == '>' {
		inner := string(rest[1 : 1+end])
		if strings.Contains(inner, "..") || strings.Contains(inner, "…") {
			return &fault{start, fmt.Sprintf("<%s> is a placeholder from the documentation; put your own elements there, or remove it", inner),
				&edit{start, len(inner) + 2, strings.Repeat(" ", len(inner)+2)}}
		}
		if name := strings.TrimPrefix(inner, `\`); name != inner && name != "" {
			return &fault{start, fmt.Sprintf(`<\%s> is no tag; write </%[1]s>`, name), &edit{start + 1, 1, "/"}}
		}
	}
	return &fault{start, "this < begins no tag; write &lt;", &edit{start, 1, "&lt;"}}
}

// startTag explains a start tag that encoding/xml refused.
func (b *builder) startTag(start, here int, msg string) *fault {
	end := start + 1
	for end < len(b.src.text) && isNameByte(b.src.text[end]) {
		end++
	}
	name := b.src.text[start+1 : end]
	switch {
	case strings.HasPrefix(msg, "unquoted or missing attribute value"):
		msg = fmt.Sprintf("<%s>: the value of an attribute stands in quotes: name=\"value\"", name)
	case strings.HasPrefix(msg, "attribute name without ="), strings.HasPrefix(msg, "expected attribute name"):
		msg = fmt.Sprintf("<%s>: expected name=\"value\" or >; is a quote missing?", name)
	case strings.HasPrefix(msg, "unescaped < inside quoted string"):
		msg = fmt.Sprintf("<%s>: < in the value of an attribute; is the closing quote missing? For a < write &lt;", name)
	default:
		return &fault{at: start, text: msg}
	}
	return &fault{at: max(start, here-1), text: msg}
}

// mismatch explains an end tag, from start to end, that does not close the
// open element.
func (b *builder) mismatch(start, end int, name string) *fault {
	top := b.top()
	if top == nil {
		return &fault{start, fmt.Sprintf("</%s> closes nothing; remove it", name), b.blank(start, end)}
	}
	if f := b.brokenEnd(top, start); f != nil {
		return f
	}
	at := b.src.pos(start)
	switch {
	case b.isAncestor(name):
		return &fault{b.at[top], fmt.Sprintf("<%s> is never closed: </%s> at %d:%d comes first", top.Tag, name, at.Line, at.Col),
			&edit{start, 0, "</" + top.Tag + ">"}}
	case Suggest(name, []string{top.Tag}) != "":
		open := b.src.pos(b.at[top])
		return &fault{start, fmt.Sprintf("</%s> does not close <%s> of %d:%d; write </%[2]s>", name, top.Tag, open.Line, open.Col),
			&edit{start, end - start, "</" + top.Tag + ">"}}
	}
	return &fault{start, fmt.Sprintf("</%s> closes nothing: the open element is <%s>; remove it", name, top.Tag), b.blank(start, end)}
}

// blank replaces a piece of the text by blanks.
func (b *builder) blank(start, end int) *edit {
	return &edit{start, end - start, strings.Repeat(" ", end-start)}
}

func (b *builder) isAncestor(name string) bool {
	return slices.ContainsFunc(b.stack[:len(b.stack)-1], func(e *etree.Element) bool { return e.Tag == name })
}

// brokenEnd looks for an end tag of e, the open element, that is no tag because
// a character is missing: "/name>" or a second "<name>".
func (b *builder) brokenEnd(e *etree.Element, until int) *fault {
	if len(e.ChildElements()) > 0 {
		return nil
	}
	if p := e.Parent(); p != nil && p.Tag == e.Tag && len(e.Attr) == 0 && len(p.ChildElements()) == 1 {
		at := b.src.pos(b.at[e])
		return &fault{b.at[p], fmt.Sprintf("<%s> is never closed: <%[1]s> at %d:%d was probably meant to be </%[1]s>", e.Tag, at.Line, at.Col),
			&edit{b.at[e] + 1, 0, "/"}}
	}
	inner := b.src.text[b.inner[e]:until]
	for i := 0; i < len(inner); i++ {
		j := bytes.Index(inner[i:], []byte("/"+e.Tag))
		if j < 0 {
			return nil
		}
		i += j
		after := bytes.TrimLeft(inner[i+1+len(e.Tag):], " \t")
		if len(after) == 0 || after[0] != '>' {
			continue
		}
		at := b.src.pos(b.inner[e] + i)
		return &fault{b.at[e], fmt.Sprintf(`<%s> is never closed: "/%[1]s>" at %d:%d lacks its <; write </%[1]s>`, e.Tag, at.Line, at.Col),
			&edit{b.inner[e] + i, 0, "<"}}
	}
	return nil
}
