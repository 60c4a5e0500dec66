package smtphooks

import (
	"fmt"
	"time"

	"github.com/mailetd/mailetd/conf"
)

// FutureReleaseEHLOHook announces the FUTURERELEASE extension (RFC 4865) to
// authenticated clients in the answer to EHLO: with the longest time that a mail
// can be held, one day, in seconds and as a date.
//
//	<handler class="org.apache.james.smtpserver.futurerelease.FutureReleaseEHLOHook"/>
//
// Use it together with FutureReleaseMailParameterHook.
//
// Parameters: none.
//
// Differs from James: nothing.
type FutureReleaseEHLOHook struct{ now func() time.Time }

// maxHold is how long a client may have a mail held.
const maxHold = 24 * time.Hour

func newFutureReleaseEhlo(*conf.Params, Services) any { return &FutureReleaseEHLOHook{time.Now} }

// EhloKeywords implements EhloKeywords.
func (h *FutureReleaseEHLOHook) EhloKeywords(s *Session) []string {
	if s.User == "" {
		return nil
	}
	until := h.now().UTC().Add(maxHold).Format(time.RFC3339)
	return []string{fmt.Sprintf("FUTURERELEASE %d %s", int(maxHold/time.Second), until)}
}
