package mailets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/container/scan"
)

// RspamdScanner asks rspamd about the message. The copy of each recipient gets
// two header fields, which IsMarkedAsSpam looks at:
//
//	org.apache.james.rspamd.flag: YES
//	org.apache.james.rspamd.status: Yes, actions=add header score=9.2 requiredScore=15.0
//
// Mail that rspamd would reject, and mail with a virus, can go to other
// processors; all other mail goes on.
//
//	<mailet match="All" class="org.apache.james.rspamd.RspamdScanner">
//	  <rspamdUrl>http://localhost:11334</rspamdUrl>
//	  <rspamdPassword>secret</rspamdPassword>
//	  <rewriteSubject>true</rewriteSubject>
//	  <virusProcessor>virus</virusProcessor>
//	  <rejectSpamProcessor>spam</rejectSpamProcessor>
//	</mailet>
//
// The file rspamd.properties of the configuration folder can have rspamdUrl,
// rspamdPassword, rspamdTimeout and perUserBayes instead.
//
// Parameters:
//
//   - rspamdUrl (required here or in the file): where rspamd listens, its
//     controller or its normal worker.
//   - rspamdPassword: the password of the controller.
//   - rspamdTimeout (default that of the file, else 15): how long one scan may
//     take; a number alone counts seconds.
//   - rewriteSubject (default false): whether the message gets the subject that
//     rspamd proposes. Not with perUserBayes.
//   - virusProcessor: the processor for mail in which rspamd, by its symbol
//     CLAM_VIRUS, found a virus; the symbol becomes the error message. It must
//     exist.
//   - rejectSpamProcessor: the processor for mail with the action reject; it must
//     exist.
//   - perUserBayes (default that of the file, else false): whether to ask for each
//     recipient. Then a recipient whose mail is to go to one of the
//     processors gets a mail of its own there.
//   - maxSize (default 0, no limit): larger messages are not scanned and get no
//     header fields.
//   - onFailure (default error): what happens to a mail when rspamd cannot be
//     asked, or gives no result: error hands it to onMailetException; continue
//     lets it pass unscanned, with an error in the log.
//
// Differs from James: with perUserBayes a virus moves the recipients whose mail
// has it, not the others too; a virus counts before reject; maxSize and
// onFailure are new.
type RspamdScanner struct {
	rspamd        *scan.Rspamd
	failure       onFailure
	max           maxSize
	rewrite       bool
	perUser       bool
	virus, reject string
	users         *local.Directory
	log           *slog.Logger
}

const (
	headerRspamdFlag   = "org.apache.james.rspamd.flag"
	headerRspamdStatus = "org.apache.james.rspamd.status"
	attrJMAPUser       = "org.apache.james.jmap.send.MailMetaData.username"
)

func newRspamdScanner(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		file, done := scannerFile(s, p, "rspamd.properties")
		r := &RspamdScanner{users: s.Local, log: s.Log}
		address := p.String("rspamdUrl", file.String("rspamdUrl", ""))
		password := p.String("rspamdPassword", file.Raw("rspamdPassword"))
		timeout := readTimeout(p, "rspamdTimeout", time.Second, file.Duration("rspamdTimeout", time.Second, 15*time.Second))
		r.perUser = p.Bool("perUserBayes", file.Bool("perUserBayes", false))
		r.rewrite = p.Bool("rewriteSubject", false)
		r.virus, r.reject = p.String("virusProcessor", ""), p.String("rejectSpamProcessor", "")
		r.failure, r.max = readOnFailure(p, s.Log, "error"), readMaxSize(p)
		done()
		if address == "" {
			p.Fail("", errors.New("<rspamdUrl> is required, here or in rspamd.properties"))
			return r
		}
		var err error
		if r.rspamd, err = scan.NewRspamd(address, password, timeout); err != nil {
			p.Fail("rspamdUrl", err)
		}
		return r
	}
}

