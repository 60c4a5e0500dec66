package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dsn"
	"github.com/mailetd/mailetd/container/mime"
)

// Users is what delivery needs of the local data.
type Users interface {
	// Username returns the account of an address, local@domain or local alone.
	Username(a container.Address) string
	DefaultDomain() string
}

// Dispatcher delivers a mail to the boxes of its recipients, one after the
// other; what fails for one does not stop the others.
//
// Source: org.apache.james.transport.mailets.delivery.MailDispatcher.
type Dispatcher struct {
	Store   *Store
	Users   Users
	Folder  string // for recipients whose folder no attribute says
	Retries int    // further attempts when the file system fails
	// OnError says what becomes of recipients that failed for good: "ignore"
	// drops them, "propagate" makes Dispatch fail, and everything else is the
	// processor that gets them in a mail of their own.
	OnError   string
	Delivered func() // called for each recipient delivered to
	Log       *slog.Logger

	pause func(attempt int) time.Duration // nil: see backOff
}

type failure struct {
	rcpt container.Address
	err  error
}

// Dispatch delivers m. Afterwards m has the recipients that were delivered to,
// each with its outcome.
func (d *Dispatcher) Dispatch(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	base := mime.Remove(m.Message.Header(), "Return-Path")
	var done []container.Address
	var failed []failure
	seen := make(map[string]bool, len(m.Recipients))
	for _, rcpt := range m.Recipients {
		key := rcpt.Key()
		if seen[key] {
			continue
		}
		seen[key] = true
		if err := d.deliver(ctx, m, base, rcpt); err != nil {
			failed = append(failed, failure{rcpt, err})
			continue
		}
		done = append(done, rcpt)
		d.Delivered()
		m.SetOutcome(rcpt, container.Outcome{Result: container.Delivered, Enhanced: "2.0.0",
			Text: "delivered to mailbox", Time: d.Store.now(), Attempt: 1})
		d.Log.InfoContext(ctx, "local delivery", "to", rcpt.String(), "dsn", "2.0.0", "result", container.Delivered)
	}
	if len(failed) == 0 {
		return nil
	}
	return d.handle(ctx, m, out, done, failed)
}

// handle does what OnError says with the failed recipients.
func (d *Dispatcher) handle(ctx context.Context, m *container.Mail, out *container.Outbox, done []container.Address, failed []failure) error {
	var all []error
	for _, f := range failed {
		enhanced, _ := classify(f.err)
		d.Log.ErrorContext(ctx, "local delivery", "to", f.rcpt.String(), "dsn", enhanced, "result", container.Failed, "err", f.err)
		all = append(all, fmt.Errorf("deliver to %s: %w", f.rcpt, f.err))
	}
	switch strings.ToLower(d.OnError) {
	case "propagate":
		return errors.Join(all...)
	case "ignore":
	default:
		out.Send(d.errorMail(m, failed))
	}
	m.Recipients = done
	return nil
}

// errorMail returns a mail to the failed recipients for the processor OnError.
// It keeps what the client asked about notifications, and the outcome of each
// recipient, so that a report can be written.
func (d *Dispatcher) errorMail(m *container.Mail, failed []failure) *container.Mail {
	e := m.Clone()
	e.Name, e.State, e.Attributes, e.Recipients = "error-"+m.Name, d.OnError, nil, nil
	e.Redelivered = false
	for _, name := range []string{container.AttrDSNEnvID, container.AttrDSNRet, container.AttrDSNNotify, container.AttrDSNOrcpt,
		container.AttrDSNOrcptType, container.AttrDSNArrival, container.AttrBodyType, container.AttrSMTPUTF8} {
		if v, ok := m.Attributes[name]; ok {
			e.Set(name, v)
		}
	}
	e.Attributes = e.Attributes.Clone()
	var lines []string
	for _, f := range failed {
		enhanced, text := classify(f.err)
		e.Recipients = append(e.Recipients, f.rcpt)
		e.SetOutcome(f.rcpt, container.Outcome{Result: container.Failed, Enhanced: enhanced, Text: text, Time: d.Store.now(), Attempt: 1 + d.Retries})
		lines = append(lines, fmt.Sprintf("Local delivery to %s failed: %s", f.rcpt, text))
	}
	e.ErrorMessage = strings.Join(lines, "\r\n")
	return e
}

// deliver stores the mail for one recipient, in each of the folders chosen.
func (d *Dispatcher) deliver(ctx context.Context, m *container.Mail, base []byte, rcpt container.Address) error {
	name := d.Users.Username(rcpt)
	if name == "" {
		name = strings.ToLower(rcpt.String())
	}
	msg := &Message{
		Repeated: m.Redelivered || hasFailedBefore(m),
		ID:       m.ID + "\x00" + m.Name + "\x00" + rcpt.Key(),
		Time:     nameTime(m),
		Header:   copyHeader(m, base, rcpt, name),
		Body:     m.Message.Body(),
	}
	msg.User, msg.Domain = name, d.Users.DefaultDomain()
	if i := strings.LastIndexByte(name, '@'); i >= 0 {
		msg.User, msg.Domain = name[:i], name[i+1:]
	}
	if msg.Domain == "" {
		msg.Domain = rcpt.Domain
	}
	msg.Seen, _ = m.Attributes.Bool("Seen_" + name)
	msg.Flagged, _ = m.Attributes.Bool("Important_" + name)
	for _, msg.Folder = range d.folders(m, name) {
		if err := d.try(ctx, msg); err != nil {
			return err
		}
	}
	return nil
}

