package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// EnforceHeaderLimitationsMessageHook refuses messages whose header is too long.
//
//	<handler class="org.apache.james.smtpserver.EnforceHeaderLimitationsMessageHook">
//	  <maxLines>500</maxLines>
//	  <maxSize>64K</maxSize>
//	</handler>
//
// The replies are "552 Header Lines are too many" and "552 Header size is too
// large". Whatever is configured, the server takes no header above 1 MiB.
//
// Parameters:
//
//   - maxLines (default 500, also for 0 and below): the number of header fields,
//     whatever number of lines each has. The Received field that the server has
//     just put there counts.
//   - maxSize (default 64K, also for 0 and below): the octets of the header, with
//     suffix B, K, M or G.
//
// Differs from James: both parameters have a default, James wants both to be
// there; folding counts for maxSize.
type EnforceHeaderLimitationsMessageHook struct {
	fields int
	octets int64
}

func newEnforceHeaderLimitations(p *conf.Params, _ Services) any {
	h := &EnforceHeaderLimitationsMessageHook{p.Int("maxLines", 500), p.Size("maxSize", 64<<10)}
	if h.fields <= 0 {
		h.fields = 500
	}
	if h.octets <= 0 {
		h.octets = 64 << 10
	}
	return h
}

// Message implements MessageHook.
func (h *EnforceHeaderLimitationsMessageHook) Message(_ context.Context, _ *Session, m *container.Mail) Decision {
	header := m.Message.Header()
	fields := 0
	for range mime.Fields(header) {
		if fields++; fields > h.fields {
			return Refuse(552, "", "Header Lines are too many")
		}
	}
	if int64(len(header)) > h.octets {
		return Refuse(552, "", "Header size is too large")
	}
	return Decision{}
}
