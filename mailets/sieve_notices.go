package mailets

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dsn"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/mailets/sieve"
)

// refusedText is what James says to the sender of a rejected mail.
const refusedText = "This message was refused by the recipient's mail filtering program."

// maxRejected bounds the header fields that a rejection returns.
const maxRejected = 64 << 10

// disposition returns the notification that the mail was rejected: a
// multipart/report with words, the disposition and the header of the original
// (RFC 8098 §3, RFC 5429 §2.2).
func (j *sieveJob) disposition(d *sieved, reason string) (*container.Mail, error) {
	boundary := "=_" + rand.Text()
	old := j.m.Message.Header()
	h := headFields{
		{"Date", mime.FormatDate(j.now())}, {"From", d.rcpt.Path()}, {"To", j.m.Sender.Path()},
		{"Subject", j.subject("Rejected:")}, {"Message-ID", mime.MessageID(j.hostname)},
	}
	if id, _ := mime.Get(old, "Message-ID"); id != "" && len(id) <= 512 {
		h = append(h, headField{"In-Reply-To", id}, headField{"References", id})
	}
	h = append(h, headField{"Auto-Submitted", "auto-replied (rejected)"}, headField{"MIME-Version", "1.0"},
		headField{"Content-Type", `multipart/report; report-type=disposition-notification; boundary="` + boundary + `"`})
	var b strings.Builder
	b.WriteString("--" + boundary + "\r\n" + encodedText(refusedText+" The reason given was:\n\n"+reason+"\n"))
	b.WriteString("\r\n--" + boundary + "\r\nContent-Type: message/disposition-notification\r\n\r\n")
	for _, f := range j.dispositionFields(d) {
		b.Write(mime.FormatField(f.name, f.value))
	}
	b.WriteString("\r\n--" + boundary + "\r\nContent-Type: text/rfc822-headers\r\n")
	b.WriteString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
	b.Write(mime.EncodeQuotedPrintable(wholeFields(old, maxRejected)))
	b.WriteString("\r\n--" + boundary + "--\r\n")
	n, err := j.notice(container.Address{}, j.m.Sender, container.NewMessage(h.bytes(), container.BytesBody(b.String())))
	if err != nil {
		return nil, err
	}
	n.Set(attrSieveReject, d.rcpt.String())
	if !d.rcpt.IsASCII() {
		n.Set(container.AttrSMTPUTF8, true)
	}
	return n, nil
}

// subject returns the subject of the mail behind a prefix, fit for one line.
func (j *sieveJob) subject(prefix string) string {
	const most = 500
	subject, _ := mime.Text(j.m.Message.Header(), "Subject")
	if subject = mime.Clean(subject); len(subject) > most {
		subject = strings.ToValidUTF8(subject[:most], "")
	}
	return strings.TrimSpace(prefix + " " + subject)
}

// dispositionFields are those of RFC 8098 §3.2.
func (j *sieveJob) dispositionFields(d *sieved) headFields {
	address := func(kind, a string) string {
		if mime.IsASCII(a) {
			return kind + "; " + a
		}
		return "utf-8; " + dsn.EncodeUnitext(a, true)
	}
	f := headFields{{"Reporting-UA", j.hostname + "; mailetd"}}
	if kind, orig := originalRecipient(j.m.Attributes, d.rcpt); orig != "" {
		if kind == "" {
			kind = "rfc822"
		}
		f = append(f, headField{"Original-Recipient", address(kind, orig)})
	}
	f = append(f, headField{"Final-Recipient", address("rfc822", d.rcpt.Path())})
	if id, _ := mime.Get(j.m.Message.Header(), "Message-ID"); id != "" && len(id) <= 512 && mime.IsASCII(id) {
		f = append(f, headField{"Original-Message-ID", id})
	}
	return append(f, headField{"Disposition", "automatic-action/MDN-sent-automatically; deleted/error"})
}

// wholeFields returns as many fields of a header as fit.
func wholeFields(header []byte, limit int) []byte {
	n := 0
	for f := range mime.Fields(header) {
		if n += len(f.Raw); n > limit {
			return header[:min(n-len(f.Raw), limit)]
		}
	}
	return header
}

// notify tells a user that the script has a mistake, and sends the original along
// (James: SieveFailureMessageComposer). The mail itself stays as it is.
func (j *sieveJob) notify(d *sieved) error {
	h := headFields{
		{"Date", mime.FormatDate(j.now())}, {"From", d.rcpt.Path()}, {"To", d.rcpt.Path()},
		{"Subject", j.subject("[SIEVE ERROR]")}, {"X-Priority", "1"},
		{"Message-ID", mime.MessageID(j.hostname)}, {"Auto-Submitted", "auto-generated"},
	}
	var text strings.Builder
	text.WriteString("An error was encountered while running your mail filter (Sieve script). " +
		"The attached mail was not filtered; it is in the folder where mail goes without a script.\n\n")
	var list sieve.Errors
	if errors.As(d.err, &list) {
		text.WriteString("The script has these mistakes (line:column):\n\n")
	} else {
		text.WriteString("What went wrong (line:column):\n\n")
	}
	text.WriteString(d.err.Error() + "\n")
	msg, err := redirected{inline: "none", attachment: "message"}.compose(j.m, h.bytes(), text.String())
	if err != nil {
		return fmt.Errorf("notice of a mistake in a script: %w", err)
	}
	// From the null sender: a bounce of it, to a mailbox that is full for instance,
	// would run the script again and cause the next notice.
	n, err := j.notice(container.Address{}, d.rcpt, msg)
	if err != nil {
		return err
	}
	n.Set(attrSieveNotification, true)
	if v, _ := j.m.Attributes.Bool(container.AttrSMTPUTF8); v || !d.rcpt.IsASCII() {
		n.Set(container.AttrSMTPUTF8, true)
	}
	j.out.Send(n)
	return nil
}

// notice returns a new mail of this server about the one at work.
func (j *sieveJob) notice(from, to container.Address, msg container.Message) (*container.Mail, error) {
	name, err := j.m.DeriveName()
	if err != nil {
		return nil, err
	}
	n := container.NewMail(from, []container.Address{to}, msg)
	n.Name = name
	if j.hostname != "" {
		n.RemoteHost = j.hostname
	}
	keepRequireTLS(j.m, n)
	if cte, _ := mime.Get(msg.Header(), "Content-Transfer-Encoding"); cte == "8bit" {
		n.Set(container.AttrBodyType, "8BITMIME")
	}
	if !to.IsASCII() {
		n.Set(container.AttrSMTPUTF8, true)
	}
	return n, nil
}
