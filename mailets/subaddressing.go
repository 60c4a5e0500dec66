package mailets

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/mailbox"
)

// SubAddressing delivers mail for user+folder@domain (RFC 5233) to that folder of
// the user. The address becomes user@domain, and LocalDelivery, further down,
// finds the folder in the attribute DeliveryPaths_USER. Put it before the matcher
// that asks whether a recipient is local.
//
//	<mailet match="All" class="SubAddressing">
//	  <maildir>%d/%u</maildir>
//	</mailet>
//
// The folder must be there, or the mail goes to the inbox. It is looked for
// exactly, then ignoring case; %2F and the like are decoded, and a dot or a slash
// separates levels. An account that has the whole address as its name gets its
// mail as usual.
//
// Parameters:
//
//   - maildir (default %d/%u): where the boxes are, as in LocalDelivery.
//
// Differs from James: every sender may use a folder that is there, where James
// asks for the right p of IMAP on it; the recipient's address loses the part from
// the plus sign on (ORCPT keeps it); maildir is our own parameter.
type SubAddressing struct {
	users         accountNames
	defaultDomain string
	find          func(user, domain, name string) (folder string, ok bool, err error)
}

func newSubAddressing(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		layout, err := mailbox.NewLayout(s.MailDir, p.String("maildir", mailbox.DefaultPattern))
		if err != nil {
			p.Fail("maildir", err)
		}
		return &SubAddressing{s.Local, s.DefaultDomain, mailbox.NewStore(layout, s.Hostname, s.Log).FindFolder}
	}
}

// subAddress is a recipient with a folder in his address.
type subAddress struct {
	old, plain container.Address
	folder     string // "" for the inbox
}

// Service changes recipients and attributes; on an error the mail is as it was.
func (s *SubAddressing) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	if !slices.ContainsFunc(m.Recipients, func(a container.Address) bool { return strings.Contains(a.Local, "+") }) {
		return nil
	}
	var found []subAddress
	var rcpts addressSet
	folders := map[string][]string{} // by user; "" for the inbox
	for _, rcpt := range m.Recipients {
		sub, ok, err := s.resolve(ctx, rcpt)
		if err != nil {
			return fmt.Errorf("look up %s: %w", rcpt, err)
		}
		if ok {
			found = append(found, sub)
		} else {
			sub.plain = rcpt
		}
		user := s.users.Username(sub.plain)
		folders[user] = append(folders[user], sub.folder)
		rcpts.add(sub.plain)
	}
	if len(found) == 0 {
		return nil
	}
	for _, sub := range found {
		user := s.users.Username(sub.plain)
		if paths := deliveryPaths(m, user, folders[user]); paths != nil {
			m.Set("DeliveryPaths_"+user, paths)
		}
	}
	s.rename(m, found, rcpts.list)
	return nil
}

// deliveryPaths returns the folders of a user, each once; nil for the inbox
// alone. The inbox stands for what an earlier mailet chose.
func deliveryPaths(m *container.Mail, user string, folders []string) []container.Value {
	var names []string
	for _, f := range folders {
		more := []string{f}
		if f == "" {
			if more = m.Attributes.Strings("DeliveryPaths_" + user); more == nil {
				more = []string{mailbox.Inbox}
			}
		}
		for _, f := range more {
			if !slices.Contains(names, f) {
				names = append(names, f)
			}
		}
	}
	if len(names) == 1 && names[0] == mailbox.Inbox {
		return nil
	}
	out := make([]container.Value, len(names))
	for i, n := range names {
		out[i] = n
	}
	return out
}

// rename gives the recipients their plain addresses, and what was known about
// the old ones to these.
func (s *SubAddressing) rename(m *container.Mail, found []subAddress, rcpts []container.Address) {
	params := readParams(m)
	for _, sub := range found {
		params.move(sub.old, []container.Address{sub.plain}, false)
		if fields := m.RecipientHeaders[sub.old.Key()]; fields != nil {
			delete(m.RecipientHeaders, sub.old.Key())
			m.RecipientHeaders[sub.plain.Key()] = append(m.RecipientHeaders[sub.plain.Key()], fields...)
		}
	}
	m.Recipients = rcpts
	params.write(m, rcpts)
}

// resolve takes an address with a plus sign apart; ok is false when it has none,
// or is an account itself, or belongs to nobody here.
func (s *SubAddressing) resolve(ctx context.Context, rcpt container.Address) (sub subAddress, ok bool, err error) {
	name, detail, ok := strings.Cut(rcpt.Local, "+")
	if !ok || name == "" || strings.HasPrefix(name, `"`) {
		return sub, false, nil
	}
	sub = subAddress{old: rcpt, plain: container.Address{Local: name, Domain: rcpt.Domain}}
	if own, err := s.users.UserExists(ctx, rcpt); own || err != nil {
		return subAddress{}, false, err
	}
	if is, err := s.users.UserExists(ctx, sub.plain); !is || err != nil {
		return subAddress{}, false, err
	}
	if d, err := url.PathUnescape(detail); err == nil {
		detail = d
	}
	if detail == "" {
		return sub, true, nil
	}
	user, domain := s.users.Username(sub.plain), s.defaultDomain
	if i := strings.LastIndexByte(user, '@'); i >= 0 {
		user, domain = user[:i], user[i+1:]
	}
	folder, there, err := s.find(user, domain, detail)
	if err != nil {
		return subAddress{}, false, err
	}
	if there && folder != mailbox.Inbox {
		sub.folder = folder
	}
	return sub, true, nil
}
