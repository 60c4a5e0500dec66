package mailets

import (
	"context"
	"fmt"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/scan"
)

// SpamAssassin asks a SpamAssassin daemon (spamd) whether the message is spam,
// with the preferences of each recipient. The copy of each recipient gets two
// header fields, which IsMarkedAsSpam looks at:
//
//	org.apache.james.spamassassin.flag: YES
//	org.apache.james.spamassassin.status: Yes, hits=15.3 required=5.0
//
// The mail goes on in any case.
//
//	<mailet match="RecipientIsLocal" class="SpamAssassin">
//	  <spamdHost>localhost</spamdHost>
//	  <spamdPort>783</spamdPort>
//	  <maxSize>512K</maxSize>
//	  <onFailure>continue</onFailure>
//	</mailet>
//
// The file spamassassin.properties of the configuration folder can name the
// daemon instead, with spamassassin.host and spamassassin.port.
//
// Parameters:
//
//   - spamdHost (default that of the file, else this machine): name or address of
//     the daemon.
//   - spamdPort (default that of the file, else 783): its TCP port.
//   - timeout (default 2 minutes): how long to connect, or to wait for the daemon
//     at any point; a number alone counts seconds.
//   - maxSize (default 0, no limit): larger messages are not scanned and get no
//     header fields.
//   - onFailure (default error): what happens to a mail when the daemon cannot be
//     asked, or gives no result: error hands it to onMailetException; continue
//     lets it pass unscanned, with an error in the log.
//
// Differs from James: spamdHost and spamdPort, which its manual names, count; an answer without
// a result is a failure, not a message with the status "?"; recipients that are the
// same user are asked about once; timeout, maxSize and onFailure are new.
type SpamAssassin struct {
	spamd   *scan.Spamd
	failure onFailure
	max     maxSize
	users   *local.Directory
}

const (
	headerSpamFlag   = "org.apache.james.spamassassin.flag"
	headerSpamStatus = "org.apache.james.spamassassin.status"
)

func newSpamAssassin(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		file, done := scannerFile(s, p, "spamassassin.properties")
		d := &SpamAssassin{spamd: &scan.Spamd{}, users: s.Local}
		d.spamd.Host = p.String("spamdHost", file.String("spamassassin.host", ""))
		d.spamd.Port = readPort(p, "spamdPort", file.Int("spamassassin.port", 783))
		d.spamd.Step = readTimeout(p, "timeout", time.Second, 2*time.Minute)
		d.failure = readOnFailure(p, s.Log, "error")
		d.max = readMaxSize(p)
		done()
		return d
	}
}

// Service asks for each user, and marks the copies of the recipients.
func (s *SpamAssassin) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	if s.max.exceeded(m) {
		return nil
	}
	verdicts := map[string]scan.Verdict{}
	for _, r := range m.Recipients {
		user := s.users.Username(r)
		if _, ok := verdicts[user]; ok {
			continue
		}
		v, err := s.spamd.Check(ctx, &m.Message, user)
		if err != nil {
			return s.failure.result(m, err)
		}
		verdicts[user] = v
	}
	for _, r := range m.Recipients {
		v := verdicts[s.users.Username(r)]
		flag, word := "NO", "No"
		if v.Spam {
			flag, word = "YES", "Yes"
		}
		setRecipientHeader(m, r, headerSpamFlag, flag)
		setRecipientHeader(m, r, headerSpamStatus, fmt.Sprintf("%s, hits=%s required=%s", word, v.Hits, v.Required))
	}
	return nil
}
