package smtphooks

import (
	"errors"
	"time"

	"github.com/mailetd/mailetd/conf"
)

// MaxConnectionLifespanHandler closes connections after some time, whatever the
// client is doing, without a word.
//
//	<handler class="org.apache.james.smtpserver.netty.MaxConnectionLifespanHandler">
//	  <duration>10 minutes</duration>
//	</handler>
//
// A message on its way in is lost with the connection, and the client sends it
// again.
//
// Parameters:
//
//   - duration (required): how long a connection may last; a number without unit
//     counts seconds.
//
// Differs from James: a client that has sent the end of a message gets the reply
// to it, so that a mail that was taken is not sent again.
type MaxConnectionLifespanHandler struct{ duration time.Duration }

func newMaxConnectionLifespan(p *conf.Params, _ Services) any {
	p.Required("duration")
	h := &MaxConnectionLifespanHandler{p.Duration("duration", time.Second, time.Hour)}
	if h.duration <= 0 {
		p.Fail("duration", errors.New("want a time above 0, such as 10 minutes"))
	}
	return h
}

// Lifespan implements LifespanHook.
func (h *MaxConnectionLifespanHandler) Lifespan() time.Duration { return h.duration }
