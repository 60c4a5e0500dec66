package mailets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/mailets/mailbox"
	"github.com/mailetd/mailetd/mailets/responder"
	"github.com/mailetd/mailetd/mailets/sieve"
)

// Sieve runs the active Sieve script of each recipient who has one. It delivers
// nothing itself: it says where LocalDelivery, further down, stores the mail. Put it
// where recipients are accounts: behind RecipientRewriteTable.
//
//	<mailet match="RecipientIsLocal" class="Sieve"/>
//	<mailet match="RecipientIsLocal" class="LocalDelivery"/>
//
// Scripts are kept by webadmin and the command mailetd sieve. The language is
// RFC 5228 with the extensions body, comparator-i;ascii-numeric, copy, date,
// editheader, encoded-character, envelope, ereject, fileinto, imap4flags, index,
// mailbox, reject, relational, subaddress, vacation, vacation-seconds and variables.
//
// What the actions do:
//
//   - keep, and a script that does nothing: the mail goes where it would go without
//     a script.
//   - fileinto: the folders become the attribute DeliveryPaths_USER. They are made
//     when they are not there; mailboxexists is always true.
//   - flags: \Seen and \Flagged become Seen_USER and Important_USER, keywords
//     Keywords_USER. Other flags of IMAP have no effect. When one script stores the
//     mail with different flags or header fields, each has a mail of its own.
//   - discard: the recipient leaves the mail.
//   - redirect: a new mail to that address starts at root. The sender of its
//     envelope is that of the mail, and its field X-Sieve-Redirected-From names the
//     recipient. A mail that names the recipient there came back and is kept instead;
//     so is one redirected to the recipient himself, or redirected five times.
//   - reject: the sender gets a disposition notification (RFC 8098) with the reason.
//     ereject: a delivery status notification (RFC 3464), where the sender wants one.
//     A mail from the null sender is kept.
//   - vacation: as VacationMailet answers, from the null sender. When the store
//     fails, nobody is answered; the log says so.
//   - addheader, deleteheader: the recipient's copy is changed, and nobody else's.
//     Received, Return-Path, Delivered-To and Auto-Submitted cannot be deleted.
//
// A script with a mistake, or one that takes too much time, does nothing: the mail
// is kept, and the user gets another one with the mistake and the original,
// [SIEVE ERROR] in front of its subject. Such mails, known by the attribute
// SieveNotification, run no script. When the store of scripts fails, the mail is kept.
//
// A script may have 64 KiB, 32 actions and 5 redirects. In envelope, the recipient
// is the address as the client gave it in ORCPT when that differs by a part behind
// a plus sign only, which SubAddressing takes off.
//
// Parameters: none.
//
// Differs from James: several folders all get the mail, where James keeps the last;
// keep leaves the folder that another mailet chose; keep and fileinto after discard
// count; a redirect is done beside others; the envelope, not Reply-To, says who gets
// a rejection; vacation answers each sender once in the days given, has a field From,
// and goes on for as long as the script is active; notices of mistakes need no subject
// and come from the null sender; loops are found outside this server too, and keep the
// mail without a notice.
type Sieve struct {
	scripts   local.SieveStorage // nil: there are none
	users     sieveUsers
	cache     sieveCache
	responder responder.Responder
	reporter  reporter
	hostname  string
	log       *slog.Logger
	now       func() time.Time
}

// sieveUsers is what Sieve needs of the local data.
type sieveUsers interface {
	Username(a container.Address) string
	UserExists(ctx context.Context, a container.Address) (bool, error)
	SenderAddresses(ctx context.Context, user string) ([]string, error)
}

// sieveTime bounds one run of a script.
const sieveTime = 5 * time.Second

// Attributes of James's Sieve.
const (
	attrSieveNotification = "SieveNotification"
	attrSieveRedirect     = "org.apache.james.transport.mailets.jsieve.redirect"
	attrSieveReject       = "org.apache.james.transport.mailets.jsieve.reject"
)

