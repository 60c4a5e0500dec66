package mailets

import (
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dsn"
	"github.com/mailetd/mailetd/container/mime"
)

// reporter turns notices into mails with a report; DSNBounce and
// RecipientRewriteTable share it.
type reporter struct {
	hostname  string
	from      container.Address // postmaster unless configured
	maxReturn int64

	// For golden files.
	now                 func() time.Time
	boundary, messageID string
}

func newReporter(s Services) reporter {
	return reporter{hostname: s.Hostname, from: s.Postmaster, maxReturn: dsn.DefaultMaxReturn, now: time.Now}
}

// told is a recipient of the report and why, in words.
type told struct {
	dsn.Recipient
	reason string
}

// notice is what one mail's sender is told.
type notice struct {
	action     string
	from       container.Address // null: the reporter's
	prefix     string
	text       string
	attachment dsn.Return
	told       []told
}

// maxTold is the number of recipients in one report.
const maxTold = 1000

// send puts the reports of a notice into out: mails from the null reverse-path
// (RFC 3461 §6.1) that start at root with no attribute of the original but the
// record that stops forwarding loops and REQUIRETLS.
func (r *reporter) send(m *container.Mail, out *container.Outbox, n notice) error {
	for part := range slices.Chunk(n.told, maxTold) {
		msg, err := r.message(m, n, part)
		if err != nil {
			return err
		}
		name, err := m.DeriveName()
		if err != nil {
			return err
		}
		mail := container.NewMail(container.Address{}, []container.Address{m.Sender}, msg)
		mail.Name = name
		if r.hostname != "" {
			mail.RemoteHost = r.hostname
		}
		keepRequireTLS(m, mail)
		if rec, ok := m.Attributes[container.AttrRecordedRcpts]; ok {
			mail.Set(container.AttrRecordedRcpts, container.Attributes{"": rec}.Clone()[""])
		}
		if cte, _ := mime.Get(msg.Header(), "Content-Transfer-Encoding"); cte == "8bit" {
			mail.Set(container.AttrBodyType, "8BITMIME")
		}
		if !m.Sender.IsASCII() {
			mail.Set(container.AttrSMTPUTF8, true)
		}
		out.Send(mail)
	}
	return nil
}

func (r *reporter) message(m *container.Mail, n notice, part []told) (container.Message, error) {
	subject, _ := mime.Text(m.Message.Header(), "Subject")
	rep := dsn.Report{
		From: r.from, To: m.Sender, Date: r.now(), Boundary: r.boundary, MessageID: r.messageID,
		Subject: strings.TrimSpace(n.prefix + " " + subject), ReportingMTA: r.hostname,
		ReceivedFrom: m.RemoteHost, ReceivedFromAddr: m.RemoteAddr, MailName: m.Name,
		Text: n.words(subject, part), Original: &m.Message, Return: n.attachment, MaxReturn: r.maxReturn,
	}
	if !n.from.IsNull() {
		rep.From = n.from
	}
	if helo, ok := m.Attributes.String(container.AttrHELO); ok {
		rep.ReceivedFrom = helo // RFC 3464 §2.2.4
	}
	rep.InReplyTo, _ = mime.Get(m.Message.Header(), "Message-ID")
	if id, ok := m.Attributes.String(container.AttrDSNEnvID); ok {
		rep.EnvelopeID = decoded(id)
	}
	rep.ArrivalDate, _ = m.Attributes.Time(container.AttrDSNArrival)
	rep.DeliverBy, _ = m.Attributes.Time(container.AttrDeliverBy)
	rep.SMTPUTF8, _ = m.Attributes.Bool(container.AttrSMTPUTF8)
	switch ret, _ := m.Attributes.String(container.AttrDSNRet); strings.ToUpper(ret) {
	case "FULL":
		rep.Return = dsn.ReturnFull
	case "HDRS":
		rep.Return = dsn.ReturnHeaders
	}
	for _, t := range part {
		rep.Recipients = append(rep.Recipients, t.Recipient)
	}
	return rep.Message()
}

