package mailets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dsn"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/mailets/mailbox"
	"github.com/mailetd/mailetd/mailets/responder"
	"github.com/mailetd/mailetd/mailets/sieve"
)

// sieveJob does for one mail what the scripts of its recipients say.
type sieveJob struct {
	*Sieve
	ctx  context.Context
	m    *container.Mail
	out  *container.Outbox
	gone map[string]bool // recipients who leave the mail, by Address.Key
	// several are the users with more than one recipient: what says where their mail
	// goes is kept by user, so each of their recipients needs a mail of his own.
	several map[string]bool
}

// storing is one copy of the mail for a recipient: where it goes.
type storing struct {
	header   []byte // nil: that of the mail
	hasFlags bool
	flags    []string
	keep     bool // among the folders is the one without a script
	folders  []string
}

// apply does what one script says. Only an error that nobody can go on with is
// returned; the engine then takes back what was done. A mail that no more copies
// can be made of, as it comes from so many, stays as it is.
func (j *sieveJob) apply(d *sieved) error {
	err := j.do(d)
	if errors.Is(err, container.ErrTooManyCopies) {
		j.log.ErrorContext(j.ctx, "script not carried out, mail kept", "user", d.user, "err", err)
		return nil
	}
	return err
}

func (j *sieveJob) do(d *sieved) error {
	if d.err != nil {
		j.log.WarnContext(j.ctx, "script failed, mail kept", "user", d.user, "err", d.err)
		return j.notify(d)
	}
	var stores []storing
	keep := false // what was to be done besides could not be
	for _, a := range d.result.Actions {
		j.logAction(d.user, a)
		instead, err := false, error(nil)
		switch a.Kind {
		case sieve.Keep, sieve.FileInto:
			stores = addStoring(stores, a)
		case sieve.Redirect:
			instead, err = j.redirect(d, a)
		case sieve.Reject:
			instead, err = j.reject(d, a)
		case sieve.Reply:
			j.answer(d, a.Vacation)
		}
		if err != nil {
			return err
		}
		keep = keep || instead
	}
	if len(stores) == 0 && keep {
		stores = []storing{{keep: true}}
	}
	return j.store(d, stores)
}

// logAction writes one line for each action but the keep that nobody spoke of.
func (j *sieveJob) logAction(user string, a sieve.Action) {
	if a.Implicit {
		return
	}
	attrs := []any{"user", user, "action", a.Kind.String(), "line", a.Line}
	switch a.Kind {
	case sieve.FileInto:
		attrs = append(attrs, "folder", a.Folder)
	case sieve.Redirect:
		attrs = append(attrs, "target", a.Address.String())
	}
	j.log.InfoContext(j.ctx, "script", attrs...)
}

// addStoring puts a keep or fileinto to the one with the same header and flags.
func addStoring(stores []storing, a sieve.Action) []storing {
	i := slices.IndexFunc(stores, func(s storing) bool {
		return sameBytes(s.header, a.Header) && s.hasFlags == a.HasFlags && slices.Equal(s.flags, a.Flags)
	})
	if i < 0 {
		i = len(stores)
		stores = append(stores, storing{header: a.Header, hasFlags: a.HasFlags, flags: a.Flags})
	}
	if a.Kind == sieve.Keep {
		stores[i].keep = true
	} else {
		stores[i].folders = append(stores[i].folders, canonicalFolder(a.Folder))
	}
	return stores
}

// canonicalFolder writes the inbox in one way (RFC 3501 §5.1), so that it is one
// folder with that of keep.
func canonicalFolder(name string) string {
	if strings.EqualFold(strings.TrimPrefix(name, "/"), mailbox.Inbox) {
		return mailbox.Inbox
	}
	return name
}

