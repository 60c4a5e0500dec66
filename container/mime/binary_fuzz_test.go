package mime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// binaryLeaf is what must be the same before and after.
type binaryLeaf struct {
	kind, encoding string
	content        []byte
}

// plainLeaves takes a message apart by a reading of RFC 2046 of its own: boundary
// lines stand between CRLFs, an outer one before an inner one.
func plainLeaves(header, body []byte, depth int) (out []binaryLeaf) {
	e := newEntity(header, nil)
	if isMessage(e) && identity(e.Encoding()) && depth < 12 {
		n := container.HeaderLength(body)
		return plainLeaves(body[:n], bytes.TrimPrefix(body[n:], []byte("\r\n")), depth+1)
	}
	if !e.IsMultipart() || depth == 40 {
		return []binaryLeaf{{e.MediaType, e.Encoding(), body}}
	}
	delimiter := "\r\n--" + boundaryOf(e)
	text := "\r\n" + string(body)
	var parts []string
	for from, begin := 0, -1; ; {
		i := strings.Index(text[from:], delimiter)
		if i < 0 {
			if begin >= 0 {
				parts = append(parts, text[begin:])
			}
			break
		}
		at := from + i
		from = at + 2
		line, _, found := strings.Cut(text[at+len(delimiter):], "\r\n")
		word := strings.TrimRight(line, " \t")
		if word != "" && word != "--" || strings.ContainsAny(line, "\r\n") {
			continue
		}
		if begin >= 0 {
			parts = append(parts, text[begin:max(begin, at)])
		}
		if word == "--" {
			break
		}
		if begin = at + len(delimiter) + len(line); !found {
			begin = len(text)
		}
	}
	for _, p := range parts {
		p, _ = strings.CutPrefix(p, "\r\n")
		h, content, found := strings.Cut("\r\n"+p, "\r\n\r\n")
		if !found {
			content = ""
		}
		h, _ = strings.CutPrefix(h, "\r\n")
		if h != "" {
			h += "\r\n"
		}
		if e.MediaType == "multipart/digest" && !Has([]byte(h), "Content-Type") {
			h = "Content-Type: message/rfc822\r\n" + h
		}
		out = append(out, plainLeaves([]byte(h), []byte(content), depth+1)...)
	}
	return out
}

// decoded undoes what the conversion may have done.
func decoded(before, after binaryLeaf) ([]byte, error) {
	if before.encoding != "binary" || identity(after.encoding) {
		return after.content, nil
	}
	e := &Entity{Header: []byte("Content-Transfer-Encoding: " + after.encoding + "\r\n")}
	r, err := e.decoder(bytes.NewReader(after.content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func leavesOf(text string) []binaryLeaf {
	m := container.ParseMessage([]byte(text))
	return plainLeaves(m.Header(), m.Body().(container.BytesBody), 0)
}

// checkConverted converts a message and says what is wrong with the result.
func checkConverted(text string) error {
	got, err := convertBinary(text)
	if err != nil {
		for _, known := range []error{ErrLineEnd, ErrLineTooLong, ErrTooComplex, ErrNoBoundary, ErrSigned} {
			if errors.Is(err, known) {
				return nil
			}
		}
		return err
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(got, "\r\n"), "\r\n") {
		if strings.ContainsAny(line, "\r\n") || len(line) > 998 {
			return fmt.Errorf("line %.2000q in %q", line, got)
		}
	}
	before, after := leavesOf(text), leavesOf(got)
	if last := before[max(len(before)-1, 0):]; !strings.HasSuffix(text, "\r\n") && (len(last) == 0 || last[0].encoding != "binary") {
		before = leavesOf(text + "\r\n")
	}
	if len(before) != len(after) {
		return fmt.Errorf("%d leaves, want %d: %q", len(after), len(before), got)
	}
	for i := range before {
		content, err := decoded(before[i], after[i])
		if err != nil {
			return err
		}
		if before[i].kind != after[i].kind || !bytes.Equal(before[i].content, content) {
			return fmt.Errorf("leaf %d is %.200q, want %.200q: %.2000q", i, content, before[i].content, got)
		}
		if after[i].encoding == "binary" {
			return fmt.Errorf("leaf %d is still binary", i)
		}
	}
	return nil
}

// FuzzConvertBinary: the leaves of a message decode to the same octets after
// conversion, and the result has lines only, none of them long. A second
// conversion changes nothing.
func FuzzConvertBinary(f *testing.F) {
	const head = "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n"
	const part = "\r\n--b\r\nContent-Type: x/y\r\nContent-Transfer-Encoding: binary\r\n\r\n"
	f.Add("Content-Transfer-Encoding: binary\r\n\r\n\x00\r\n.\r\n\n\r")
	f.Add(head + part + "\r\n.\r\n\r\x00\n--b\r\n" + part + "\r\n--b--\r\n")
	f.Add(head + "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n" + strings.ReplaceAll(head, "=b", "=c") + strings.ReplaceAll(part, "b\r\n", "c\r\n") + "\n\r\n--c--\r\n--b--")
	f.Add(strings.Replace(head, "mixed", "digest", 1) + "--b\r\n\r\nContent-Transfer-Encoding: binary\r\n\r\nx \xff\r-\n")
	f.Fuzz(func(t *testing.T, text string) {
		if n := container.HeaderLength([]byte(text)); n < container.HeaderLength([]byte(text+"\r\n")) || len(text) > 1<<16 {
			return // the server completes the last line of a header
		}
		if err := checkConverted(text); err != nil {
			t.Fatal(err)
		}
		if once, err := convertBinary(text); err == nil {
			if twice, err := convertBinary(once); err != nil || twice != once {
				t.Errorf("again: %q, %v, want %q", twice, err, once)
			}
		}
	})
}
