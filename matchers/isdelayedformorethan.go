package matchers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// IsDelayedForMoreThan matches messages that were written longer ago than a
// time, by their Date field. A message without a Date that can be read is an
// error.
//
//	<mailet match="org.apache.james.examples.custom.mailets.IsDelayedForMoreThan=1 day" class="Null"/>
//
// Condition: a number and a unit, such as 30 minutes or 1 day; without a unit it
// is hours.
//
// Differs from James: the short name IsDelayedForMoreThan is known too.
type IsDelayedForMoreThan struct {
	limit time.Duration
	now   func() time.Time
}

func newIsDelayedForMoreThan(condition string) (container.Matcher, error) {
	d, err := conf.ParseDuration(condition, time.Hour)
	if err != nil {
		return nil, err
	}
	return &IsDelayedForMoreThan{d, time.Now}, nil
}

// Match returns all recipients when the message is older.
func (i *IsDelayedForMoreThan) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	v, ok := mime.Get(m.Message.Header(), "Date")
	if !ok {
		return nil, errors.New("message has no Date field")
	}
	date, err := mime.ParseDate(v)
	if err != nil {
		return nil, fmt.Errorf("read Date field: %w", err)
	}
	return container.All(m, i.now().Sub(date) > i.limit), nil
}
