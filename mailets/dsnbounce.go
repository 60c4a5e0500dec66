package mailets

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dsn"
)

// DSNBounce sends a delivery status notification (RFC 3464) about the recipients
// of the mail to its sender.
//
//	<mailet match="DSNFailureRequested" class="DSNBounce">
//	  <sender>postmaster</sender>
//	  <prefix>[FAILED]</prefix>
//	  <action>failed</action>
//	  <defaultStatus>5.0.0</defaultStatus>
//	  <attachment>heads</attachment>
//	  <messageString>Hi. This is the mail server at [machine].</messageString>
//	  <passThrough>true</passThrough>
//	  <maxReturnSize>50K</maxReturnSize>
//	</mailet>
//
// Parameters:
//
//   - sender (default postmaster): address in From, or one of the words
//     postmaster, sender (the sender of the mail) and unaltered (as postmaster).
//   - prefix (default Re:): stands before the subject of the mail.
//   - attachment (default message): what is returned of the mail when the client
//     did not say (RET): none, heads, or message (all of it). All of it comes
//     back only with action failed and up to maxReturnSize.
//   - messageString: the first lines of the text; the default goes with the
//     action. [machine] stands for the name of this server.
//   - passThrough (default true): whether the mail goes on to the next mailet.
//   - debug (default false): logs each report.
//   - action (default failed): failed, delayed, delivered, relayed or expanded.
//   - defaultStatus (default unknown): status code (RFC 3463) of a recipient of
//     which nothing better is known. A word that is none, or of a class that does
//     not go with the action, counts as 5.0.0, 4.0.0 or 2.0.0.
//   - maxReturnSize (default 50K): a larger mail is returned as its header.
//   - reportingMta (default the name of this server): host name in Reporting-MTA.
//
// A recipient is reported only when RFC 3461 lets it: never with NOTIFY=NEVER,
// nor with a NOTIFY that lacks the keyword of the action; without NOTIFY for
// failed and delayed only. When nobody is left, when the sender is null, or when
// the mail is itself a report, nothing is sent. A delay is reported once for
// each recipient of a mail, noted in the attribute dsn-delay-reported.
//
// Differs from James: Status is a status code, taken from the reply to the
// recipient; Original-Recipient and Remote-MTA are given; each recipient has its
// own Diagnostic-Code, with the lines of a reply folded; Original-Envelope-Id is
// decoded; Last-Attempt-Date is left out when no attempt is known. Date is the
// time of the report. There is no Reply-To, and References beside In-Reply-To.
// Attributes of the mail are not copied. NOTIFY is obeyed whatever the matcher
// is, a delay is not reported twice, whole mails are returned for failures only
// and up to a size; the default text is another. maxReturnSize and reportingMta are new.
type DSNBounce struct {
	reporter
	fromSender    bool
	prefix        string
	text          string
	action        string
	defaultStatus string
	attachment    dsn.Return
	passThrough   bool
	debug         bool
	log           *slog.Logger
}

// attrDelayReported has a key for each recipient whose delay was reported.
const attrDelayReported = "dsn-delay-reported"

// dsnTexts are the default first lines for each action.
var dsnTexts = map[string]string{
	dsn.Failed: `This is the mail server at [machine].
Your message could not be delivered to the addresses listed below. This is
final: no further attempt will be made. What is known of the reason follows.
`,
	dsn.Delayed: `This is the mail server at [machine].
Your message could not be delivered yet to the addresses listed below. There is
nothing you need to do: delivery will be tried again.
`,
	dsn.Delivered: `This is the mail server at [machine].
Your message was delivered to the addresses listed below. Whether it was read
is not known here.
`,
	dsn.Relayed: `This is the mail server at [machine].
Your message was handed over to the mail servers of the addresses listed below.
They send no report of their own when it is delivered.
`,
	dsn.Expanded: `This is the mail server at [machine].
Your message was sent on to the addresses behind those listed below.
`,
}

func newDSNBounce(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		p.Strict()
		d := &DSNBounce{
			reporter:      newReporter(s),
			prefix:        p.String("prefix", "Re:"),
			defaultStatus: p.String("defaultStatus", "unknown"),
			passThrough:   p.Bool("passThrough", true),
			debug:         p.Bool("debug", false),
			log:           logger(s),
		}
		d.from, d.fromSender = readFrom(p, d.from, "sender")
		d.readAction(p)
		d.text = strings.ReplaceAll(p.String("messageString", dsnTexts[d.action]), "[machine]", machineName(s))
		d.readAttachment(p)
		d.maxReturn = p.Size("maxReturnSize", dsn.DefaultMaxReturn)
		if name := p.String("reportingMta", ""); name != "" {
			d.hostname = strings.TrimSpace(name[strings.IndexByte(name, ';')+1:])
		}
		return d
	}
}

func logger(s Services) *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

func machineName(s Services) string {
	if s.Hostname == "" {
		return "[address unknown]"
	}
	return s.Hostname
}