func newSieve(s Services) container.MailetFactory {
	return func(*conf.Params) container.Mailet {
		return &Sieve{
			scripts: s.Sieve, users: s.Local, hostname: s.Hostname, log: s.Log, now: time.Now, reporter: newReporter(s),
			responder: responder.Responder{Notes: s.Vacations, Hostname: s.Hostname, UserName: s.Local.Username},
		}
	}
}

// sieved is what the script of one recipient says.
type sieved struct {
	rcpt   container.Address
	user   string
	result sieve.Result
	err    error // of the script: a mistake, or no end
}

// Service runs the scripts and then does what they say. All scripts see the mail
// as it came.
func (s *Sieve) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	if note, _ := m.Attributes.Bool(attrSieveNotification); note || s.scripts == nil {
		return nil
	}
	var found []sieved
	seen := make(map[string]bool, len(m.Recipients))
	for _, rcpt := range m.Recipients {
		if seen[rcpt.Key()] {
			continue
		}
		seen[rcpt.Key()] = true
		d, ok, err := s.run(ctx, m, rcpt)
		if err != nil {
			s.log.ErrorContext(ctx, "script not run, mail kept", "user", rcpt.String(), "err", err)
		}
		if ok {
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		return nil
	}
	job := sieveJob{Sieve: s, ctx: ctx, m: m, out: out, gone: map[string]bool{}, several: map[string]bool{}}
	for i := range found {
		job.several[found[i].user] = slices.ContainsFunc(found[:i], func(d sieved) bool { return d.user == found[i].user })
	}
	for i := range found {
		if err := job.apply(&found[i]); err != nil {
			return fmt.Errorf("script of %s: %w", found[i].user, err)
		}
	}
	job.finish()
	return nil
}

// run runs the script of a recipient; ok is false when there is none.
func (s *Sieve) run(ctx context.Context, m *container.Mail, rcpt container.Address) (d sieved, ok bool, err error) {
	d = sieved{rcpt: rcpt, user: s.users.Username(rcpt)}
	_, text, err := s.scripts.ActiveSieveScript(ctx, d.user)
	if errors.Is(err, local.ErrNotFound) {
		return d, false, nil
	}
	if err != nil {
		return d, false, fmt.Errorf("look up active script: %w", err)
	}
	if is, err := s.users.UserExists(ctx, rcpt); err != nil || !is {
		return d, false, err
	}
	script, err := s.cache.compile(d.user, text)
	if err == nil {
		d.result, err = s.execute(ctx, script, m, rcpt)
	}
	d.err = err
	return d, true, nil
}

// execute runs a script. Whatever happens in it, it is the script's own problem.
func (s *Sieve) execute(ctx context.Context, script *sieve.Script, m *container.Mail, rcpt container.Address) (res sieve.Result, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.log.ErrorContext(ctx, "script panicked", "user", rcpt.String(), "err", fmt.Sprint(v), "stack", string(debug.Stack()))
			res, err = sieve.Result{}, errors.New("the script could not be run; the log of the server has more")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, sieveTime)
	defer cancel()
	auth, _ := m.Attributes.String(container.AttrSMTPAuthUser)
	res, err = script.Run(ctx, sieve.Env{Message: &m.Message, From: m.Sender, To: addressedAs(m, rcpt), Auth: auth, Now: s.now()})
	if err != nil {
		return res, err
	}
	for _, a := range res.Actions {
		if a.Kind != sieve.FileInto {
			continue
		}
		if err := mailbox.CheckFolder(a.Folder); err != nil {
			return sieve.Result{}, fmt.Errorf("line %d: %w", a.Line, err)
		}
	}
	return res, nil
}

// addressedAs returns the recipient with the detail that he was addressed with
// (RFC 5233), as far as ORCPT still knows it.
func addressedAs(m *container.Mail, rcpt container.Address) container.Address {
	kind, orig := originalRecipient(m.Attributes, rcpt)
	if kind != "" && !strings.EqualFold(kind, "rfc822") && !strings.EqualFold(kind, "utf-8") {
		return rcpt
	}
	a, err := container.ParseAddress(orig)
	if err != nil || a.Domain != rcpt.Domain {
		return rcpt
	}
	if base, _, ok := strings.Cut(a.Local, "+"); ok && strings.EqualFold(base, rcpt.Local) {
		return a
	}
	return rcpt
}
