package mailets

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// allUsers is what MailToAllUsers needs of the local data.
type allUsers interface {
	Users(ctx context.Context) ([]string, error)
	DefaultDomain() string
}

// MailToAllUsers gives the mail to every user of this server, instead of to its
// recipients. Put a matcher in front of it that lets few people do this.
//
//	<mailet match="RecipientIs=everybody@example.com" class="MailToAllUsers"/>
//
// Parameters: none.
//
// Differs from James: without any user the mailet fails, so that the mail is not
// lost; without virtual hosting the addresses are in the default domain.
type MailToAllUsers struct{ users allUsers }

func newMailToAllUsers(users allUsers) container.MailetFactory {
	return func(*conf.Params) container.Mailet { return &MailToAllUsers{users} }
}

// Service replaces the recipients; on an error the mail is as it was.
func (a *MailToAllUsers) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	names, err := a.users.Users(ctx)
	if err != nil {
		return fmt.Errorf("list users: %w", err)
	}
	if len(names) == 0 {
		return errors.New("mail to all users: there are none")
	}
	rcpts := make([]container.Address, 0, len(names))
	for _, name := range names {
		if !strings.Contains(name, "@") {
			name += "@" + a.users.DefaultDomain()
		}
		addr, err := container.ParseAddress(name)
		if err != nil {
			return fmt.Errorf("address of user %s: %w", name, err)
		}
		rcpts = append(rcpts, addr)
	}
	m.Recipients = rcpts
	return nil
}
