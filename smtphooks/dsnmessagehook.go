package smtphooks

import (
	"context"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// DSNMessageHook writes what the client asked for into attributes of the mail,
// where DSNBounce, the DSN matchers and RemoteDelivery look for it.
//
//	<handler class="org.apache.james.smtpserver.dsn.DSNMessageHook"/>
//
// The attributes are dsn-envid (xtext as received), dsn-ret (FULL or HDRS),
// dsn-notify (recipient to comma list), dsn-orcpt (recipient to the address as
// received, without its type) and, always, dsn-arrival-date.
//
// Parameters: none.
//
// Differs from James: a recipient that was refused leaves nothing in the maps;
// for a recipient given twice the last parameters count, where James fails the
// message; the type of an ORCPT address that is not rfc822 is kept in
// dsn-orcpt-type.
type DSNMessageHook struct{ now func() time.Time }

func newDSNMessage(*conf.Params, Services) any { return &DSNMessageHook{now: time.Now} }

// Message implements MessageHook.
func (h *DSNMessageHook) Message(_ context.Context, s *Session, m *container.Mail) Decision {
	m.Set(container.AttrDSNArrival, h.now())
	notify, orcpt, types := map[string]container.Value{}, map[string]container.Value{}, map[string]container.Value{}
	given := false
	for _, r := range s.Tx.Recipients {
		key := r.Address.String()
		for _, p := range r.Params {
			switch p.Name {
			case "NOTIFY":
				if v, ok := parseNotify(p.Value); ok {
					notify[key], given = v, true
				}
			case "ORCPT":
				if typ, addr, ok := parseOrcpt(p.Value, s.Tx.UTF8); ok {
					orcpt[key], given = addr, true
					delete(types, key)
					if typ != "rfc822" {
						types[key] = typ
					}
				}
			}
		}
	}
	envid, hasEnvid := s.Tx.State(dsnKey("ENVID")).(string)
	ret, hasRet := s.Tx.State(dsnKey("RET")).(string)
	if hasEnvid {
		m.Set(container.AttrDSNEnvID, envid)
	}
	if hasRet {
		m.Set(container.AttrDSNRet, ret)
	}
	if given || hasEnvid || hasRet {
		m.Set(container.AttrDSNNotify, notify)
		m.Set(container.AttrDSNOrcpt, orcpt)
	}
	if len(types) > 0 {
		m.Set(container.AttrDSNOrcptType, types)
	}
	return Decision{}
}