// hasFailedBefore reports whether the spool runs the mail once more because
// something escaped the processors, so that parts of it may be done.
func hasFailedBefore(m *container.Mail) bool {
	n, _ := m.Attributes.Int(container.AttrErrorCount)
	return n > 0
}

// folders returns the folders that mailets chose for a user, else the default.
func (d *Dispatcher) folders(m *container.Mail, user string) []string {
	if list := m.Attributes.Strings("DeliveryPaths_" + user); len(list) > 0 {
		return list
	}
	if one, ok := m.Attributes.String("DeliveryPath_" + user); ok && one != "" {
		return []string{one}
	}
	return []string{d.Folder}
}

// try delivers one copy, again and again while the file system fails. A full
// quota or a name that cannot be used does not get better by waiting.
func (d *Dispatcher) try(ctx context.Context, msg *Message) error {
	for attempt := 1; ; attempt++ {
		err := d.Store.Deliver(msg)
		if err == nil || attempt > d.Retries || errors.Is(err, ErrName) || errors.Is(err, syscall.EDQUOT) {
			return err
		}
		wait := backOff
		if d.pause != nil {
			wait = d.pause
		}
		timer := time.NewTimer(wait(attempt))
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// backOff is the time to wait after the n-th failed attempt: from 200 ms, twice
// as long each time, up to a second.
func backOff(n int) time.Duration {
	return min(200*time.Millisecond<<min(n-1, 10), time.Second)
}

// copyHeader returns the header of the copy for rcpt, with the blank line: what
// final delivery adds (RFC 5321 §4.4: Return-Path), the fields that mailets gave
// to this recipient, and the message's own.
func copyHeader(m *container.Mail, base []byte, rcpt container.Address, user string) []byte {
	h := make([]byte, 0, len(base)+256)
	h = append(h, "Return-Path: <"+m.Sender.Path()+">\r\n"...)
	// RFC 6533 §5: the user agent needs it to answer with a disposition
	// notification (RFC 8098 §2.3).
	if original := originalRecipient(m, rcpt); original != "" {
		h = append(h, mime.FormatField("Original-Recipient", original)...)
		base = mime.Remove(base, "Original-Recipient")
	}
	for _, f := range m.RecipientHeaders[rcpt.Key()] {
		if mime.ValidName(f.Name) {
			h = append(h, mime.FormatField(f.Name, f.Value)...)
		}
	}
	if words := m.Attributes.Strings("Keywords_" + user); len(words) > 0 {
		h = append(h, mime.FormatField("X-Keywords", strings.Join(words, " "))...)
	}
	h = append(h, base...)
	return append(h, "\r\n"...)
}

// originalRecipient returns type and address that the client gave as ORCPT,
// decoded; "" when it gave none, or one that does not decode. An address of type
// utf-8 is in its ASCII form (RFC 6533 §3), since the header may be ASCII only.
func originalRecipient(m *container.Mail, rcpt container.Address) string {
	addr, ok := m.Attributes.RecipientString(container.AttrDSNOrcpt, rcpt)
	if !ok || addr == "" {
		return ""
	}
	kind, _ := m.Attributes.RecipientString(container.AttrDSNOrcptType, rcpt)
	if kind == "" {
		kind = "rfc822"
	}
	if strings.EqualFold(kind, "utf-8") {
		text, err := dsn.DecodeUnitext(addr)
		if err != nil {
			return ""
		}
		return kind + "; " + dsn.EncodeUnitext(text, true)
	}
	text, err := dsn.DecodeXtext(addr)
	if err != nil {
		return ""
	}
	return kind + "; " + text
}

// nameTime returns a time that stays the same however often the mail is run: the
// one in its name, else that of its last change.
func nameTime(m *container.Mail) time.Time {
	digits, ok := strings.CutPrefix(m.Name, "Mail")
	if i := strings.IndexByte(digits, '-'); ok && i > 0 {
		if ms, err := strconv.ParseInt(digits[:i], 10, 64); err == nil && ms > 0 {
			return time.UnixMilli(ms)
		}
	}
	return m.LastUpdated
}

// classify returns the enhanced status code (RFC 3463) of a failure, and a text
// that tells the cause without telling a stranger about our file system.
func classify(err error) (enhanced, text string) {
	switch {
	case errors.Is(err, ErrName):
		return "5.1.3", "the address or folder cannot be the name of a mailbox"
	case errors.Is(err, syscall.EDQUOT):
		return "4.2.2", "the mailbox is full"
	case errors.Is(err, syscall.ENOSPC):
		return "4.3.1", "there is no space left in the mail store"
	}
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return "4.3.0", "mail store: " + path.Op + ": " + path.Err.Error()
	case errors.As(err, &link):
		return "4.3.0", "mail store: " + link.Op + ": " + link.Err.Error()
	}
	return "4.3.0", "mail store: " + err.Error()
}
