package dsn

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// EncodeXtext writes s as xtext (RFC 3461 §4): "+", "=" and whatever is not
// printable ASCII become "+" and two upper-case hexadecimal digits.
func EncodeXtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '+' && c != '=' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "+%02X", c)
		}
	}
	return b.String()
}

// DecodeXtext undoes EncodeXtext. Beside what is no xtext it refuses a text that
// decodes to anything but printable ASCII: ENVID and ORCPT must (RFC 3461 §4.2,
// §4.4), and a line break would forge fields in a report.
func DecodeXtext(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			if i+2 >= len(s) || !upperHex(s[i+1]) || !upperHex(s[i+2]) {
				return "", fmt.Errorf("xtext %q: + without two upper-case hexadecimal digits", s)
			}
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8) // two hexadecimal digits
			if n < ' ' || n >= 0x7f {
				return "", fmt.Errorf("xtext %q stands for a character that is not printable", s)
			}
			b.WriteByte(byte(n))
			i += 2
		case c <= ' ' || c >= 0x7f || c == '=':
			return "", fmt.Errorf("xtext %q has the character %q", s, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

func upperHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

// EncodeUnitext writes an address for the address type utf-8 (RFC 6533 §3): in
// ASCII only (utf-8-addr-xtext), or with UTF-8 as it is (utf-8-addr-unitext).
// Controls, the blank, "\", "+" and "=" become \x{HEX} in both.
func EncodeUnitext(addr string, ascii bool) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(addr, "?") {
		switch {
		case r <= ' ' || r == 0x7f || r == '\\' || r == '+' || r == '=' || r >= 0x80 && (ascii || r < 0xa0 || r == '\u2028' || r == '\u2029'):
			fmt.Fprintf(&b, `\x{%02X}`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// DecodeUnitext undoes EncodeUnitext in both forms. It refuses what stands for
// a control character.
func DecodeUnitext(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", errors.New("address is not UTF-8")
	}
	var b strings.Builder
	for rest := s; rest != ""; {
		before, after, found := strings.Cut(rest, `\`)
		b.WriteString(before)
		if !found {
			break
		}
		hex, tail, closed := strings.Cut(strings.TrimPrefix(after, "x{"), "}")
		n, err := strconv.ParseUint(hex, 16, 32)
		if !strings.HasPrefix(after, "x{") || !closed || err != nil || !utf8.ValidRune(rune(n)) {
			return "", fmt.Errorf(`address %q: \ without x{HEX}`, s)
		}
		b.WriteRune(rune(n))
		rest = tail
	}
	out := b.String()
	if strings.ContainsFunc(out, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
		return "", fmt.Errorf("address %q stands for a control character", s)
	}
	return out, nil
}
