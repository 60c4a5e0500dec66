package mailets

import (
	"context"
	"log/slog"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// FromRepository puts all mails of a repository back into the spool. The mail
// that it serves only triggers this, and ends here; so put a matcher in front of
// it that lets few people do it.
//
//	<mailet match="RecipientIs=respool@localhost" class="FromRepository">
//	  <repositoryPath>file://var/mail/error/</repositoryPath>
//	  <processor>root</processor>
//	  <delete>false</delete>
//	</mailet>
//
// The trigger waits in the queue "from-repository" until all mails that the
// repository has when its turn comes are in the spool. A hundred mails at a time
// are taken, however many there are. After a crash or a restart it goes on where
// it was: no mail is lost, and none is spooled twice, with delete or without. An
// operator can stop it by removing the trigger from the queue.
//
// Each mail gets the attribute FromRepository (true) and counts as sent by a
// mailet. A mail that has the attribute triggers nothing: otherwise a trigger
// that lies in its own repository would never end.
//
// A mail that cannot be read is logged, stays where it is, and the others go on.
//
// Parameters:
//
//   - repositoryPath (required): URL of the repository, protocol://path; made
//     if new.
//   - processor (default root): processor at which the mails go on. One that does
//     not exist gets a warning.
//   - delete (default false): whether the mails leave the repository. Each does so
//     in the step that puts it into the spool.
//
// Differs from James: mails are moved in the background, not while the trigger is
// processed; mails that come back into the repository meanwhile are not taken
// again; a mail with the attribute triggers nothing.
type FromRepository struct {
	*respooler
	job respoolJob
	log *slog.Logger
}

const attrFromRepository = "FromRepository"

func newFromRepository(s Services) container.MailetFactory {
	r := newRespooler(s) // one for all FromRepository of a configuration
	return func(p *conf.Params) container.Mailet {
		f := &FromRepository{respooler: r, log: s.Log}
		f.job = respoolJob{url: p.Required("repositoryPath"), processor: p.String("processor", container.StateRoot), remove: p.Bool("delete", false)}
		if f.job.url != "" {
			if err := s.UseRepository(f.job.url); err != nil {
				p.Fail("repositoryPath", err)
			}
		}
		return f
	}
}

// Service puts the trigger into the queue.
func (f *FromRepository) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	m.State = container.StateGhost
	if own, _ := m.Attributes.Bool(attrFromRepository); own {
		f.log.WarnContext(ctx, "a mail that comes from a repository does not trigger FromRepository", "mail", m.Name, "repository", f.job.url)
		return nil
	}
	trigger := m.Clone()
	trigger.Attributes = nil
	f.job.write(trigger)
	out.Enqueue(respoolQueue, "", trigger, 0)
	return nil
}

// MentionedStates returns the processor.
func (f *FromRepository) MentionedStates() []string { return []string{f.job.processor} }

// respoolJob is what a trigger in the queue says: what to do, and how far it got.
type respoolJob struct {
	url, processor string
	remove         bool
	cursor, until  int64 // see repository.Repositories.KeysAfter
	mails          int64 // put into the spool so far
}

const attrRespool = "mailetd.from-repository"

// write notes the job in its trigger.
func (j respoolJob) write(m *container.Mail) {
	m.Set(attrRespool, map[string]container.Value{"repository": j.url, "processor": j.processor, "delete": j.remove,
		"cursor": j.cursor, "until": j.until, "mails": j.mails})
}

// readRespoolJob reads the job of a trigger.
func readRespoolJob(m *container.Mail) (j respoolJob, u repository.URL, err error) {
	a, _ := m.Attributes.Map(attrRespool)
	j.url, _ = a["repository"].(string)
	j.processor, _ = a["processor"].(string)
	j.remove, _ = a["delete"].(bool)
	j.cursor, _ = a["cursor"].(int64)
	j.until, _ = a["until"].(int64)
	j.mails, _ = a["mails"].(int64)
	u, err = repository.ParseURL(j.url)
	return j, u, err
}
