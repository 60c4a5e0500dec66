package sieve

import (
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// tests returns what is known of every test.
func tests() map[string]*spec { return testTable }

var testTable = byName(testList())

// testList has the tests, sorted.
func testList() []*spec {
	return []*spec{
		{name: "address", tags: matchTags(append(partTags(), indexTags()...)...), args: []argKind{textList, textList}, check: checkAddress, eval: evalAddress},
		{name: "allof", tests: many, eval: evalAllOf},
		{name: "anyof", tests: many, eval: evalAnyOf},
		{name: "body", require: "body", tags: matchTags(bodyTags()...), args: []argKind{textList}, check: (*checker).matching, eval: evalBody},
		{name: "currentdate", require: "date", tags: matchTags(zoneTag), args: []argKind{text, textList}, check: checkDate, eval: evalCurrentDate},
		{name: "date", require: "date", tags: matchTags(append(indexTags(), zoneTag, tagSpec{name: "originalzone", group: "zone"})...),
			args: []argKind{text, text, textList}, check: checkDate, eval: evalDate},
		{name: "envelope", require: "envelope", tags: matchTags(partTags()...), args: []argKind{textList, textList}, check: checkEnvelope, eval: evalEnvelope},
		{name: "exists", args: []argKind{textList}, eval: evalExists},
		{name: "false", eval: func(*run, *call) (bool, error) { return false, nil }},
		{name: "hasflag", require: "imap4flags", tags: matchTags(), args: []argKind{textList, textList}, optional: 1, check: checkHasFlag, eval: evalHasFlag},
		{name: "header", tags: matchTags(indexTags()...), args: []argKind{textList, textList}, check: checkHeader, eval: evalHeader},
		{name: "mailboxexists", require: "mailbox", args: []argKind{textList}, eval: evalMailboxExists},
		{name: "not", tests: 1, eval: evalNot},
		{name: "size", tags: []tagSpec{{name: "over", group: "size"}, {name: "under", group: "size"}}, args: []argKind{number}, check: checkSize, eval: evalSize},
		{name: "string", require: "variables", tags: matchTags(), args: []argKind{textList, textList}, check: (*checker).matching, eval: evalString},
		{name: "true", eval: func(*run, *call) (bool, error) { return true, nil }},
	}
}

func evalAllOf(r *run, c *call) (bool, error) {
	for _, t := range c.tests {
		if ok, err := r.test(t); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func evalAnyOf(r *run, c *call) (bool, error) {
	for _, t := range c.tests {
		if ok, err := r.test(t); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func evalNot(r *run, c *call) (bool, error) {
	ok, err := r.test(c.tests[0])
	return !ok && err == nil, err
}

func checkSize(c *checker, call *call) {
	if len(call.tags) == 0 {
		c.errorf(call.pos, "size needs :over or :under")
	}
}

// evalSize: a message of exactly the size is neither over nor under it
// (RFC 5228 §5.9).
func evalSize(r *run, c *call) (bool, error) {
	n := r.env.Message.Size()
	if c.has("over") {
		return n > c.args[0].num, nil
	}
	return n < c.args[0].num, nil
}

func evalExists(r *run, c *call) (bool, error) {
	names, err := r.expandAll(c.args[0])
	if err != nil {
		return false, err
	}
	for _, n := range names {
		if v, err := r.raw(strings.ToLower(n)); len(v) == 0 || err != nil {
			return false, err
		}
	}
	return true, nil
}

// indexTags choose one of several fields (RFC 5260 §6).
func indexTags() []tagSpec {
	return []tagSpec{{name: "index", value: number, require: "index"}, {name: "last"}}
}

func checkIndex(c *checker, call *call) {
	v := call.tags["index"]
	switch {
	case !v.present && call.has("last"):
		c.errorf(call.tags["last"].pos, ":last needs :index")
	case v.present && v.num < 1:
		c.errorf(v.pos, ":index counts from 1")
	}
}

// indexRange returns which of n fields a test looks at.
func indexRange(c *call, n int) (first, end int) {
	v := c.tags["index"]
	switch {
	case !v.present:
		return 0, n
	case v.num > int64(n):
		return 0, 0
	case c.has("last"):
		first = n - int(v.num)
	default:
		first = int(v.num) - 1
	}
	return first, first + 1
}

func checkHeader(c *checker, call *call) {
	checkIndex(c, call)
	c.matching(call)
}

func evalHeader(r *run, c *call) (bool, error) {
	names, err := r.expandAll(c.args[0])
	if err != nil {
		return false, err
	}
	var all []string
	for _, n := range names {
		values, err := r.values(n)
		if err != nil {
			return false, err
		}
		first, end := indexRange(c, len(values))
		if err := r.spend(listed * (end - first)); err != nil {
			return false, err
		}
		all = append(all, values[first:end]...)
	}
	return r.matchAny(c.match, all, c.args[1], true)
}

// listed is what a value costs that a test puts on its list: one field can be named
// very often, and the list takes memory.
const listed = 4

// evalString compares strings of the script itself; of :count those that are not
// empty count (RFC 5229 §5).
func evalString(r *run, c *call) (bool, error) {
	list, err := r.expandAll(c.args[0])
	if err != nil {
		return false, err
	}
	if c.match.kind == "count" {
		n := 0
		for _, s := range list {
			if s != "" {
				list[n] = s
				n++
			}
		}
		list = list[:n]
	}
	return r.matchAny(c.match, list, c.args[1], true)
}

func checkHasFlag(c *checker, call *call) {
	checkFlags(c, call)
	c.matching(call)
}

func evalMailboxExists(r *run, c *call) (bool, error) {
	names, err := r.expandAll(c.args[0])
	if err != nil || r.env.FolderExists == nil {
		return err == nil, err
	}
	for _, n := range names {
		if ok, err := r.env.FolderExists(n); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// partTags choose a part of an address (RFC 5228 §2.7.4, RFC 5233 §4).
func partTags() []tagSpec {
	return []tagSpec{
		{name: "all", group: "part"}, {name: "localpart", group: "part"}, {name: "domain", group: "part"},
		{name: "user", group: "part", require: "subaddress"}, {name: "detail", group: "part", require: "subaddress"},
	}
}

// address is one address of a header or the envelope; null for no sender.
type address struct{ local, domain string }

// newAddress takes the quotes off a local part, and writes an IP address as it
// stands in mails.
func newAddress(a container.Address) address {
	return address{unquote(a.Local), container.LiteralDomain(a.Domain)}
}

// unquote returns what a local part stands for (RFC 5321 §4.1.2).
func unquote(local string) string {
	n := len(local)
	if n < 2 || local[0] != '"' || local[n-1] != '"' {
		return local
	}
	local = local[1 : n-1]
	if strings.IndexByte(local, '\\') < 0 {
		return local
	}
	var b strings.Builder
	for i := 0; i < len(local); i++ {
		if local[i] == '\\' && i+1 < len(local) {
			i++
		}
		b.WriteByte(local[i])
	}
	return b.String()
}

// part returns what the tags of c choose; ok is false when there is none.
func (a address) part(c *call) (s string, ok bool) {
	user, detail, found := strings.Cut(a.local, "+")
	switch {
	case c.has("detail"):
		return detail, found
	case c.has("user"):
		return user, true
	case c.has("localpart"):
		return a.local, true
	case c.has("domain"):
		return a.domain, true
	case a == address{}:
		return "", true
	}
	return a.local + "@" + a.domain, true
}

// addressField reports whether fields of this name have addresses, which are all
// that address may look at (RFC 5228 §5.1).
func addressField(name string) bool {
	name = strings.ToLower(name)
	switch strings.TrimPrefix(name, "resent-") {
	case "from", "sender", "to", "cc", "bcc", "reply-to":
		return true
	}
	switch name {
	case "return-path", "delivered-to", "envelope-to", "mail-followup-to", "mail-reply-to", "disposition-notification-to",
		"errors-to", "apparently-to", "approved", "for-approval", "for-handling", "for-comment", "return-receipt-to":
		return true
	}
	return strings.HasPrefix(name, "x-") || strings.HasPrefix(name, "list-")
}

func checkAddress(c *checker, call *call) {
	for _, t := range call.args[0].list {
		if t.constant() && !addressField(t.text) {
			c.errorf(t.pos, "header field %q has no addresses", shorten(t.text))
		}
	}
	checkIndex(c, call)
	c.matching(call)
}

func evalAddress(r *run, c *call) (bool, error) {
	names, err := r.expandAll(c.args[0])
	if err != nil {
		return false, err
	}
	var all []address
	for _, n := range names {
		if !addressField(n) {
			continue
		}
		list, err := r.addressesOf(n, c)
		if err != nil {
			return false, err
		}
		if err := r.spend(listed * len(list)); err != nil {
			return false, err
		}
		all = append(all, list...)
	}
	return r.matchAddresses(c, all)
}

// addressesOf returns the addresses in the fields called name that :index chooses.
func (r *run) addressesOf(name string, c *call) ([]address, error) {
	name = strings.ToLower(name)
	if list, ok := r.addresses[name]; ok && !c.has("index") {
		return list, nil
	}
	values, err := r.raw(name)
	if err != nil {
		return nil, err
	}
	first, end := indexRange(c, len(values))
	var list []address
	for _, v := range values[first:end] {
		if err := r.spend(8 * len(v)); err != nil {
			return nil, err
		}
		if v == "<>" { // of Return-Path: the null sender, as in the envelope
			list = append(list, address{})
			continue
		}
		boxes, _ := mime.ParseAddresses(v)
		for _, b := range boxes {
			list = append(list, newAddress(b.Address))
		}
	}
	if !c.has("index") {
		if r.addresses == nil {
			r.addresses = map[string][]address{}
		}
		r.addresses[name] = list
	}
	return list, nil
}

func (r *run) matchAddresses(c *call, all []address) (bool, error) {
	if err := r.spend(16 * len(all)); err != nil {
		return false, err
	}
	var list []string
	for _, a := range all {
		if s, ok := a.part(c); ok {
			list = append(list, s)
		}
	}
	return r.matchAny(c.match, list, c.args[1], true)
}

func checkEnvelope(c *checker, call *call) {
	for _, t := range call.args[0].list {
		switch strings.ToLower(t.text) {
		case "from", "to", "auth":
		default:
			if t.constant() {
				c.errorf(t.pos, "envelope part %q is not known, only from, to and auth", shorten(t.text))
			}
		}
	}
	c.matching(call)
}

// evalEnvelope: the null sender is an empty string, whatever part is asked for
// (RFC 5228 §5.4); it has no detail.
func evalEnvelope(r *run, c *call) (bool, error) {
	names, err := r.expandAll(c.args[0])
	if err != nil {
		return false, err
	}
	var all []address
	for _, n := range names {
		switch strings.ToLower(n) {
		case "from":
			all = append(all, newAddress(r.env.From))
		case "to":
			all = append(all, newAddress(r.env.To))
		case "auth":
			if r.env.Auth == "" {
				continue
			}
			if local, domain, ok := strings.Cut(r.env.Auth, "@"); ok {
				all = append(all, address{local, domain})
				continue
			}
			ok, err := r.matchAny(c.match, []string{r.env.Auth}, c.args[1], true)
			if ok || err != nil {
				return ok, err
			}
		}
	}
	return r.matchAddresses(c, all)
}
