package matchers

import (
	"context"
	"errors"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/javaregex"
)

// HasMailAttributeWithValueRegex matches mails in which a regular expression
// covers the whole value of an attribute, as text: a Boolean is true or false, a
// number is decimal.
//
//	<mailet match="HasMailAttributeWithValueRegex=delivery-error, .*(?i)quota.*" class="Null"/>
//
// Condition: the name of the attribute, a comma, and a regular expression in
// Java's syntax; blanks around both do not count.
//
// Differs from James: as RecipientIsRegex.
type HasMailAttributeWithValueRegex struct {
	name    string
	pattern *javaregex.Pattern
}

func newHasMailAttributeWithValueRegex(condition string) (container.Matcher, error) {
	name, expr, ok := strings.Cut(condition, ",")
	name = strings.TrimSpace(name)
	if !ok || name == "" {
		return nil, errors.New("want the name of an attribute, a comma and a regular expression")
	}
	p, err := javaregex.Compile(strings.TrimSpace(expr))
	if err != nil {
		return nil, err
	}
	return &HasMailAttributeWithValueRegex{name, p}, nil
}

// Match returns all recipients when the expression covers the value.
func (h *HasMailAttributeWithValueRegex) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	v, ok := m.Attributes[h.name]
	if !ok {
		return nil, nil
	}
	ok, err := h.pattern.Match(container.FormatValue(v))
	if err != nil {
		return nil, err
	}
	return container.All(m, ok), nil
}
