package sieve

import (
	"strings"

	"github.com/mailetd/mailetd/container/mime"
)

// protected reports whether scripts may not delete fields of this name: they
// show the way of the message, or stop loops (RFC 5293 §6, §8).
func protected(name string) bool {
	switch strings.ToLower(name) {
	case "received", "auto-submitted", "delivered-to", "return-path", "x-sieve-redirected-from":
		return true
	}
	return false
}

func checkEdit(c *checker, call *call) {
	if t := call.args[0].list[0]; t.constant() && !mime.ValidName(t.text) {
		c.errorf(t.pos, "%q is not the name of a header field", shorten(t.text))
	}
}

func checkDeleteHeader(c *checker, call *call) {
	checkEdit(c, call)
	checkIndex(c, call)
	c.matching(call)
}

// maxField bounds the value of a field that a script adds.
const maxField = 16 << 10

// execAddHeader puts a field on top of the header, or below it (RFC 5293 §4).
func execAddHeader(r *run, c *call) error {
	name, err := r.one(c.args[0])
	if err != nil {
		return err
	}
	v, err := r.one(c.args[1])
	if err != nil {
		return err
	}
	switch {
	case !mime.ValidName(name):
		return c.pos.errorf("%q is not the name of a header field", shorten(name))
	case len(v) > maxField:
		return c.pos.errorf("the value of the field has more than %d octets", maxField)
	}
	if r.edits++; r.edits > r.script.limits.Edits {
		return c.pos.errorf("more than %d fields added", r.script.limits.Edits)
	}
	if err := r.spend(len(r.header)/8 + len(v)); err != nil {
		return err
	}
	if c.has("last") {
		r.setHeader(mime.Append(r.header, name, v))
	} else {
		r.setHeader(mime.Add(r.header, name, v))
	}
	return nil
}

// execDeleteHeader removes the fields of a name, or those of them whose value
// matches (RFC 5293 §5).
func execDeleteHeader(r *run, c *call) error {
	name, err := r.one(c.args[0])
	if err != nil {
		return err
	}
	if protected(name) {
		return nil
	}
	values, err := r.values(name)
	if err != nil {
		return err
	}
	drop := make([]bool, len(values))
	first, end := indexRange(c, len(values))
	found := false
	for i := first; i < end; i++ {
		drop[i] = true
		if v := c.args[1]; v.present {
			if drop[i], err = r.matchAny(c.match, values[i:i+1], v, false); err != nil {
				return err
			}
		}
		found = found || drop[i]
	}
	if !found {
		return nil
	}
	if err := r.spend(len(r.header) / 8); err != nil {
		return err
	}
	i := -1
	name = strings.ToLower(name)
	r.setHeader(mime.RemoveFunc(r.header, func(f mime.Field) bool {
		if strings.ToLower(string(f.Name)) != name { // as the index has it
			return false
		}
		i++
		return i < len(drop) && drop[i]
	}))
	return nil
}
