package sieve

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mailetd/mailetd/container/mime"
)

// bodyTags choose what of the body is looked at (RFC 5173 §5).
func bodyTags() []tagSpec {
	return []tagSpec{
		{name: "raw", group: "body"}, {name: "text", group: "body"}, {name: "content", value: textList, group: "body"},
	}
}

// bodyParts is what was read of the body, for all tests of a run.
type bodyParts struct {
	root *mime.Entity
	wild bool             // the structure is too complex to be read
	left int64            // octets that may still be read
	raw  []string         // one, once read
	leaf map[int64]string // content by where it begins
}

// Limits of the structure of a message.
const (
	maxParts = 1000
	maxDepth = 20
)

// evalBody compares the body as it stands, or the decoded content of its parts:
// those of text, or those of the types given. Only so much as Limits.Body says is
// read; match variables stay as they are (RFC 5173 §6).
func evalBody(r *run, c *call) (bool, error) {
	if r.parts == nil {
		r.parts = &bodyParts{left: r.script.limits.Body, leaf: map[int64]string{}}
	}
	var list []string
	var err error
	switch {
	case c.has("raw"):
		list, err = r.rawBody()
	case c.has("content"):
		var types []string
		if types, err = r.expandAll(c.tags["content"]); err == nil {
			list, err = r.contents(types)
		}
	default:
		list, err = r.contents([]string{"text"})
	}
	if err != nil {
		return false, err
	}
	return r.matchAny(c.match, list, c.args[0], false)
}

func (r *run) rawBody() ([]string, error) {
	if r.parts.raw != nil {
		return r.parts.raw, nil
	}
	rc, err := r.env.Message.Body().Open()
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	s, err := r.take(rc, r.script.limits.Body)
	r.parts.raw = []string{s}
	return r.parts.raw, err
}

// take reads at most limit octets and closes rc. A broken transfer encoding ends
// the text; so does a body that cannot be read, which others will notice.
func (r *run) take(rc io.ReadCloser, limit int64) (string, error) {
	defer rc.Close()
	var b strings.Builder
	n, _ := io.Copy(&b, io.LimitReader(rc, limit))
	return b.String(), r.spend(int(n) / 4)
}

// contents returns the content of the leaves of these types: main type, or type
// and subtype; "" is every type.
func (r *run) contents(types []string) ([]string, error) {
	p := r.parts
	if p.wild {
		return r.rawBody()
	}
	if p.root == nil {
		root, err := mime.Scan(r.env.Message, mime.Limits{Parts: maxParts, Depth: maxDepth})
		if errors.Is(err, mime.ErrTooComplex) {
			// Nobody shall get past a filter, or fill a mailbox with complaints
			// about it, by sending such a thing.
			p.wild = true
			return r.rawBody()
		}
		if err != nil {
			return nil, fmt.Errorf("read body: %w", err)
		}
		if err := r.spend(int(min(r.env.Message.Body().Size(), 32<<20) / 16)); err != nil {
			return nil, err
		}
		p.root = root
	}
	var out []string
	for leaf := range p.root.Leaves() {
		if err := r.spend(1 + 2*len(types)); err != nil {
			return nil, err
		}
		if !wanted(leaf.MediaType, types) {
			continue
		}
		s, err := r.content(leaf)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func wanted(mediaType string, types []string) bool {
	for _, t := range types {
		t = strings.ToLower(t)
		if t == "" || t == mediaType || !strings.Contains(t, "/") && strings.HasPrefix(mediaType, t+"/") {
			return true
		}
	}
	return false
}

func (r *run) content(leaf *mime.Entity) (string, error) {
	p := r.parts
	if s, ok := p.leaf[leaf.Content]; ok || p.left <= 0 {
		return s, nil
	}
	open := leaf.Open
	if strings.HasPrefix(leaf.MediaType, "text/") {
		open = leaf.OpenText
	}
	rc, err := open(r.env.Message.Body())
	if err != nil {
		rc, err = leaf.OpenRaw(r.env.Message.Body()) // an unknown encoding
	}
	if err != nil {
		return "", fmt.Errorf("read body: %w", err)
	}
	s, err := r.take(rc, p.left)
	p.left -= int64(len(s))
	p.leaf[leaf.Content] = s
	return s, err
}
