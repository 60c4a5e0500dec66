package mailets

import (
	"context"
	"errors"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Expires keeps the field Expires (RFC 4021 §2.1.50) within bounds: a date that is
// too early or too late is replaced, and a missing one can be set.
//
//	<mailet match="All" class="Expires">
//	  <minAge>1d</minAge>
//	  <maxAge>1w</maxAge>
//	  <defaultAge>4 days</defaultAge>
//	</mailet>
//
// At least one parameter is required, and they must be in order. A number without
// unit means days; each counts from now.
//
// Parameters:
//
//   - minAge: the earliest date there can be.
//   - maxAge: the latest.
//   - defaultAge: the date of a message that has none, or none that can be read.
//
// Differs from James: a missing Date, Message-ID or MIME-Version is not added.
type Expires struct {
	minAge, maxAge, defaultAge time.Duration // -1: not given
	now                        func() time.Time
}

func newExpires(p *conf.Params) container.Mailet {
	const day = 24 * time.Hour
	e := &Expires{p.Duration("minAge", day, -1), p.Duration("maxAge", day, -1), p.Duration("defaultAge", day, -1), time.Now}
	after := func(a, b time.Duration) bool { return a >= 0 && b >= 0 && a > b }
	switch {
	case !p.Has("minAge") && !p.Has("maxAge") && !p.Has("defaultAge"):
		p.Fail("", errors.New("one of minAge, maxAge and defaultAge is required"))
	case after(e.minAge, e.maxAge) || after(e.minAge, e.defaultAge) || after(e.defaultAge, e.maxAge):
		p.Fail("", errors.New("minAge, defaultAge and maxAge must be in this order"))
	}
	return e
}

// Service sets the field where it has to.
func (e *Expires) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	h, now := m.Message.Header(), e.now()
	v, _ := mime.Get(h, "Expires")
	age := time.Duration(-1)
	if t, err := mime.ParseDate(v); err != nil {
		age = e.defaultAge
	} else if e.minAge >= 0 && t.Before(now.Add(e.minAge)) {
		age = e.minAge
	} else if e.maxAge >= 0 && t.After(now.Add(e.maxAge)) {
		age = e.maxAge
	}
	if age >= 0 {
		m.Message.SetHeader(mime.Set(h, "Expires", mime.FormatDate(now.Add(age))))
	}
	return nil
}
