package mime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // charsets other than UTF-8 and US-ASCII

	"github.com/mailetd/mailetd/container"
)

// Limits bound what Walk reads of a message.
type Limits struct {
	Depth int   // nesting of multiparts, 0: 20
	Parts int   // leaves, 0: 1000
	Bytes int64 // octets of the raw message, 0: no limit
}

// ErrTooComplex is returned by Walk when a message is beyond its limits.
var ErrTooComplex = errors.New("message has too many or too deeply nested parts")

// ErrStop is returned by the visitor of Walk to end the walk without error.
var ErrStop = errors.New("stop")

// Part is one leaf of a message: not a multipart.
type Part struct {
	Path      []int             // position in each enclosing multipart, counted from 0; empty for a simple message
	Header    message.Header    // the part's own header
	MediaType string            // lower case; text/plain when absent or unreadable (RFC 2045 §5.2)
	Params    map[string]string // of Content-Type
	Inline    bool              // not declared an attachment
	Filename  string            // decoded, "" for none
	Body      io.Reader         // transfer encoding undone, text in UTF-8 when the charset is known
}

// Walk reads the structure of a message and calls visit for each leaf, in
// order. The body of a part can be read only until visit returns. An attached
// message/rfc822 is a leaf.
func Walk(m *container.Message, lim Limits, visit func(*Part) error) error {
	if lim.Depth == 0 {
		lim.Depth = 20
	}
	if lim.Parts == 0 {
		lim.Parts = 1000
	}
	r, err := m.Open()
	if err != nil {
		return fmt.Errorf("open message: %w", err)
	}
	defer r.Close()
	var src io.Reader = r
	if lim.Bytes > 0 {
		src = io.LimitReader(r, lim.Bytes)
	}
	e, err := message.ReadWithOptions(src, &message.ReadOptions{MaxHeaderBytes: int64(len(m.Header())) + 1<<20})
	if err != nil && e == nil {
		return fmt.Errorf("read message: %w", err)
	}
	w := walker{lim: lim, visit: visit}
	if err := w.entity(e, nil); !errors.Is(err, ErrStop) {
		return err
	}
	return nil
}

type walker struct {
	lim   Limits
	parts int
	visit func(*Part) error
}

func (w *walker) entity(e *message.Entity, path []int) error {
	if len(path) > w.lim.Depth {
		return ErrTooComplex
	}
	mr := e.MultipartReader()
	if mr == nil {
		return w.leaf(e, path)
	}
	defer mr.Close()
	for i := 0; ; i++ {
		child, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && child == nil {
			return fmt.Errorf("read part %v: %w", append(path, i), err)
		}
		if err := w.entity(child, append(path[:len(path):len(path)], i)); err != nil {
			return err
		}
	}
}

func (w *walker) leaf(e *message.Entity, path []int) error {
	if w.parts++; w.parts > w.lim.Parts {
		return ErrTooComplex
	}
	p := &Part{Path: path, Header: e.Header, Body: e.Body, Inline: true}
	t, params, err := e.Header.ContentType()
	if err != nil || t == "" {
		t, params = "text/plain", nil
	}
	p.MediaType, p.Params = strings.ToLower(t), params
	disp, dparams, err := e.Header.ContentDisposition()
	if err == nil {
		p.Inline = !strings.EqualFold(disp, "attachment")
		p.Filename = DecodeText(dparams["filename"])
	}
	if p.Filename == "" {
		p.Filename = DecodeText(params["name"])
	}
	return w.visit(p)
}

// PlainText returns the first inline text part of a message, text/plain before
// others, at most limit octets of it; "" when there is none.
func PlainText(m *container.Message, limit int64) (string, error) {
	var plain, other []byte
	err := Walk(m, Limits{}, func(p *Part) error {
		if !p.Inline || !strings.HasPrefix(p.MediaType, "text/") || p.MediaType != "text/plain" && other != nil {
			return nil
		}
		text, err := io.ReadAll(io.LimitReader(p.Body, limit))
		if err != nil && len(text) == 0 {
			return nil // broken encoding: as if it were not there
		}
		if p.MediaType == "text/plain" {
			plain = text
			return ErrStop
		}
		other = text
		return nil
	})
	if err != nil {
		return "", err
	}
	if plain == nil {
		plain = other
	}
	return string(bytes.ToValidUTF8(plain, []byte("?"))), nil
}
