package mailets

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dsn"
)

// deliverByTexts are the first lines of the reports about mails with DELIVERBY.
var deliverByTexts = map[string]string{
	dsn.Delayed: `This is the mail server at %s.
Your message could not be delivered to the addresses listed below in the time
that you asked for. There is nothing you need to do: delivery will be tried
again.
`,
	dsn.Relayed: `This is the mail server at %s.
Your message was handed over to the mail servers of the addresses listed below.
You are told because you asked for delivery within a time.
`,
}

// deliverByReports returns what makes the reports of RemoteDelivery about mails
// with DELIVERBY (RFC 2852): delayed ones as RFC 3461 has it, relayed ones for all
// recipients but those with NOTIFY=NEVER.
func deliverByReports(s Services) func(m *container.Mail, action string, out *container.Outbox) error {
	by := map[string]*DSNBounce{}
	for action, text := range deliverByTexts {
		by[action] = &DSNBounce{reporter: newReporter(s), prefix: "Re:", text: fmt.Sprintf(text, machineName(s)), action: action,
			defaultStatus: "unknown", attachment: dsn.ReturnHeaders, log: logger(s)}
	}
	return func(m *container.Mail, action string, out *container.Outbox) error {
		d, ok := by[action]
		if !ok {
			return fmt.Errorf("no report with action %s", action)
		}
		if !reportable(m) {
			return nil
		}
		if action == dsn.Relayed {
			m = asIfAsked(m)
		}
		return d.report(context.Background(), m, out)
	}
}

// asIfAsked returns m for the recipients that reports are not forbidden for, as if
// a report of success had been asked for each of them.
func asIfAsked(m *container.Mail) *container.Mail {
	c := m.Clone()
	c.Recipients = nil
	asked := map[string]container.Value{}
	for _, r := range m.Recipients {
		if n, _ := m.Attributes.RecipientString(container.AttrDSNNotify, r); !strings.EqualFold(strings.TrimSpace(n), "NEVER") {
			c.Recipients = append(c.Recipients, r)
			asked[r.String()] = "SUCCESS"
		}
	}
	c.Set(container.AttrDSNNotify, asked)
	return c
}
