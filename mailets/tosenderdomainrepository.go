package mailets

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// ToSenderDomainRepository stores the mail as it is in a mail repository of the
// sender's domain: urlPrefix, a slash and the domain. Mail with a null sender goes
// into the repository urlPrefix itself.
//
//	<mailet match="All" class="ToSenderDomainRepository">
//	  <urlPrefix>cassandra://var/mail/sendermailrepository/</urlPrefix>
//	  <passThrough>false</passThrough>
//	  <allowRepositoryCreation>true</allowRepositoryCreation>
//	</mailet>
//
// A sender can write any domain: use it for authenticated senders, or with
// allowRepositoryCreation false, so that strangers do not make repositories.
//
// Parameters:
//
//   - urlPrefix (required): how the URLs of the repositories begin,
//     protocol://path.
//   - passThrough (default false): whether the mail goes on to the next mailet
//     too.
//   - allowRepositoryCreation (default true): whether repositories are made. If
//     not, and there is none for the domain, nothing is stored: with passThrough
//     the mail goes on, without it the mailet fails, so that the mail is not lost.
//
// Differs from James: mail for which there is no repository is not dropped.
type ToSenderDomainRepository struct {
	prefix      string
	passThrough bool
	create      bool
	store       repositoryKeys
}

// repositoryKeys is the part of a store that can tell whether a repository is
// there.
type repositoryKeys interface {
	Keys(ctx context.Context, u repository.URL, f repository.MailFilter, offset, limit int) ([]string, error)
}

func newToSenderDomainRepository(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		t := &ToSenderDomainRepository{
			prefix:      strings.TrimRight(p.Required("urlPrefix"), "/"),
			passThrough: p.Bool("passThrough", false),
			create:      p.Bool("allowRepositoryCreation", true),
		}
		t.store, _ = s.Queues.(repositoryKeys) // the store of a server is both
		if !p.Has("urlPrefix") {
			return t
		}
		check := s.UseRepository
		if !t.create {
			check = func(url string) error {
				_, err := repository.ParseURL(url)
				return err
			}
		}
		if err := check(t.prefix); err != nil && t.prefix != "" {
			p.Fail("urlPrefix", err)
		}
		return t
	}
}

// Service stores a copy of the mail.
func (t *ToSenderDomainRepository) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	url := t.prefix
	if !m.Sender.IsNull() {
		url += "/" + m.Sender.Domain
	}
	if !t.create {
		there, err := t.there(ctx, url)
		switch {
		case err != nil:
			return fmt.Errorf("look for repository %s: %w", url, err)
		case !there && t.passThrough:
			return nil
		case !there:
			return fmt.Errorf("there is no repository %s and none may be made", url)
		}
	}
	out.Store(url, m.Clone())
	if !t.passThrough {
		m.State = container.StateGhost
	}
	return nil
}

func (t *ToSenderDomainRepository) there(ctx context.Context, url string) (bool, error) {
	u, err := repository.ParseURL(url)
	if err != nil {
		return false, err
	}
	if t.store == nil {
		return false, errors.New("the store cannot tell which repositories it has")
	}
	_, err = t.store.Keys(ctx, u, repository.MailFilter{}, 0, 1)
	if errors.Is(err, repository.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
