package sieve

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// commands returns what is known of every command but require.
func commands() map[string]*spec { return commandTable }

var commandTable = byName(commandList())

// commandList has the commands, sorted.
func commandList() []*spec {
	return []*spec{
		{name: "addflag", require: "imap4flags", args: []argKind{text, textList}, optional: 1, check: checkFlags, exec: execFlags},
		{name: "addheader", require: "editheader", tags: []tagSpec{{name: "last"}}, args: []argKind{text, text}, check: checkEdit, exec: execAddHeader},
		{name: "deleteheader", require: "editheader", tags: matchTags(indexTags()...), args: []argKind{text, textList}, optional: -1,
			check: checkDeleteHeader, exec: execDeleteHeader},
		{name: "discard", exec: execDiscard},
		{name: "else", block: true},
		{name: "elsif", tests: 1, block: true},
		{name: "ereject", require: "ereject", args: []argKind{text}, exec: execReject},
		{name: "fileinto", require: "fileinto", tags: []tagSpec{copyTag, flagsTag, {name: "create", require: "mailbox"}}, args: []argKind{text}, check: checkFileInto, exec: execFileInto},
		{name: "if", tests: 1, block: true},
		{name: "keep", tags: []tagSpec{flagsTag}, exec: execKeep},
		{name: "redirect", tags: []tagSpec{copyTag}, args: []argKind{text}, check: checkRedirect, exec: execRedirect},
		{name: "reject", require: "reject", args: []argKind{text}, exec: execReject},
		{name: "removeflag", require: "imap4flags", args: []argKind{text, textList}, optional: 1, check: checkFlags, exec: execFlags},
		{name: "set", require: "variables", tags: setTags(), args: []argKind{constant, text}, check: checkSet, exec: execSet},
		{name: "setflag", require: "imap4flags", args: []argKind{text, textList}, optional: 1, check: checkFlags, exec: execFlags},
		{name: "stop", exec: func(*run, *call) error { return errStop }},
		{name: "vacation", require: "vacation", tags: vacationTags(), args: []argKind{text}, check: checkVacation, exec: execVacation},
	}
}

var (
	copyTag  = tagSpec{name: "copy", require: "copy"}
	flagsTag = tagSpec{name: "flags", value: textList, require: "imap4flags"}
)

// add notes an action and sees to the limits.
func (r *run) add(a Action) error {
	for _, b := range r.actions {
		if a.Kind == Reject && b.Kind != Discard || b.Kind == Reject && a.Kind != Discard {
			// RFC 5429 §2.1: refusing goes with nothing that delivers or answers.
			return r.here.errorf("%s cannot be done besides %s", a.Kind, b.Kind)
		}
	}
	if len(r.actions) == r.script.limits.Actions {
		return r.here.errorf("more than %d actions", r.script.limits.Actions)
	}
	if r.edited {
		a.Header = r.header
	}
	if !a.Implicit {
		a.Line = r.here.line
	}
	r.actions = append(r.actions, a)
	return nil
}

// store adds a keep or fileinto. The same one twice counts once, with the flags
// of the last (RFC 5228 §2.10.3).
func (r *run) store(a Action, c *call) error {
	a.Flags, a.HasFlags = r.flags, r.flagsSet
	if c != nil && c.has("flags") {
		list, err := r.expandAll(c.tags["flags"])
		if err != nil {
			return err
		}
		a.Flags, a.HasFlags = mergeFlags(nil, list), true
	}
	for i := range r.actions {
		b := &r.actions[i]
		if b.Kind == a.Kind && b.Folder == a.Folder && r.sameHeader(b) {
			b.Flags, b.HasFlags, b.Create = a.Flags, a.HasFlags, b.Create || a.Create
			return nil
		}
	}
	return r.add(a)
}

// sameHeader reports whether an action works with the header as it is now.
func (r *run) sameHeader(a *Action) bool {
	if !r.edited || a.Header == nil {
		return !r.edited && a.Header == nil
	}
	return len(a.Header) == len(r.header) && (len(r.header) == 0 || &a.Header[0] == &r.header[0])
}

func execKeep(r *run, c *call) error {
	r.cancelled = true
	return r.store(Action{Kind: Keep}, c)
}

func checkFileInto(c *checker, call *call) {
	if t := call.args[0].list[0]; t.constant() && t.text == "" {
		c.errorf(t.pos, "fileinto needs the name of a folder")
	}
}

func execFileInto(r *run, c *call) error {
	folder, err := r.one(c.args[0])
	if err != nil {
		return err
	}
	if folder == "" {
		return c.pos.errorf("fileinto needs the name of a folder")
	}
	r.cancelled = r.cancelled || !c.has("copy")
	return r.store(Action{Kind: FileInto, Folder: folder, Create: c.has("create")}, c)
}