// words is the text for people, in James's layout.
func (n notice) words(subject string, part []told) string {
	var b strings.Builder
	b.WriteString(n.text + "\n")
	if subject != "" {
		b.WriteString("Original email subject: " + mime.Clean(subject) + "\n\n")
	}
	addrs := make([]string, len(part))
	for i, t := range part {
		addrs[i] = t.Final.String()
	}
	b.WriteString(strings.ToUpper(n.action[:1]) + n.action[1:] + " recipient(s):\n" + strings.Join(addrs, ", ") + "\n\n")
	if reasons := reasons(part); reasons != "" {
		b.WriteString("Error message:\n" + reasons + "\n")
	}
	return b.String()
}

// maxReason bounds the words of one remote host.
const maxReason = 2000

// reasons is the one reason that all recipients have, or a line for each.
func reasons(part []told) string {
	same := true
	var lines []string
	for _, t := range part {
		reason := strings.TrimSpace(t.reason)
		if len(reason) > maxReason {
			reason = strings.ToValidUTF8(reason[:maxReason], "") + " ..."
		}
		same = same && t.reason == part[0].reason
		if reason != "" {
			lines = append(lines, t.Final.Pretty()+": "+reason)
		}
	}
	switch {
	case len(lines) == 0:
		return ""
	case same:
		return strings.TrimPrefix(lines[0], part[0].Final.Pretty()+": ") + "\n"
	default:
		return strings.Join(lines, "\n") + "\n"
	}
}

// reportable: there is somebody to tell, and the mail is no report itself
// (RFC 5321 §6.1 and §4.5.4: never an error message about an error message).
func reportable(m *container.Mail) bool {
	if m.Sender.IsNull() {
		return false
	}
	auto, ok := mime.Get(m.Message.Header(), "Auto-Submitted")
	if !ok || hasPrefixFold(auto, "no") {
		return true
	}
	kind, _ := mime.Get(m.Message.Header(), "Content-Type")
	return !hasPrefixFold(kind, "multipart/report")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// recipientStrings is what the attributes of a mail say about recipients: a
// *container.RecipientLookup for many, container.Attributes for one.
type recipientStrings interface {
	RecipientString(name string, rcpt container.Address) (string, bool)
}

// mayReport reports whether RFC 3461 (§4.1, §5.2.2 to §5.2.6) lets the sender be
// told that this happened to rcpt.
func mayReport(m recipientStrings, rcpt container.Address, action string) bool {
	keyword := map[string]string{dsn.Failed: "FAILURE", dsn.Delayed: "DELAY"}[action]
	notify, ok := m.RecipientString(container.AttrDSNNotify, rcpt)
	if !ok || strings.TrimSpace(notify) == "" {
		return keyword != ""
	}
	if keyword == "" {
		keyword = "SUCCESS"
	}
	return hasKeyword(notify, keyword) && !hasKeyword(notify, "NEVER")
}

func hasKeyword(notify, keyword string) bool {
	for k := range strings.SplitSeq(notify, ",") {
		if strings.EqualFold(strings.TrimSpace(k), keyword) {
			return true
		}
	}
	return false
}

// originalRecipient returns type and address of ORCPT, decoded; "" for none.
func originalRecipient(m recipientStrings, rcpt container.Address) (kind, addr string) {
	addr, ok := m.RecipientString(container.AttrDSNOrcpt, rcpt)
	if !ok {
		return "", ""
	}
	kind, ok = m.RecipientString(container.AttrDSNOrcptType, rcpt)
	if !ok {
		kind = "rfc822"
	}
	if strings.EqualFold(kind, "utf-8") {
		if d, err := dsn.DecodeUnitext(addr); err == nil {
			return kind, d
		}
	}
	return kind, decoded(addr)
}

// decoded undoes xtext; what is none was stored by a James that did not check,
// and is shown as it is.
func decoded(s string) string {
	if d, err := dsn.DecodeXtext(s); err == nil {
		return d
	}
	return s
}
