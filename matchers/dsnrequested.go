package matchers

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// dsnRequested tests for one keyword of the NOTIFY parameter (RFC 3461 §4.1).
type dsnRequested struct {
	keyword   string
	byDefault bool // the answer for recipients without NOTIFY
}

// dsnCondition reads the condition of the three classes: empty, or the one word
// that turns the default around.
func dsnCondition(keyword, condition, word string, byDefault bool) (dsnRequested, error) {
	switch condition {
	case "":
		return dsnRequested{keyword, byDefault}, nil
	case word:
		return dsnRequested{keyword, !byDefault}, nil
	}
	return dsnRequested{}, fmt.Errorf("the condition can only be empty or %s", word)
}

// Match returns the recipients whose NOTIFY has the keyword. Stored data that
// cannot have come from a NOTIFY parameter is an error.
func (d *dsnRequested) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	stored, ok := m.Attributes.Map(container.AttrDSNNotify)
	if !ok || len(stored) == 0 {
		return container.All(m, d.byDefault), nil
	}
	wanted, err := d.read(stored)
	if err != nil {
		return nil, err
	}
	return container.Each(m, func(a container.Address) bool {
		if is, ok := wanted[a.Key()]; ok {
			return is
		}
		return d.byDefault
	}), nil
}

// read tells for each address with NOTIFY, by Address.Key, whether it has the
// keyword.
func (d *dsnRequested) read(stored map[string]container.Value) (map[string]bool, error) {
	wanted := make(map[string]bool, len(stored))
	for k, v := range stored {
		a, err := container.ParseAddress(k)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", container.AttrDSNNotify, err)
		}
		text, _ := v.(string)
		has, err := notifyHas(text, d.keyword)
		if err != nil {
			return nil, fmt.Errorf("attribute %s of %s: %w", container.AttrDSNNotify, k, err)
		}
		wanted[a.Key()] = has
	}
	return wanted, nil
}

// notifyHas reports whether a NOTIFY value has the keyword. NEVER stands alone
// (RFC 3461 §4.1).
func notifyHas(notify, keyword string) (bool, error) {
	has, count, never := false, 0, false
	for word := range strings.SplitSeq(notify, ",") {
		word = strings.TrimSpace(word)
		count++
		switch strings.ToUpper(word) {
		case "NEVER":
			never = true
		case "SUCCESS", "FAILURE", "DELAY":
			has = has || strings.EqualFold(word, keyword)
		default:
			return false, fmt.Errorf("%q is not a NOTIFY keyword", word)
		}
	}
	if never && count > 1 {
		return false, fmt.Errorf("NOTIFY=%s has NEVER beside other keywords", notify)
	}
	return has, nil
}