// sameBytes reports whether two headers are one.
func sameBytes(a, b []byte) bool {
	return (a == nil) == (b == nil) && len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// store says on the mail, or on copies of it, how it is stored for a recipient.
func (j *sieveJob) store(d *sieved, stores []storing) error {
	if len(stores) == 0 {
		j.gone[d.rcpt.Key()] = true
		return nil
	}
	// The copies are made of the mail as it came, so it is written to last.
	for i := len(stores) - 1; i >= 0; i-- {
		st, to := stores[i], j.m
		if i > 0 || st.header != nil && len(j.m.Recipients) > 1 || j.several[d.user] && !st.plain() {
			c, err := j.fork(d)
			if err != nil {
				return err
			}
			if i > 0 {
				// The first copy tells the sender what he wants to know.
				c.Set(container.AttrDSNNotify, map[string]container.Value{d.rcpt.String(): "NEVER"})
			} else {
				j.gone[d.rcpt.Key()] = true
			}
			j.out.Fork(c)
			to = c
		}
		st.write(to, d.user)
	}
	return nil
}

// fork returns a copy of the mail for the recipient alone, that goes on behind
// this mailet.
func (j *sieveJob) fork(d *sieved) (*container.Mail, error) {
	name, err := j.m.DeriveName()
	if err != nil {
		return nil, err
	}
	c := j.m.CloneFor([][]container.Address{{d.rcpt}})[0]
	c.Name = name
	return c, nil
}

// currentFolders returns the folders that mailets chose for a user.
func currentFolders(m *container.Mail, user string) []string {
	if list := m.Attributes.Strings("DeliveryPaths_" + user); len(list) > 0 {
		return list
	}
	if one, ok := m.Attributes.String("DeliveryPath_" + user); ok && one != "" {
		return []string{one}
	}
	return []string{mailbox.Inbox}
}

// plain reports whether nothing is to be written.
func (st *storing) plain() bool { return st.header == nil && !st.hasFlags && len(st.folders) == 0 }

// write sets the attributes that LocalDelivery reads.
func (st storing) write(m *container.Mail, user string) {
	if len(st.folders) > 0 {
		var paths []container.Value
		add := func(names []string) {
			for _, n := range names {
				if !slices.Contains(paths, container.Value(n)) {
					paths = append(paths, n)
				}
			}
		}
		if st.keep {
			add(currentFolders(m, user))
		}
		add(st.folders)
		m.Set("DeliveryPaths_"+user, paths)
	}
	if st.header != nil {
		m.Message.SetHeader(st.header)
	}
	if !st.hasFlags {
		return
	}
	seen, flagged := false, false
	var words []container.Value
	for _, f := range st.flags {
		switch {
		case strings.EqualFold(f, `\Seen`):
			seen = true
		case strings.EqualFold(f, `\Flagged`):
			flagged = true
		case !strings.HasPrefix(f, `\`):
			words = append(words, f)
		}
	}
	m.Set("Seen_"+user, seen)
	m.Set("Important_"+user, flagged)
	if delete(m.Attributes, "Keywords_"+user); words != nil {
		m.Set("Keywords_"+user, words)
	}
}

// finish takes the recipients out of the mail whom their scripts sent elsewhere.
func (j *sieveJob) finish() {
	if len(j.gone) == 0 {
		return
	}
	var left []container.Address
	for _, r := range j.m.Recipients {
		if !j.gone[r.Key()] {
			left = append(left, r)
		}
	}
	j.m.Recipients = left
}

// redirectedFrom is the field that stops circles of redirects.
const redirectedFrom = "X-Sieve-Redirected-From"

// maxRedirected bounds the redirects of one message.
// With the redirects of a script it bounds how many mails users can make of one.
const maxRedirected = 5

// redirect sends the mail on (RFC 5228 §4.2). keep tells that it would come back.
func (j *sieveJob) redirect(d *sieved, a sieve.Action) (keep bool, err error) {
	from := mime.Values(j.m.Message.Header(), redirectedFrom)
	self := d.rcpt.String()
	if a.Address.Equal(d.rcpt) || len(from) >= maxRedirected ||
		slices.ContainsFunc(from, func(v string) bool { return strings.EqualFold(strings.Trim(v, "<> "), d.rcpt.Path()) }) {
		j.log.WarnContext(j.ctx, "redirect would go round in a circle, mail kept", "user", d.user, "target", a.Address.String())
		return true, nil
	}
	c, err := j.fork(d)
	if err != nil {
		return false, err
	}
	params := readParams(j.m)
	params.move(d.rcpt, []container.Address{a.Address}, false)
	old := c.Attributes
	c.Attributes, c.RecipientHeaders, c.ErrorMessage, c.Redelivered = nil, nil, "", false
	for _, name := range []string{container.AttrDSNEnvID, container.AttrDSNRet, container.AttrBodyType, container.AttrSMTPUTF8,
		container.AttrRequireTLS, container.AttrRecordedRcpts, container.AttrPriority} {
		if v, ok := old[name]; ok {
			c.Set(name, v)
		}
	}
	c.State, c.Recipients = container.StateRoot, []container.Address{a.Address}
	params.write(c, c.Recipients)
	c.Set(attrSieveRedirect, self)
	if !a.Address.IsASCII() {
		c.Set(container.AttrSMTPUTF8, true)
	}
	h := a.Header
	if h == nil {
		h = j.m.Message.Header()
	}
	c.Message.SetHeader(mime.Add(h, redirectedFrom, "<"+d.rcpt.Path()+">"))
	j.out.Send(c)
	return false, nil
}

// reject tells the sender that his mail is refused (RFC 5429 §2); keep tells that
// there is nobody to tell.
func (j *sieveJob) reject(d *sieved, a sieve.Action) (keep bool, err error) {
	if j.m.Sender.IsNull() {
		j.log.InfoContext(j.ctx, "the null sender cannot be told of a rejection, mail kept", "user", d.user)
		return true, nil
	}
	if a.Extended {
		if !mayReport(j.m.Attributes, d.rcpt, dsn.Failed) {
			return false, nil
		}
		r := told{Recipient: dsn.Recipient{Final: d.rcpt, Action: dsn.Failed, Status: "5.7.1",
			DiagnosticType: "X-Mailetd", Diagnostic: a.Text, LastAttempt: j.now()}, reason: a.Text}
		r.OriginalType, r.Original = originalRecipient(j.m.Attributes, d.rcpt)
		err := j.reporter.send(j.m, j.out, notice{action: dsn.Failed, text: refusedText, attachment: dsn.ReturnHeaders, told: []told{r}})
		if err != nil {
			return false, fmt.Errorf("report the rejection: %w", err)
		}
		return false, nil
	}
	n, err := j.disposition(d, a.Text)
	if err != nil {
		return false, err
	}
	j.out.Send(n)
	return false, nil
}

// answer is vacation (RFC 5230). A mail that cannot be answered is stored all the
// same.
func (j *sieveJob) answer(d *sieved, v *sieve.Vacation) {
	a := responder.Answer{User: d.rcpt, Handle: v.Handle, Aliases: v.Addresses, Period: v.Period,
		From: v.From, Subject: v.Subject, Text: v.Text, ReplyTo: responder.Envelope}
	if v.MIME {
		a.Text, a.MIME = "", []byte(v.Text)
	}
	names, err := j.users.SenderAddresses(j.ctx, d.user)
	if err != nil {
		j.log.ErrorContext(j.ctx, "vacation answer not sent", "user", d.user, "err", err)
		return
	}
	for _, name := range names {
		if alias, err := container.ParseAddress(name); err == nil {
			a.Aliases = append(a.Aliases, alias)
		}
	}
	sent, why, err := j.responder.Reply(j.ctx, j.m, j.out, a)
	switch {
	case err != nil:
		j.log.ErrorContext(j.ctx, "vacation answer not sent", "user", d.user, "err", err)
	case sent:
		j.log.InfoContext(j.ctx, "vacation answer sent", "user", d.user, "sender", j.m.Sender.String())
	default:
		j.log.DebugContext(j.ctx, "no vacation answer", "user", d.user, "why", why)
	}
}