// execDiscard only ends the implicit keep (RFC 5228 §4.4).
func execDiscard(r *run, _ *call) error {
	r.cancelled = true
	for _, a := range r.actions {
		if a.Kind == Discard {
			return nil
		}
	}
	return r.add(Action{Kind: Discard})
}

func checkRedirect(c *checker, call *call) {
	if t := call.args[0].list[0]; t.constant() {
		if _, ok := oneAddress(t.text); !ok {
			c.errorf(t.pos, "%q is not an address", shorten(t.text))
		}
	}
}

// oneAddress reads an address with or without a display name.
func oneAddress(s string) (container.Address, bool) {
	if a, err := container.ParseAddress(strings.TrimSpace(s)); err == nil {
		return a, true
	}
	boxes, ok := mime.ParseAddresses(s)
	if !ok || len(boxes) != 1 {
		return container.Address{}, false
	}
	return boxes[0].Address, true
}

func execRedirect(r *run, c *call) error {
	s, err := r.one(c.args[0])
	if err != nil {
		return err
	}
	a, ok := oneAddress(s)
	if !ok {
		return c.pos.errorf("%q is not an address", shorten(s))
	}
	r.cancelled = r.cancelled || !c.has("copy")
	for i := range r.actions {
		if b := &r.actions[i]; b.Kind == Redirect && b.Address.Equal(a) && r.sameHeader(b) {
			return nil
		}
	}
	if r.redirects++; r.redirects > r.script.limits.Redirects {
		return c.pos.errorf("more than %d redirects", r.script.limits.Redirects)
	}
	return r.add(Action{Kind: Redirect, Address: a})
}

func execReject(r *run, c *call) error {
	reason, err := r.one(c.args[0])
	if err != nil {
		return err
	}
	r.cancelled = true
	return r.add(Action{Kind: Reject, Text: reason, Extended: c.spec.name == "ereject"})
}

func vacationTags() []tagSpec {
	return []tagSpec{
		{name: "addresses", value: textList}, {name: "days", value: number, group: "period"}, {name: "from", value: text},
		{name: "handle", value: text}, {name: "mime"}, {name: "seconds", value: number, group: "period", require: "vacation-seconds"},
		{name: "subject", value: text},
	}
}

func checkVacation(c *checker, call *call) {
	if v := call.tags["from"]; v.present && v.list[0].constant() {
		if _, ok := oneAddress(v.list[0].text); !ok {
			c.errorf(v.pos, "%q is not an address", shorten(v.list[0].text))
		}
	}
}

// Periods of vacation (RFC 5230 §4.1, RFC 6131 §2).
const (
	day         = 24 * time.Hour
	defaultDays = 7
	mostDays    = 365
)

func execVacation(r *run, c *call) error {
	for _, a := range r.actions {
		if a.Kind == Reply {
			return c.pos.errorf("vacation can be done once") // RFC 5230 §4.7
		}
	}
	v := &Vacation{Period: defaultDays * day, MIME: c.has("mime")}
	if t := c.tags["days"]; t.present {
		v.Period = time.Duration(min(max(t.num, 1), mostDays)) * day
	}
	if t := c.tags["seconds"]; t.present {
		v.Period = time.Duration(min(t.num, mostDays*24*3600)) * time.Second
	}
	for _, f := range []struct {
		to  *string
		arg value
	}{{&v.Text, c.args[0]}, {&v.Subject, c.tags["subject"]}, {&v.From, c.tags["from"]}, {&v.Handle, c.tags["handle"]}} {
		s, err := r.one(f.arg)
		if err != nil {
			return err
		}
		*f.to = s
	}
	list, err := r.expandAll(c.tags["addresses"])
	if err != nil {
		return err
	}
	for _, s := range list {
		if a, ok := oneAddress(s); ok {
			v.Addresses = append(v.Addresses, a)
		}
	}
	switch {
	case v.Handle == "":
		// RFC 5230 §4.7: answers that differ have handles that differ.
		v.Handle = digest(v.Subject, v.From, v.Text, strconv.FormatBool(v.MIME))
	case len(v.Handle) > maxHandle: // it is kept for each correspondent
		v.Handle = digest(v.Handle)
	}
	return r.add(Action{Kind: Reply, Vacation: v})
}

// maxHandle bounds a handle, in octets; longer ones are replaced by their digest.
const maxHandle = 128

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return "sieve-" + hex.EncodeToString(sum[:12])
}

func byName(list []*spec) map[string]*spec {
	out := make(map[string]*spec, len(list))
	for _, s := range list {
		out[s.name] = s
	}
	return out
}
