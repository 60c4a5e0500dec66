package matchers

import (
	"context"
	"errors"
	"strings"

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
// error.
type RecipientIsRegex struct{ pattern *javaregex.Pattern }

func newRecipientIsRegex(condition string) (container.Matcher, error) {
	p, err := pattern(condition)
	if err != nil {
		return nil, err
	}
	return &RecipientIsRegex{p}, nil
}

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
	for _, a := range m.Recipients {
		ok, err := r.pattern.Match(a.String())
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, a)
		}
	}
	return out, nil
}
