package matchers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// CompareNumericHeaderValue matches when the number in a header field compares
// as asked with another. Of several fields of the name the first counts; without
// any it does not match. A value that is no number is an error.
//
//	<mailet match="CompareNumericHeaderValue=X-MessageIsSpamProbability &gt; 0.9" class="Null"/>
//
// Condition: the name of a field, an operator and a number, separated by blanks.
// Operators are <, <=, ==, >= and >, in XML with &lt; for <, or the words LT, LE,
// EQ, GE and GT; =, =< and => are known too. Numbers are decimal, such as -1.5 or
// 1e3.
//
// Differs from James: nothing.
type CompareNumericHeaderValue struct {
	name   string
	holds  func(order int) bool
	number float64
}

func newCompareNumericHeaderValue(condition string) (container.Matcher, error) {
	f := strings.Fields(condition)
	if len(f) < 3 {
		return nil, errors.New("want the name of a header field, an operator and a number, separated by blanks")
	}
	holds := comparison(f[1])
	if holds == nil {
		return nil, fmt.Errorf("unknown operator %q: want one of < <= == >= >", f[1])
	}
	n, err := javaDouble(f[2])
	if err != nil {
		return nil, err
	}
	return &CompareNumericHeaderValue{f[0], holds, n}, nil
}

// comparison returns what an operator asks of the result of a comparison.
func comparison(operator string) func(order int) bool {
	switch operator {
	case "<", "LT":
		return func(o int) bool { return o < 0 }
	case "<=", "=<", "LE":
		return func(o int) bool { return o <= 0 }
	case "==", "=", "EQ":
		return func(o int) bool { return o == 0 }
	case ">=", "=>", "GE":
		return func(o int) bool { return o >= 0 }
	case ">", "GT":
		return func(o int) bool { return o > 0 }
	}
	return nil
}

// javaDouble reads a number as Java's Double.parseDouble does.
func javaDouble(s string) (float64, error) {
	t := strings.TrimSpace(s)
	switch strings.TrimLeft(t, "+-") {
	case "NaN", "Infinity":
	default:
		// 1.5f and 1.5d are numbers in Java; in a hexadecimal one the letters are
		// digits before the exponent.
		if n := len(t) - 1; n > 0 && strings.ContainsRune("dDfF", rune(t[n])) && (!strings.ContainsAny(t, "xX") || strings.ContainsAny(t, "pP")) {
			t = t[:n]
		}
		if strings.ContainsAny(t, "_iInN") {
			return 0, fmt.Errorf("%q is not a number", s)
		}
	}
	n, err := strconv.ParseFloat(t, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return n, nil
}

// compareDoubles orders numbers as Java's Double.compareTo does: NaN is the
// greatest, and -0 is less than 0.
func compareDoubles(a, b float64) int {
	switch {
	case math.IsNaN(a) || math.IsNaN(b):
		return cmp.Compare(rank(math.IsNaN(a)), rank(math.IsNaN(b)))
	case a == 0 && b == 0:
		return cmp.Compare(rank(math.Signbit(b)), rank(math.Signbit(a)))
	}
	return cmp.Compare(a, b)
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Match returns all recipients when the comparison holds.
func (c *CompareNumericHeaderValue) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	v, ok := mime.Get(m.Message.Header(), c.name)
	if !ok {
		return nil, nil
	}
	n, err := javaDouble(v)
	if err != nil {
		return nil, fmt.Errorf("bad header value found in message: %s: %w", c.name, err)
	}
	return container.All(m, c.holds(compareDoubles(n, c.number))), nil
}
