package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// ToRepository stores the mail as it is in a mail repository, under its name,
// and ends its processing. A mail of that name that is there already is
// replaced.
//
//	<mailet match="All" class="ToRepository">
//	  <repositoryPath>cassandra://var/mail/error/</repositoryPath>
//	  <passThrough>false</passThrough>
//	</mailet>
//
// Parameters:
//
//   - repositoryPath (required): URL of the repository, protocol://path; made
//     if new. The protocol is part of the name, but every protocol is kept in
//     the one store of the server.
//   - passThrough (default false): whether the mail goes on to the next mailet
//     too.
//
// Differs from James: nothing is stored until the whole run of the mail is over;
// notice, which many sample configurations have here, is not read by James
// either, and gets a warning.
type ToRepository struct {
	url         string
	passThrough bool
}

func newToRepository(use func(url string) error) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		t := &ToRepository{url: p.Required("repositoryPath"), passThrough: p.Bool("passThrough", false)}
		if t.url != "" {
			if err := use(t.url); err != nil {
				p.Fail("repositoryPath", err)
			}
		}
		return t
	}
}

// Service stores a copy of the mail.
func (t *ToRepository) Service(_ context.Context, m *container.Mail, out *container.Outbox) error {
	out.Store(t.url, m.Clone())
	if !t.passThrough {
		m.State = container.StateGhost
	}
	return nil
}
