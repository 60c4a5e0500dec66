package matchers

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/javaregex"
)

// RecipientIsRegex matches the recipients whose whole address, local@domain, a
// regular expression covers. The domain is in lower case.
//
//	<mailet match="RecipientIsRegex=(.*)@log\.(.*)" class="Null"/>
//
// Condition: a regular expression in Java's syntax; blanks around it do not
// count.
//
// Differs from James: a match that takes longer than 200 milliseconds is an
// error, and so is when those for all recipients take longer than 2 seconds.
type RecipientIsRegex struct{ pattern *javaregex.Pattern }

func newRecipientIsRegex(condition string) (container.Matcher, error) {
	p, err := pattern(condition)
	if err != nil {
		return nil, err
	}
	return &RecipientIsRegex{p}, nil
}

// matchTime bounds the matches for one mail together: whoever sends it chooses
// how many recipients and fields there are to match.
const matchTime = 2 * time.Second

// pattern reads a condition that is one regular expression.
func pattern(condition string) (*javaregex.Pattern, error) {
	condition = strings.TrimSpace(condition)
	if condition == "" {
		return nil, errors.New("want a regular expression")
	}
	return javaregex.Compile(condition)
}

// Match returns the recipients that the expression covers.
func (r *RecipientIsRegex) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	var out []container.Address
	deadline := time.Now().Add(matchTime)
	for _, a := range m.Recipients {
		ok, err := r.pattern.MatchBy(a.String(), deadline)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, a)
		}
	}
	return out, nil
}
