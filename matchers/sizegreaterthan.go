package matchers

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// SizeGreaterThan matches messages that are larger than a size, header and body
// together.
//
//	<mailet match="SizeGreaterThan=10m" class="Bounce"/>
//
// Condition: a number of octets of at least 1; k behind it stands for 1024
// octets and m for 1024 times as many.
//
// Differs from James: sizes of 2048m and more are what they say, instead of an
// error or a smaller size.
type SizeGreaterThan struct{ size int64 }

func newSizeGreaterThan(condition string) (container.Matcher, error) {
	s := strings.ToLower(strings.TrimSpace(condition))
	unit := int64(1)
	if t, ok := strings.CutSuffix(s, "k"); ok {
		s, unit = t, 1<<10
	} else if t, ok := strings.CutSuffix(s, "m"); ok {
		s, unit = t, 1<<20
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/unit {
		return nil, fmt.Errorf("%q is not a size: want a number of at least 1, with k or m behind it or nothing", condition)
	}
	return &SizeGreaterThan{n * unit}, nil
}

// Match returns all recipients when the message is larger.
func (s *SizeGreaterThan) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.All(m, m.Message.Size() > s.size), nil
}
