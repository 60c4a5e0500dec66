package mime

import (
	"crypto/rand"
	stdmime "mime"
	netmail "net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"

	"github.com/mailetd/mailetd/container"
)

// Text returns the value of the first field called name with encoded words
// decoded, and whether there is one.
func Text(header []byte, name string) (string, bool) {
	v, ok := Get(header, name)
	if !ok {
		return "", false
	}
	return DecodeText(v), true
}

// DecodeText decodes the encoded words of a header value (RFC 2047). Words in an
// unknown charset stay as they are; octets that are not UTF-8 are taken for
// ISO 8859-1.
func DecodeText(v string) string {
	if !utf8.ValidString(v) {
		v = latin1(v)
	}
	if !strings.Contains(v, "=?") {
		return v
	}
	d := stdmime.WordDecoder{CharsetReader: charset.Reader}
	out, err := d.DecodeHeader(v)
	if err != nil {
		return v
	}
	return out
}

func latin1(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

// EncodeText makes a text ASCII by turning each run of words that are not into
// encoded words (RFC 2047 §5).
func EncodeText(v string) string { return encodeWords(v, func(w string) bool { return !IsASCII(w) }) }

// encodeValue is EncodeText for a field of any name. Except in fields of free
// text a word with an @ is an address and stays: such a message needs SMTPUTF8
// (RFC 6531).
func encodeValue(name, v string) string {
	if IsASCII(v) {
		return v
	}
	for _, free := range []string{"Subject", "Comments", "Keywords", "Content-Description"} {
		if strings.EqualFold(name, free) {
			return EncodeText(v)
		}
	}
	return encodeWords(v, func(w string) bool { return !IsASCII(w) && !strings.Contains(w, "@") })
}

func encodeWords(v string, needs func(string) bool) string {
	if IsASCII(v) {
		return v
	}
	words := strings.Split(v, " ")
	var out []string
	for i := 0; i < len(words); {
		if !needs(words[i]) {
			out = append(out, words[i])
			i++
			continue
		}
		j := i + 1
		for k := j; k < len(words) && (words[k] == "" || needs(words[k])); k++ {
			if words[k] != "" {
				j = k + 1
			}
		}
		out = append(out, stdmime.QEncoding.Encode("utf-8", strings.Join(words[i:j], " ")))
		i = j
	}
	return strings.Join(out, " ")
}

// IsASCII reports whether all octets of s are ASCII.
func IsASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// FormatAddress returns a mailbox for a header: the bare address, or a display
// name, quoted or encoded as needed, with the address in angle brackets
// (RFC 5322 §3.4).
func FormatAddress(name string, a container.Address) string {
	if name = Clean(name); name == "" {
		return a.Path()
	}
	switch {
	case !IsASCII(name):
		name = stdmime.QEncoding.Encode("utf-8", name)
	case strings.ContainsAny(name, `()<>[]:;@\,."`) || strings.Contains(name, "=?"):
		name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return name + " <" + a.Path() + ">"
}

// Mailbox is one address of an address header with its decoded display name.
type Mailbox struct {
	Name    string
	Address container.Address
}

// ParseAddresses reads the value of an address field. Groups are flattened. What
// cannot be read is left out; ok is false when anything was.
func ParseAddresses(value string) (boxes []Mailbox, ok bool) {
	p := netmail.AddressParser{WordDecoder: &stdmime.WordDecoder{CharsetReader: charset.Reader}}
	list, err := p.ParseList(value)
	if err == nil {
		return mailboxes(list)
	}
	// One bad address must not hide the others.
	for _, part := range splitAddresses(value) {
		a, err := p.Parse(part)
		if err != nil && strings.Contains(part, "(") {
			// net/mail knows comments behind an address only.
			a, err = p.Parse(withoutComments(part))
		}
		if err == nil {
			more, _ := mailboxes([]*netmail.Address{a})
			boxes = append(boxes, more...)
		}
	}
	return boxes, false
}

func mailboxes(list []*netmail.Address) (boxes []Mailbox, ok bool) {
	ok = true
	for _, n := range list {
		a, err := container.ParseAddress(quoteLocal(n.Address))
		if err != nil {
			ok = false
			continue
		}
		boxes = append(boxes, Mailbox{n.Name, a})
	}
	return boxes, ok
}

// quoteLocal puts back the quotes that net/mail takes off a local part.
func quoteLocal(addr string) string {
	at := strings.LastIndexByte(addr, '@')
	if at < 0 {
		return addr
	}
	if _, err := container.ParseAddress(addr); err == nil {
		return addr
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(addr[:at]) + `"` + addr[at:]
}

// splitAddresses cuts a list at its commas, not at those in quotes, comments
// or angle brackets.
func splitAddresses(v string) []string {
	var out []string
	start, depth, quoted := 0, 0, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '<':
			depth++
		case (c == ')' || c == '>') && depth > 0:
			depth--
		case c == ',' && depth == 0:
			out = append(out, v[start:i])
			start = i + 1
		}
	}
	return append(out, v[start:])
}

// withoutComments puts a blank in the place of each comment (RFC 5322 §3.2.2).
func withoutComments(v string) string {
	var b strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(v); i++ {
		from := i
		switch c := v[i]; {
		case c == '\\' && i+1 < len(v):
			i++
		case c == '"' && depth == 0:
			quoted = !quoted
		case c == '(' && !quoted:
			depth++
		case c == ')' && depth > 0:
			if depth--; depth == 0 {
				b.WriteByte(' ')
			}
			continue
		}
		if depth == 0 {
			b.WriteString(v[from : i+1])
		}
	}
	return b.String()
}

// Addresses returns the addresses of all fields called name.
func Addresses(header []byte, name string) []container.Address {
	var out []container.Address
	for _, v := range Values(header, name) {
		boxes, _ := ParseAddresses(v)
		for _, b := range boxes {
			out = append(out, b.Address)
		}
	}
	return out
}

// MessageID returns a new message identifier in angle brackets, unique without
// asking anyone (RFC 5322 §3.6.4). A host that
// cannot stand there becomes "localhost".
func MessageID(host string) string {
	if host = Clean(host); host == "" || !IsASCII(host) || strings.ContainsAny(host, "<>@ \t") {
		host = "localhost"
	}
	return "<" + rand.Text() + "@" + container.LiteralDomain(host) + ">"
}

// FormatDate returns t as a header shows it (RFC 5322 §3.3).
func FormatDate(t time.Time) string { return t.Format("Mon, 2 Jan 2006 15:04:05 -0700") }

// ParseDate reads the value of a Date field.
func ParseDate(v string) (time.Time, error) {
	t, err := netmail.ParseDate(v)
	if err != nil {
		return t, err
	}
	// Package time takes names of zones that it does not know for UTC.
	name, offset := t.Zone()
	if hours := obsoleteZone(name); hours != 0 && offset != hours*3600 {
		t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.FixedZone(name, hours*3600))
	}
	return t, nil
}

// obsoleteZone returns the hours from UTC of a zone of RFC 5322 §4.3 that has a
// name, 0 for others.
func obsoleteZone(name string) int {
	switch name {
	case "EDT":
		return -4
	case "EST", "CDT":
		return -5
	case "CST", "MDT":
		return -6
	case "MST", "PDT":
		return -7
	case "PST":
		return -8
	}
	return 0
}
