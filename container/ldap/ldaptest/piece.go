package ldaptest

import (
	"fmt"
	"strconv"
	"strings"
)

// piece returns the values of an attribute and its name, which for a part of the
// values of member says which part it is: member;range=0-1, then
// member;range=2-*, as Active Directory does.
func (s *Server) piece(e Entry, wanted string) (name string, vals []string) {
	base, from, ranged := strings.Cut(wanted, ";range=")
	vals = values(e, base)
	if s.page == 0 || !strings.EqualFold(base, "member") {
		return wanted, vals
	}
	first := 0
	if ranged {
		text, _, _ := strings.Cut(from, "-")
		n, err := strconv.Atoi(text)
		if err != nil || n > len(vals) {
			return wanted, nil
		}
		first = n
	}
	if len(vals)-first <= s.page {
		if first == 0 {
			return wanted, vals
		}
		return fmt.Sprintf("%s;range=%d-*", base, first), vals[first:]
	}
	return fmt.Sprintf("%s;range=%d-%d", base, first, first+s.page-1), vals[first : first+s.page]
}
