package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// MailPriorityHandler gives mails to some domains a priority in the queues: the
// highest among the domains of its recipients. A mail to none of the domains
// keeps the priority it has.
//
//	<handler class="org.apache.james.smtpserver.MailPriorityHandler">
//	  <priorityEntries>
//	    <priorityEntry>
//	      <domain>example.com</domain>
//	      <priority>9</priority>
//	    </priorityEntry>
//	  </priorityEntries>
//	</handler>
//
// The attribute is MAIL_PRIORITY.
//
// Parameters:
//
//   - priorityEntries.priorityEntry.domain (required in each entry): the domain.
//   - priorityEntries.priorityEntry.priority (default 0): from -9 to 9; 9 goes
//     first.
//
// Differs from James: domains are compared without regard to upper and lower
// case, and one that is no domain name stops the start.
type MailPriorityHandler struct{ priorities map[string]int32 }

func newMailPriority(p *conf.Params, _ Services) any {
	const path = "priorityEntries.priorityEntry"
	h := &MailPriorityHandler{map[string]int32{}}
	for _, e := range entries(p, path, "domain", "priority") {
		domain, err := container.ParseDomain(fieldOf(e, "domain"))
		if err != nil {
			p.Fail(path+".domain", err)
		}
		n, err := priority(fieldOf(e, "priority"))
		if err != nil {
			p.Fail(path+".priority", err)
		}
		h.priorities[domain] = n
	}
	return h
}

// priority reads a priority of the queues.
func priority(text string) (int32, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	if n < -9 || n > 9 {
		return 0, errors.New("configured priority must be >= -9 and <= 9")
	}
	return int32(n), nil
}

// Message implements MessageHook.
func (h *MailPriorityHandler) Message(_ context.Context, _ *Session, m *container.Mail) Decision {
	best, found := int32(0), false
	for _, r := range m.Recipients {
		if n, ok := h.priorities[r.Domain]; ok && (!found || n > best) {
			best, found = n, true
		}
	}
	if found {
		m.Set(container.AttrPriority, best)
	}
	return Decision{}
}