func (d *DSNBounce) readAction(p *conf.Params) {
	v := p.String("action", dsn.Failed)
	switch d.action = strings.ToLower(v); d.action {
	case dsn.Failed, dsn.Delayed, dsn.Delivered, dsn.Relayed, dsn.Expanded:
	default:
		//lint:ignore ST1005 James's text
		err := fmt.Errorf("Action '%s' is not supported", v)
		p.Fail("action", err)
	}
}

func (d *DSNBounce) readAttachment(p *conf.Params) {
	switch v := p.String("attachment", "message"); strings.ToLower(v) {
	case "none":
		d.attachment = dsn.ReturnNone
	case "heads":
		d.attachment = dsn.ReturnHeaders
	case "message", "body", "all", "unaltered":
		d.attachment = dsn.ReturnFull
	default:
		p.Warn("attachment", "<attachment> is %q, not message, heads or none; using none", v)
	}
}

// Service sends the report.
func (d *DSNBounce) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	if reportable(m) {
		if err := d.report(ctx, m, out); err != nil {
			return fmt.Errorf("report %s recipients: %w", d.action, err)
		}
	}
	if !d.passThrough {
		m.State = container.StateGhost
	}
	return nil
}

func (d *DSNBounce) report(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	var told []told
	asked := m.Attributes.Lookup()
	for _, rcpt := range m.Recipients {
		if !mayReport(&asked, rcpt, d.action) || d.action == dsn.Delayed && delayReported(m, rcpt) {
			continue
		}
		told = append(told, d.recipient(m, &asked, rcpt))
	}
	if len(told) == 0 {
		return nil
	}
	n := notice{action: d.action, text: d.text, prefix: d.prefix, attachment: d.attachment, told: told}
	if d.fromSender {
		n.from = m.Sender
	}
	if err := d.send(m, out, n); err != nil {
		return err
	}
	if d.action == dsn.Delayed {
		noteDelay(m, told)
	}
	if d.debug {
		d.log.InfoContext(ctx, "report sent", "action", d.action, "from", m.Sender.Pretty(), "recipients", len(told))
	}
	return nil
}

// recipient gathers what is known about one recipient.
func (d *DSNBounce) recipient(m *container.Mail, asked recipientStrings, rcpt container.Address) told {
	o, known := m.Outcome(rcpt)
	if known = known && resultFits(d.action, o); !known {
		o = container.Outcome{}
		if d.action == dsn.Failed || d.action == dsn.Delayed {
			o = outcomeOfMail(m)
		}
	}
	t := told{Recipient: dsn.Recipient{Final: rcpt, Action: d.action, Status: dsn.StatusOf(d.action, o, d.defaultStatus)}}
	t.OriginalType, t.Original = originalRecipient(asked, rcpt)
	if d.action == dsn.Failed || d.action == dsn.Delayed || known {
		t.Diagnose(o)
	}
	if d.action == dsn.Delayed {
		t.WillRetryUntil, _ = m.Attributes.Time(container.AttrRetryUntil)
	}
	if d.action == dsn.Failed || d.action == dsn.Delayed {
		t.reason = o.Reply()
		if !known && o.Code != 0 {
			t.DiagnosticType = "smtp" // delivery-error is what the remote host said
		}
	}
	return t
}

// resultFits reports whether an outcome is about what is reported: an outcome
// may be older than the last turn of the mail. A temporary failure that
// RemoteDelivery gave up on can still be a delay: the processors decide.
func resultFits(action string, o container.Outcome) bool {
	switch action {
	case dsn.Failed:
		return o.Result == container.Failed || o.Result == container.Deferred
	case dsn.Delayed:
		return o.Result == container.Deferred || o.Result == container.Failed && (o.Code/100 == 4 || strings.HasPrefix(o.Enhanced, "4."))
	case dsn.Expanded:
		return false
	default:
		return o.Result == container.Delivered || o.Result == container.Relayed
	}
}

// outcomeOfMail is what the mail as a whole says when there is no outcome for
// the recipient: the attribute delivery-error, else the first line of its error
// message (a stack trace may follow).
func outcomeOfMail(m *container.Mail) container.Outcome {
	text, ok := m.Attributes.String(container.AttrDeliveryError)
	if !ok {
		text, _, _ = strings.Cut(strings.TrimSpace(m.ErrorMessage), "\n")
	}
	var o container.Outcome
	o.Code, o.Enhanced, o.Text = container.SplitReply(text)
	if !ok {
		// Our own words, even when they look like a reply.
		return container.Outcome{Enhanced: o.Enhanced, Text: strings.TrimSpace(text)}
	}
	return o
}

func delayReported(m *container.Mail, rcpt container.Address) bool {
	all, _ := m.Attributes.Map(attrDelayReported)
	_, ok := all[rcpt.Key()].(time.Time)
	return ok
}

func noteDelay(m *container.Mail, told []told) {
	all, ok := m.Attributes.Map(attrDelayReported)
	if !ok {
		all = map[string]container.Value{}
		m.Set(attrDelayReported, all)
	}
	for _, t := range told {
		all[t.Final.Key()] = time.Now()
	}
}
