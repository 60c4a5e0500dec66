package remote

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/mailetd/mailetd/container"
)

// envelope is a mail as MAIL and RCPT see it.
type envelope struct {
	mail       *container.Mail
	asked      container.RecipientLookup // by the sender, for each recipient
	requireTLS bool
	priority   string // MT-PRIORITY value, "" for none
	by         deliverBy

	scanned, eightBit bool // whether the content was looked at, and has 8-bit octets
	utf8Header        bool // the header has them, and the sender said SMTPUTF8
}

func newEnvelope(m *container.Mail) *envelope {
	e := &envelope{mail: m, asked: m.Attributes.Lookup(), by: readDeliverBy(m)}
	e.requireTLS, _ = m.Attributes.Bool(container.AttrRequireTLS)
	if n, ok := m.Attributes.Int(container.AttrPriority); ok && n >= -9 && n <= 9 {
		e.priority = strconv.Itoa(n)
	}
	if on, _ := m.Attributes.Bool(container.AttrSMTPUTF8); on {
		e.utf8Header = hasEightBit(m.Message.Header())
	}
	return e
}

// hasEightBit reports whether b has octets above 127; eight at a time, so that
// it costs next to nothing.
func hasEightBit(b []byte) bool {
	const high = 0x8080808080808080
	for len(b) >= 8 {
		if (uint64(b[0])|uint64(b[1])<<8|uint64(b[2])<<16|uint64(b[3])<<24|
			uint64(b[4])<<32|uint64(b[5])<<40|uint64(b[6])<<48|uint64(b[7])<<56)&high != 0 {
			return true
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

// errFound ends a scan.
var errFound = errors.New("found")

// eightBitScan is a writer that stops at the first 8-bit octet.
type eightBitScan struct{}

func (eightBitScan) Write(p []byte) (int, error) {
	if hasEightBit(p) {
		return 0, errFound
	}
	return len(p), nil
}

// needsEightBit reports whether the content has 8-bit octets. The mail may say
// so itself; if not, the content is read once.
func (e *envelope) needsEightBit() (bool, error) {
	if e.scanned {
		return e.eightBit, nil
	}
	if body, _ := e.mail.Attributes.String(container.AttrBodyType); body == "8BITMIME" || body == "BINARYMIME" {
		e.scanned, e.eightBit = true, true
		return true, nil
	}
	e.eightBit = hasEightBit(e.mail.Message.Header())
	if !e.eightBit {
		r, err := e.mail.Message.Body().Open()
		if err != nil {
			return false, fmt.Errorf("%w: %w", errMessage, err)
		}
		err = copyBody(eightBitScan{}, r)
		r.Close()
		if err != nil && !errors.Is(err, errFound) {
			return false, fmt.Errorf("%w: %w", errMessage, err)
		}
		e.eightBit = err != nil
	}
	e.scanned = true
	return e.eightBit, nil
}

// mailLine returns the MAIL command for a host with the given extensions, or why
// the mail must not or cannot go there. Octets above 127 in the content go
// through a host without 8BITMIME unchanged: converting them would break
// signatures, and such hosts are said to be gone (RFC 6152 asks to convert or
// refuse).
func (e *envelope) mailLine(b []byte, x *extensions) ([]byte, error) {
	m := e.mail
	size := m.Message.Size()
	if x.maxSize > 0 && size > x.maxSize {
		return nil, &cause{status: "5.3.4", permanent: true, text: fmt.Sprintf("message of %d octets is larger than the %d that the remote host takes", size, x.maxSize)}
	}
	if e.requireTLS && !x.requireTLS {
		// RFC 8689 §4.2.1
		return nil, &cause{status: "5.7.30", permanent: true, next: true, text: "REQUIRETLS: the remote host does not support it"}
	}
	path, needUTF8, err := asciiPath(m.Sender, x)
	if err != nil {
		return nil, err
	}
	if e.utf8Header && !x.utf8 {
		return nil, &cause{status: "5.6.7", permanent: true, next: true, text: "the message needs SMTPUTF8, which the remote host does not offer"}
	}
	b = append(append(append(b, "MAIL FROM:<"...), path...), '>')
	if x.size {
		b = strconv.AppendInt(append(b, " SIZE="...), size, 10)
	}
	if x.eightBit {
		eight, err := e.needsEightBit()
		if err != nil {
			return nil, err
		}
		if eight {
			b = append(b, " BODY=8BITMIME"...)
		}
	}
	if x.utf8 && (needUTF8 || e.utf8Header || e.utf8Recipients()) {
		b = append(b, " SMTPUTF8"...)
	}
	if x.dsn {
		b = e.appendMailDSN(b)
	}
	if x.priority && e.priority != "" {
		b = append(append(b, " MT-PRIORITY="...), e.priority...)
	}
	if e.requireTLS {
		b = append(b, " REQUIRETLS"...)
	}
	if b, err = e.by.append(b, x, time.Now()); err != nil {
		return nil, err
	}
	return append(b, '\r', '\n'), nil
}

func (e *envelope) utf8Recipients() bool {
	for _, r := range e.mail.Recipients {
		if !r.IsASCII() {
			return true
		}
	}
	return false
}

// asciiPath returns an address as it stands between < and >. A host without
// SMTPUTF8 gets the domain as A-labels; with a local part that is not ASCII the
// address cannot be sent there (RFC 6531 §3.2).
//
// Mailets put addresses together, too: what is none must not become part of a
// command.
func asciiPath(a container.Address, x *extensions) (path string, needUTF8 bool, err error) {
	if a.IsNull() {
		return "", false, nil
	}
	path = a.Path()
	if _, err := container.ParseAddress(path); err != nil {
		return "", false, &cause{status: "5.1.3", permanent: true, text: "not an address", err: err}
	}
	if a.IsASCII() {
		return path, false, nil
	}
	if x.utf8 {
		return path, true, nil
	}
	domain, err := idna.Lookup.ToASCII(a.Domain)
	if a.Domain = domain; err != nil || !a.IsASCII() {
		return "", true, &cause{status: "5.6.7", permanent: true, next: true, text: "the address needs SMTPUTF8, which the remote host does not offer"}
	}
	return a.Path(), false, nil
}

// appendMailDSN adds RET and ENVID as they were received (RFC 3461 §5.2.1). An
// attribute that is no such value, set by who knows whom, is left out.
func (e *envelope) appendMailDSN(b []byte) []byte {
	attrs := e.mail.Attributes
	if ret, _ := attrs.String(container.AttrDSNRet); strings.EqualFold(ret, "FULL") || strings.EqualFold(ret, "HDRS") {
		b = append(append(b, " RET="...), ret...)
	}
	if id, _ := attrs.String(container.AttrDSNEnvID); id != "" && len(id) <= maxEnvID && isXtext(id) {
		b = append(append(b, " ENVID="...), id...)
	}
	return b
}

// Bounds of parameters that are passed on: RFC 3461 §5.4 allows less, and our
// server does not take more.
const (
	maxEnvID = 512
	maxOrcpt = 1024
)

// rcptLine returns the RCPT command for one recipient.
func (e *envelope) rcptLine(b []byte, rcpt container.Address, x *extensions) ([]byte, error) {
	path, _, err := asciiPath(rcpt, x)
	if err != nil {
		return nil, err
	}
	b = append(append(append(b, "RCPT TO:<"...), path...), '>')
	if x.dsn {
		if n, _ := e.asked.RecipientString(container.AttrDSNNotify, rcpt); isNotify(n) {
			b = append(append(b, " NOTIFY="...), n...)
		}
		if o := e.orcpt(rcpt, x); o != "" {
			b = append(append(b, " ORCPT="...), o...)
		}
	}
	return append(b, '\r', '\n'), nil
}

// orcpt returns the ORCPT value with which the recipient came, letter for
// letter; "" for none. It is never made up: the address we have may be the
// result of rewriting.
func (e *envelope) orcpt(rcpt container.Address, x *extensions) string {
	addr, _ := e.asked.RecipientString(container.AttrDSNOrcpt, rcpt)
	if addr == "" || len(addr) > maxOrcpt {
		return ""
	}
	typ, ok := e.asked.RecipientString(container.AttrDSNOrcptType, rcpt)
	if !ok {
		typ = "rfc822"
	}
	if !isAtom(typ) {
		return ""
	}
	if strings.EqualFold(typ, "utf-8") {
		addr, ok = unitext(addr, x.utf8)
	} else {
		ok = isXtext(addr)
	}
	if !ok {
		return ""
	}
	return typ + ";" + addr
}

// unitext checks an address of type utf-8 and returns it in a form the host can
// take: without SMTPUTF8 characters above 127 become \x{HEX} (RFC 6533 §3).
func unitext(s string, raw bool) (string, bool) {
	if !utf8.ValidString(s) {
		return "", false
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r <= ' ' || r == 0x7f:
			return "", false
		case r > 0x7f && !raw:
			fmt.Fprintf(&b, `\x{%X}`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), true
}

// isXtext reports whether s is well-formed xtext (RFC 3461 §4).
func isXtext(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 33 || c > 126 || c == '=' {
			return false
		}
		if c == '+' {
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
			i += 2
		}
	}
	return true
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

func isAtom(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
			continue
		}
		return false
	}
	return s != ""
}

// isNotify reports whether s is NEVER or a list of the other words.
func isNotify(s string) bool {
	if strings.EqualFold(s, "NEVER") {
		return true
	}
	for _, w := range strings.Split(s, ",") {
		switch strings.ToUpper(w) {
		case "SUCCESS", "FAILURE", "DELAY":
		default:
			return false
		}
	}
	return true
}
