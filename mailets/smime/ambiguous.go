package smime

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Readers differ in what they forgive. A message in which one of them might find
// other parts than we do would show something that nobody signed, with our word
// that it is good. So its structure must be one that all of them read alike.

// maxAround bounds the texts in front of and behind the parts, in octets.
const maxAround = 64 << 10

// twoParts returns the content and the signature of a multipart/signed.
func twoParts(m *container.Message, root *mime.Entity) (content, signature *mime.Entity, err error) {
	boundary, _ := root.Type.Param("boundary")
	if plain, ok := plainBoundary(m.Header()); !ok || plain != boundary {
		return nil, nil, fmt.Errorf("%w: readers differ in what its boundary is", ErrNotSigned)
	}
	if len(root.Children) != 2 || !IsDetached(root.Children[1].MediaType) {
		return nil, nil, fmt.Errorf("%w: not two parts of which the second is an S/MIME signature", ErrNotSigned)
	}
	content, signature = root.Children[0], root.Children[1]
	size := m.Body().Size()
	if content.Start > maxAround || size-signature.Begin > maxSignature+maxAround {
		return nil, nil, fmt.Errorf("%w: there is too much around what is signed", ErrNotSigned)
	}
	delimiters := 0
	for _, at := range [][2]int64{{0, content.Start}, {signature.Begin, size}} {
		n, err := delimiterLines(m.Body(), at[0], at[1], boundary)
		if err != nil {
			return nil, nil, err
		}
		delimiters += n
	}
	if delimiters > 1 { // the one at the end
		return nil, nil, fmt.Errorf("%w: readers differ in what its parts are", ErrNotSigned)
	}
	return content, signature, nil
}

// delimiterLines counts the lines in a piece of body that some reader may take for
// a boundary line, since they begin like one.
func delimiterLines(body container.Body, from, to int64, boundary string) (int, error) {
	section, err := mime.Section(body, from, to)
	if err != nil {
		return 0, err
	}
	r, err := section.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return 0, fmt.Errorf("read message: %w", err)
	}
	delimiter := []byte("\n--" + boundary)
	n := bytes.Count(text, delimiter)
	if bytes.HasPrefix(text, delimiter[1:]) {
		n++
	}
	return n, nil
}

// plainBoundary returns the boundary in the Content-Type of a header. It must be
// the only one and a token or a quoted string without escapes (RFC 2045 §5.1), and
// all parameters must have semicolons between them and nothing else: no comments,
// none of the forms of RFC 2231 for it.
func plainBoundary(header []byte) (boundary string, ok bool) {
	value, _ := mime.Get(header, "Content-Type")
	params, ok := splitParams(value)
	if !ok {
		return "", false
	}
	found := 0
	for _, p := range params[1:] {
		name, v, _ := strings.Cut(p, "=")
		name, v = strings.ToLower(strings.Trim(name, " \t")), strings.Trim(v, " \t")
		quoted := len(v) > 1 && v[0] == '"' && strings.IndexByte(v[1:], '"') == len(v)-2
		if quoted {
			v = v[1 : len(v)-1]
		}
		switch {
		case strings.ContainsAny(name, " \t\"") || !quoted && strings.ContainsAny(v, " \t\""), strings.HasPrefix(name, "boundary*"):
			return "", false
		case name == "boundary":
			boundary = v
			found++
		}
	}
	return boundary, found == 1 && isBoundary(boundary)
}

// splitParams cuts a Content-Type at the semicolons that are not quoted. It reports
// false for comments, quotes without end, escaped quotes and control characters.
func splitParams(value string) (list []string, ok bool) {
	start, quoted := 0, false
	for i := range len(value) {
		switch c := value[i]; {
		case c < ' ' && c != '\t' || c == 0x7f || c == '\\' && i+1 < len(value) && value[i+1] == '"':
			return nil, false
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			return nil, false
		case c == ';':
			list = append(list, value[start:i])
			start = i + 1
		}
	}
	return append(list, value[start:]), !quoted
}

// isBoundary reports whether s is a boundary (RFC 2046 §5.1.1), of any length.
func isBoundary(s string) bool {
	for i := range len(s) {
		c := s[i]
		if ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && strings.IndexByte("'()+_,-./:=? ", c) < 0 {
			return false
		}
	}
	return s != "" && s[len(s)-1] != ' '
}