// ReferredStates returns the two processors, as far as they are given.
func (r *RspamdScanner) ReferredStates() []string {
	var out []string
	for _, s := range []string{r.virus, r.reject} {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// Service asks once, or for each recipient.
func (r *RspamdScanner) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	switch {
	case r.max.exceeded(m):
		return nil
	case r.perUser:
		return r.failure.result(m, r.each(ctx, m, out))
	}
	a, err := r.rspamd.Check(ctx, &m.Message, r.envelope(m))
	if err != nil {
		return r.failure.result(m, err)
	}
	for _, rcpt := range m.Recipients {
		mark(m, rcpt, a)
	}
	if r.rewrite && a.Subject != "" {
		m.Message.SetHeader(mime.Set(m.Message.Header(), "Subject", a.Subject))
	}
	r.route(m, a)
	return nil
}

// each asks for each recipient. Nothing changes before all answers are there.
func (r *RspamdScanner) each(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	answers := make([]scan.Analysis, len(m.Recipients))
	for i, rcpt := range m.Recipients {
		e := r.envelope(m)
		e.DeliverTo = r.users.Username(rcpt)
		var err error
		if answers[i], err = r.rspamd.Check(ctx, &m.Message, e); err != nil {
			return err
		}
	}
	var stay []container.Address
	var moved []*container.Mail
	for i, rcpt := range m.Recipients {
		mark(m, rcpt, answers[i])
		if r.target(answers[i]) == "" {
			stay = append(stay, rcpt)
			continue
		}
		c, err := m.Duplicate()
		if err != nil {
			return err
		}
		c.Recipients = []container.Address{rcpt}
		r.route(c, answers[i])
		moved = append(moved, c)
	}
	m.Recipients = stay
	for _, c := range moved {
		out.Send(c)
	}
	return nil
}

// target returns the processor that the mail is to go to, "" for none.
func (r *RspamdScanner) target(a scan.Analysis) string {
	switch {
	case a.Virus != "" && r.virus != "":
		return r.virus
	case a.Action == scan.ActionReject:
		return r.reject
	}
	return ""
}

// route sends the mail where it is to go.
func (r *RspamdScanner) route(m *container.Mail, a scan.Analysis) {
	if a.Virus != "" {
		m.ErrorMessage = a.Virus
		r.log.Info("infected", "mail", m.Name, "id", m.ID, "virus", a.Virus)
	}
	if t := r.target(a); t != "" {
		m.State = t
	}
}

// mark sets the two header fields of one recipient.
func mark(m *container.Mail, rcpt container.Address, a scan.Analysis) {
	flag, word := "NO", "No"
	if a.Spam() {
		flag, word = "YES", "Yes"
	}
	setRecipientHeader(m, rcpt, headerRspamdFlag, flag)
	setRecipientHeader(m, rcpt, headerRspamdStatus,
		fmt.Sprintf("%s, actions=%s score=%s requiredScore=%s", word, a.Action, javaFloat(a.Score), javaFloat(a.Required)))
}

// javaFloat writes a number as Java does: always with a decimal.
func javaFloat(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 32)
	for _, c := range s {
		if c == '.' {
			return s
		}
	}
	return s + ".0"
}

// envelope is what rspamd is told about the mail.
func (r *RspamdScanner) envelope(m *container.Mail) scan.Envelope {
	text := func(names ...string) string {
		for _, n := range names {
			if v, ok := m.Attributes.String(n); ok {
				return v
			}
		}
		return ""
	}
	return scan.Envelope{
		IP: m.RemoteAddr, Hostname: m.RemoteHost, Helo: text(container.AttrHELO), From: m.Sender.String(),
		Rcpt: container.AddressStrings(m.Recipients), User: text(container.AttrSMTPAuthUser, attrJMAPUser),
		TLSVersion: text(container.AttrTLSProtocol), TLSCipher: text(container.AttrTLSCipher),
	}
}
