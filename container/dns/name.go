package dns

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// canonical returns name as it is asked for and kept: A-labels, lower case,
// with the final dot. Only letters, digits, "-" and "_" are allowed in labels:
// nothing that arrives in mail may put other octets into a query or, on the way
// back, into a log.
func canonical(name string) (string, error) {
	n := strings.TrimSuffix(name, ".")
	if !isASCII(n) {
		a, err := idna.Lookup.ToASCII(n)
		if err != nil {
			return "", fmt.Errorf("name %q: %v: %w", name, err, ErrNotFound)
		}
		n = a
	}
	if !validName(n) {
		return "", fmt.Errorf("%q is no name that can be looked up: %w", name, ErrNotFound)
	}
	return strings.ToLower(n) + ".", nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// validName reports whether n, without the final dot, consists of labels of
// 1 to 63 letters, digits, "-" and "_", 253 octets at most.
func validName(n string) bool {
	if n == "" || len(n) > 253 {
		return false
	}
	label := 0
	for i := range len(n) {
		c := n[i]
		switch {
		case c == '.':
			if label == 0 {
				return false
			}
			label = 0
			continue
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
		if label++; label > 63 {
			return false
		}
	}
	return label > 0
}

// literal returns the address that name is, with or without the brackets of an
// address literal.
func literal(name string) (netip.Addr, bool) {
	s := name
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s = s[1 : len(s)-1]
		if len(s) > 5 && strings.EqualFold(s[:5], "IPv6:") {
			s = s[5:]
		}
	}
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.Zone() != "" {
		return netip.Addr{}, false
	}
	return ip.Unmap(), true
}

// isLocalhost reports whether the canonical name is localhost or below it,
// which is this machine whatever a server says (RFC 6761 §6.3).
func isLocalhost(name string) bool {
	return name == "localhost." || strings.HasSuffix(name, ".localhost.")
}
