package server

import (
	"net/netip"
	"strings"
)

// validHelo reports whether name can stand behind HELO: an IP address, with or
// without brackets, or a host name. Behind EHLO a little more is accepted, as
// real clients ask for it.
//
// Source: HeloCmdHandler, EhloCmdHandler (James).
func validHelo(name string, extended bool) bool {
	literal := name
	if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
		literal = name[1 : len(name)-1]
	}
	if extended && len(literal) > 5 && strings.EqualFold(literal[:5], "IPv6:") {
		literal = literal[5:]
		if ip, err := netip.ParseAddr(literal); err != nil || ip.Zone() != "" {
			return false
		}
		return true
	}
	if ip, err := netip.ParseAddr(literal); err == nil {
		return ip.Zone() == ""
	}
	return literal == name && validHostName(name, extended)
}

// validHostName follows the rules of Guava's InternetDomainName: labels of
// letters, digits, - and _, which begin and end with a letter or digit; with
// digits at the start of the last label only behind EHLO.
func validHostName(name string, extended bool) bool {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	if len(name) > 253 || len(labels) > 127 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || !isAlnum(l[0]) || !isAlnum(l[len(l)-1]) {
			return false
		}
		for i := range len(l) {
			if !isAlnum(l[i]) && l[i] != '-' && l[i] != '_' {
				return false
			}
		}
	}
	first := labels[len(labels)-1][0]
	return extended || first < '0' || first > '9'
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
