package mailets

import (
	"context"
	"errors"
	"fmt"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/mailbox"
)

// WithStorageDirective tells LocalDelivery, further down, how to store the mail
// for its recipients: in which folder, and with which flags.
//
//	<mailet match="All" class="WithStorageDirective">
//	  <targetFolderName>Spam</targetFolderName>
//	  <targetFolderNames>Spam, Archive/Spam</targetFolderNames>
//	  <seen>true</seen>
//	  <important>false</important>
//	  <keywords>junk, checked</keywords>
//	</mailet>
//
// At least one parameter is required. For each recipient they become the
// attributes DeliveryPaths_USER, Seen_USER, Important_USER and Keywords_USER.
//
// Parameters:
//
//   - targetFolderNames: folders separated by commas; the mail is stored in each.
//   - targetFolderName: one folder; without effect beside targetFolderNames.
//   - seen: true or false: whether the mail is marked as read.
//   - important: true or false: whether the mail is flagged.
//   - keywords: words separated by commas, which become X-Keywords.
//
// Differs from James: a folder name that a Maildir cannot have stops the start.
type WithStorageDirective struct {
	users     userNames
	folders   []container.Value
	keywords  []container.Value
	seen      *bool
	important *bool
}

// userNames tells the account of an address.
type userNames interface {
	Username(a container.Address) string
}

func newWithStorageDirective(users userNames) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		w := &WithStorageDirective{users: users, seen: exactBool(p, "seen"), important: exactBool(p, "important")}
		one, name := p.String("targetFolderName", ""), "targetFolderNames"
		list := p.List(name)
		if len(list) == 0 && one != "" {
			list, name = []string{one}, "targetFolderName"
		}
		for _, f := range list {
			if err := mailbox.CheckFolder(f); err != nil {
				p.Fail(name, err)
			}
			w.folders = append(w.folders, f)
		}
		for _, k := range p.List("keywords") {
			w.keywords = append(w.keywords, k)
		}
		if w.folders == nil && w.keywords == nil && w.seen == nil && w.important == nil {
			p.Fail("", errors.New("one of targetFolderName, targetFolderNames, seen, important and keywords is required"))
		}
		return w
	}
}

// exactBool reads true or false, nil when there is nothing; anything else stops
// the start, as in James.
func exactBool(p *conf.Params, name string) *bool {
	v := p.String(name, "")
	if v != "" && v != "true" && v != "false" {
		p.Fail(name, fmt.Errorf("%q is not true or false", v))
	}
	if v == "" {
		return nil
	}
	b := v == "true"
	return &b
}

// Service sets the attributes.
func (w *WithStorageDirective) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	for _, rcpt := range m.Recipients {
		user := w.users.Username(rcpt)
		if w.folders != nil {
			m.Set("DeliveryPaths_"+user, append([]container.Value(nil), w.folders...))
		}
		if w.seen != nil {
			m.Set("Seen_"+user, *w.seen)
		}
		if w.important != nil {
			m.Set("Important_"+user, *w.important)
		}
		if w.keywords != nil {
			m.Set("Keywords_"+user, append([]container.Value(nil), w.keywords...))
		}
	}
	return nil
}
