package remote

import (
	"errors"
	"os"
	"time"

	"github.com/mailetd/mailetd/container"
)

// A mail gets the time of one attempt once more for so many recipients, and for
// so many octets.
const (
	limitRecipients = 240
	limitOctets     = 20 << 20
)

// attemptLimit returns how long an attempt to deliver m may take, the wait for
// the reply to the message left aside: that has a limit of its own, and who ends
// it early sends the mail twice.
func (in *Instance) attemptLimit(m *container.Mail) time.Duration {
	t := in.cfg.AttemptTimeout
	more := float64(len(m.Recipients))/limitRecipients + float64(m.Message.Size())/limitOctets
	return t + time.Duration(float64(t)*more)
}

// share returns until when a host may keep the attempt, when others come behind
// it: half of what is left. The last one may have all.
func (a *attempt) share(last bool) span {
	now := time.Now()
	end := a.deadline
	if !last {
		end = now.Add(end.Sub(now) / 2)
	}
	return span{now, end}
}

// late reports whether the attempt has used up its time.
func (a *attempt) late() bool { return !time.Now().Before(a.deadline) }

// span is the time in which a host may be slow. The zero value is no limit.
type span struct{ begin, end time.Time }

// cut returns t, or the end of the span when that comes before.
func (s span) cut(t time.Time) time.Time {
	if !s.end.IsZero() && s.end.Before(t) {
		return s.end
	}
	return t
}

// pressing reports whether more than half of the span is over.
func (s span) pressing() bool {
	return !s.end.IsZero() && time.Since(s.begin) > s.end.Sub(s.begin)/2
}

const tooSlow = "the remote host is too slow: no time is left for this attempt"

// why returns the reason for an error of a connection: a deadline may be the end
// of the time that the host had in all. The reply to the message has its own, and
// no other host may be tried when it does not come.
func (c *conn) why(at stage, err error) error {
	if at == stageEnd || c.span.end.IsZero() || time.Now().Before(c.span.end) || !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return &cause{status: "4.4.2", next: true, text: tooSlow}
}
