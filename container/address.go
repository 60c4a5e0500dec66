package container

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Address is a mail address of the envelope. The zero Address is the null
// reverse-path <>. Local keeps the spelling and quotes it was written with;
// Domain is in lower case and, for an address literal, without brackets.
type Address struct {
	Local, Domain string
}

// IsNull reports whether a is the null reverse-path.
func (a Address) IsNull() bool { return a.Local == "" && a.Domain == "" }

// String returns local@domain, the form in which James stores and shows
// addresses; "" for the null reverse-path.
func (a Address) String() string {
	if a.IsNull() {
		return ""
	}
	return a.Local + "@" + a.Domain
}

// Path returns the address as it stands between MAIL FROM:< and >, with the
// brackets of an address literal restored (RFC 5321 §4.1.3).
func (a Address) Path() string {
	if a.IsNull() {
		return ""
	}
	return a.Local + "@" + LiteralDomain(a.Domain)
}

// LiteralDomain returns domain with brackets and the IPv6 tag when it is an IP
// address, and as it is otherwise.
func LiteralDomain(domain string) string {
	ip, err := netip.ParseAddr(domain)
	switch {
	case err != nil:
		return domain
	case ip.Is4():
		return "[" + domain + "]"
	default:
		return "[IPv6:" + domain + "]"
	}
}

// Pretty returns <local@domain>, or <> for the null reverse-path.
func (a Address) Pretty() string { return "<" + a.String() + ">" }

// Equal compares ignoring case on both sides of the @, as James does.
func (a Address) Equal(b Address) bool {
	return strings.EqualFold(a.Domain, b.Domain) && strings.EqualFold(a.Local, b.Local)
}

// Key returns a form that is the same for all addresses Equal to a, for maps.
func (a Address) Key() string { return strings.ToLower(a.Local) + "@" + a.Domain }

// IsASCII reports whether the address can travel without SMTPUTF8 (RFC 6531).
func (a Address) IsASCII() bool { return isASCII(a.Local) && isASCII(a.Domain) }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// MustAddress parses s and panics when it is no address; for constants.
func MustAddress(s string) Address {
	a, err := ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

// ParseAddress reads local@domain: a dot-atom or quoted local part (RFC 5321
// §4.1.2, UTF-8 as in RFC 6531) and a domain or address literal. Surrounding
// blanks and angle brackets are not accepted; "" is an error. Source routes
// are not part of an address: the SMTP server strips or refuses them.
func ParseAddress(s string) (Address, error) {
	if len(s) > maxAddress {
		return Address{}, fmt.Errorf("address of %d octets is longer than %d", len(s), maxAddress)
	}
	n, err := scanLocal(s)
	if err != nil {
		return Address{}, err
	}
	if n == len(s) || s[n] != '@' {
		return Address{}, fmt.Errorf("no @ after the local part in %q", s)
	}
	dom, err := ParseDomain(s[n+1:])
	if err != nil {
		return Address{}, err
	}
	return Address{Local: s[:n], Domain: dom}, nil
}

// maxAddress bounds an address; RFC 5321 §4.5.3.1.3 asks for 256 octets, the
// DSN parameters for 500 (RFC 3461 §5.4).
const maxAddress = 512

// scanLocal returns the length of the local part at the start of s.
func scanLocal(s string) (int, error) {
	if s == "" {
		return 0, errors.New("empty address")
	}
	if s[0] == '"' {
		return scanQuoted(s)
	}
	i := 0
	for ; i < len(s) && s[i] != '@'; i++ {
		c := s[i]
		switch {
		case c >= 0x80, isAtext(c):
		case c == '.' && i > 0 && s[i-1] != '.':
		default:
			return 0, fmt.Errorf("character %q at position %d is not allowed in the local part of %q", c, i+1, s)
		}
	}
	if i == 0 || s[i-1] == '.' {
		return 0, fmt.Errorf("bad local part in %q", s)
	}
	return i, validUTF8(s[:i])
}

// scanQuoted returns the length of the quoted string at the start of s.
func scanQuoted(s string) (int, error) {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1, validUTF8(s[:i])
		case c == '\\' && i+1 < len(s) && s[i+1] >= ' ' && s[i+1] < 0x7f:
			i++
		case c < ' ' || c == 0x7f || c == '\\':
			return 0, fmt.Errorf("bad quoted local part in %q", s)
		}
	}
	return 0, fmt.Errorf("quoted local part of %q does not end", s)
}

func validUTF8(s string) error {
	if strings.ToValidUTF8(s, "") != s {
		return fmt.Errorf("%q is not UTF-8", s)
	}
	return nil
}

func isAtext(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// ParseDomain reads a domain or an address literal and returns it as Address
// keeps it: lower case, no brackets. Rules as in James's Domain, with UTF-8
// labels allowed (RFC 6531).
func ParseDomain(s string) (string, error) {
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		lit := s[1 : len(s)-1]
		if len(lit) > 5 && strings.EqualFold(lit[:5], "IPv6:") {
			lit = lit[5:]
		}
		s = lit
		if ip, err := netip.ParseAddr(s); err != nil || ip.Zone() != "" {
			return "", fmt.Errorf("[%s] is not an address literal", s)
		}
	}
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		return ip.String(), nil
	}
	if s == "" {
		return "", errors.New("empty domain")
	}
	if len(s) > 253 {
		return "", errors.New("Domain name length should not exceed 253 characters") //lint:ignore ST1005 James's text, shown by webadmin
	}
	if err := validUTF8(s); err != nil {
		return "", err
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if err := checkLabel(l); err != nil {
			return "", fmt.Errorf("domain %q: %w", s, err)
		}
	}
	if c := labels[len(labels)-1][0]; '0' <= c && c <= '9' {
		return "", fmt.Errorf("domain %q: the last label must not start with a digit", s)
	}
	return strings.ToLower(s), nil
}

func checkLabel(l string) error {
	if l == "" || len(l) > 63 {
		return errors.New("labels have 1 to 63 characters")
	}
	for i := range len(l) {
		c := l[i]
		if c < 0x80 && c != '-' && c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') {
			return fmt.Errorf("character %q is not allowed", c)
		}
	}
	if strings.ContainsAny(l[:1]+l[len(l)-1:], "-_") {
		return errors.New("labels do not start or end with - or _")
	}
	return nil
}

// ContainsAddress reports whether list has an address Equal to a.
func ContainsAddress(list []Address, a Address) bool {
	for _, b := range list {
		if a.Equal(b) {
			return true
		}
	}
	return false
}

// AddressStrings returns the text forms of list.
func AddressStrings(list []Address) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.String()
	}
	return out
}
