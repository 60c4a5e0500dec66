package matchers

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// items splits a condition at commas, blanks and tabs.
func items(condition string) []string {
	return strings.FieldsFunc(condition, func(r rune) bool {
		return r == ',' || r == ' ' || r == '\t' || r == '\r' || r == '\n'
	})
}

// addresses reads a list of at least one address; <> is the null sender.
func addresses(condition string) (addressSet, error) {
	set := addressSet{}
	for _, s := range items(condition) {
		if s == "<>" {
			set[container.Address{}.Key()] = true
			continue
		}
		a, err := container.ParseAddress(s)
		if err != nil {
			return nil, err
		}
		set[a.Key()] = true
	}
	if len(set) == 0 {
		return nil, errors.New("want one or more addresses, separated by commas or blanks")
	}
	return set, nil
}

// addressSet is a set of Address.Key.
type addressSet map[string]bool

func (s addressSet) has(a container.Address) bool { return s[a.Key()] }

// domains reads a list of at least one domain.
func domains(condition string) (map[string]bool, error) {
	set := map[string]bool{}
	for _, s := range items(condition) {
		d, err := container.ParseDomain(s)
		if err != nil {
			return nil, err
		}
		set[d] = true
	}
	if len(set) == 0 {
		return nil, errors.New("want one or more domains, separated by commas or blanks")
	}
	return set, nil
}

// positive reads a whole number from 1 to 2147483647, as Java's parseInt does:
// no blanks around it.
func positive(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not a whole number of at least 1", s)
	}
	return int(n), nil
}
