package mailets

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// postmasterDirectory is what PostmasterAlias needs of the local data.
type postmasterDirectory interface {
	IsLocalDomain(ctx context.Context, domain string) (bool, error)
	IsLocalAddress(ctx context.Context, a container.Address) (bool, error)
}

// PostmasterAlias gives the mail for postmaster of any local domain to the one
// postmaster of the server (<postmaster> in <context>), unless that address has
// an account of its own. Every domain must take mail for postmaster (RFC 5321
// §4.5.1).
//
//	<mailet match="All" class="PostmasterAlias"/>
//
// Parameters: none.
//
// Differs from James: what the client asked about notifications for the address
// (NOTIFY, ORCPT) goes over to the postmaster, and so do the header fields for
// single recipients.
type PostmasterAlias struct {
	local      postmasterDirectory
	postmaster container.Address
}

func newPostmasterAlias(d postmasterDirectory, postmaster container.Address) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		if postmaster.IsNull() {
			p.Fail("", errors.New("the server has no postmaster address"))
		}
		return &PostmasterAlias{d, postmaster}
	}
}

// Service replaces recipients; an error when the local data cannot be read, and
// then the mail is as it was.
func (a *PostmasterAlias) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	var replaced []container.Address
	for _, rcpt := range m.Recipients {
		is, err := a.isAlias(ctx, rcpt)
		if err != nil {
			return fmt.Errorf("look up %s: %w", rcpt, err)
		}
		if is {
			replaced = append(replaced, rcpt)
		}
	}
	if len(replaced) == 0 {
		return nil
	}
	var kept addressSet
	for _, rcpt := range m.Recipients {
		if !container.ContainsAddress(replaced, rcpt) {
			kept.add(rcpt)
		}
	}
	kept.add(a.postmaster)
	m.Recipients = kept.list
	for _, old := range replaced {
		moveRecipient(m, old, a.postmaster)
	}
	return nil
}

func (a *PostmasterAlias) isAlias(ctx context.Context, rcpt container.Address) (bool, error) {
	if !strings.EqualFold(rcpt.Local, "postmaster") || rcpt.Equal(a.postmaster) {
		return false, nil
	}
	if is, err := a.local.IsLocalDomain(ctx, rcpt.Domain); err != nil || !is {
		return false, err
	}
	own, err := a.local.IsLocalAddress(ctx, rcpt)
	return !own, err
}

// moveRecipient gives what the mail knows about the recipient old to the
// recipient who takes its place, without overwriting what is known about that
// one.
func moveRecipient(m *container.Mail, old, who container.Address) {
	for _, name := range []string{container.AttrDSNNotify, container.AttrDSNOrcpt, container.AttrDSNOrcptType} {
		all, ok := m.Attributes.Map(name)
		if !ok {
			continue
		}
		for k, v := range all {
			if !strings.EqualFold(k, old.String()) {
				continue
			}
			if _, taken := m.Attributes.RecipientString(name, who); !taken {
				all[who.String()] = v
			}
			delete(all, k)
			break
		}
	}
	if fields := m.RecipientHeaders[old.Key()]; len(fields) > 0 {
		delete(m.RecipientHeaders, old.Key())
		m.RecipientHeaders[who.Key()] = append(m.RecipientHeaders[who.Key()], fields...)
	}
}
