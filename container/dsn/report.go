package dsn

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Actions of a recipient (RFC 3464 §2.3.3).
const (
	Failed    = "failed"
	Delayed   = "delayed"
	Delivered = "delivered"
	Relayed   = "relayed"
	Expanded  = "expanded"
)

// Return says how much of the original goes into the third part.
type Return int

// Nothing, the header fields, or all of it. Full becomes Headers when no
// recipient failed (RFC 3461 §4.3), when the message is too large, and when it
// could not be sent as it is.
const (
	ReturnNone Return = iota
	ReturnHeaders
	ReturnFull
)

// DefaultMaxReturn is the size in octets above which only the header of the
// original is returned, when Report.MaxReturn is 0.
const DefaultMaxReturn = 50 << 10

// maxHeaders bounds the header fields that are returned.
const maxHeaders = 64 << 10

// Report is the facts of one notification.
type Report struct {
	From     container.Address // who answers for the report: postmaster
	To       container.Address // reverse-path of the original
	Subject  string
	Date     time.Time // zero: now
	Boundary string    // "": a random one. Characters are added when a part has it.
	// MessageID, with angle brackets; "": a new one at ReportingMTA.
	MessageID string
	InReplyTo string // Message-ID of the original, "" when it had none

	ReportingMTA     string // our host name
	ReceivedFrom     string // HELO name of the client that gave us the original
	ReceivedFromAddr string // its IP address
	EnvelopeID       string // ENVID, decoded; "" when there was none
	ArrivalDate      time.Time
	DeliverBy        time.Time // by when the sender asked for delivery (RFC 2852); zero: he did not
	MailName         string    // field X-Mailetd-Mail-Name

	Text       string // for people; lines end with \n or CRLF
	Recipients []Recipient

	Original  *container.Message
	Return    Return
	MaxReturn int64
	SMTPUTF8  bool // the original came with SMTPUTF8
}

// Recipient is what happened for one recipient.
type Recipient struct {
	OriginalType   string // address type of ORCPT, such as rfc822; "" without ORCPT
	Original       string // its address, decoded
	Final          container.Address
	Action         string
	Status         string // enhanced status code
	RemoteMTA      string // name of the remote host, "" when none was reached
	RemoteAddr     string
	DiagnosticType string // "smtp" when a remote host said it, otherwise "X-Mailetd"
	Diagnostic     string // lines separated by \n
	LastAttempt    time.Time
	WillRetryUntil time.Time // only for Delayed
}

// ErrNullRecipient is returned for a report to the null reverse-path
// (RFC 5321 §6.1).
var ErrNullRecipient = errors.New("a report is never sent to the null reverse-path")

// Message writes the report. It fails when the facts are no report (no
// recipient, unknown action, status that is no code) or when the original
// cannot be read.
func (r *Report) Message() (container.Message, error) {
	if err := r.check(); err != nil {
		return container.Message{}, err
	}
	original, err := r.returned()
	if err != nil {
		return container.Message{}, err
	}
	text := r.Text
	if original.note != "" {
		text = strings.TrimRight(text, "\r\n") + "\n\n" + original.note + "\n"
	}
	parts := []part{textPart(text), r.statusPart()}
	if original.contentType != "" {
		parts = append(parts, original)
	}
	boundary := r.boundary(parts)
	var body bytes.Buffer
	size := len(boundary) + 6
	for _, p := range parts {
		size += len(boundary) + len(p.description) + len(p.contentType) + len(p.encoding) + len(p.content) + 100
	}
	body.Grow(size)
	eightBit := false
	for _, p := range parts {
		eightBit = eightBit || p.encoding == "8bit"
		body.WriteString("--" + boundary + "\r\n")
		p.write(&body)
		body.WriteString("\r\n")
	}
	body.WriteString("--" + boundary + "--\r\n")
	return container.NewMessage(r.header(boundary, eightBit), container.BytesBody(body.Bytes())), nil
}

func (r *Report) check() error {
	switch {
	case r.To.IsNull():
		return ErrNullRecipient
	case len(r.Recipients) == 0:
		return errors.New("report without recipients")
	}
	for _, rcpt := range r.Recipients {
		if !slices.Contains([]string{Failed, Delayed, Delivered, Relayed, Expanded}, rcpt.Action) {
			return fmt.Errorf("report with unknown action %q", rcpt.Action)
		}
		if !container.IsEnhancedCode(rcpt.Status) || !classFits(rcpt.Action, rcpt.Status) {
			return fmt.Errorf("report with status %q for action %s", rcpt.Status, rcpt.Action)
		}
		if rcpt.Final.IsNull() {
			return errors.New("report about the null address")
		}
	}
	return nil
}

// header returns the header of the report. RFC 3464 §2, RFC 3834 §3.1.
func (r *Report) header(boundary string, eightBit bool) []byte {
	date, id := r.Date, r.MessageID
	if date.IsZero() {
		date = time.Now()
	}
	if mime.Clean(id) == "" || !mime.IsASCII(id) {
		id = mime.MessageID(r.ReportingMTA)
	}
	var h []byte
	add := func(name, value string) { h = append(h, mime.FormatField(name, value)...) }
	add("Date", mime.FormatDate(date))
	add("From", r.From.Path())
	add("To", r.To.Path())
	add("Subject", r.Subject)
	add("Message-ID", id)
	if ref := mime.Clean(r.InReplyTo); ref != "" && (r.utf8() || mime.IsASCII(ref)) {
		add("In-Reply-To", r.InReplyTo)
		add("References", r.InReplyTo)
	}
	// RFC 3834 §5.2: auto-generated must not label a notification.
	add("Auto-Submitted", "auto-replied")
	add("MIME-Version", "1.0")
	h = append(h, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\""+boundary+"\"\r\n"...)
	if eightBit {
		add("Content-Transfer-Encoding", "8bit")
	}
	return h
}

// boundary returns a boundary that none of the parts has (RFC 2046 §5.1.1).
func (r *Report) boundary(parts []part) string {
	base := r.Boundary
	if base == "" {
		base = "=_" + rand.Text() // "=_" never occurs in quoted-printable
	}
	for b, n := base, 1; ; n++ {
		if !slices.ContainsFunc(parts, func(p part) bool { return bytes.Contains(p.content, []byte("--"+b)) }) {
			return b
		}
		b = fmt.Sprintf("%s_%d", base, n)
	}
}

// part is one part of the report, content with CRLF and already encoded.
type part struct {
	contentType string
	encoding    string // Content-Transfer-Encoding, "" for 7bit
	description string
	content     []byte
	note        string // what to tell people in the first part
}

func (p part) write(b *bytes.Buffer) {
	if p.description != "" {
		b.WriteString("Content-Description: " + p.description + "\r\n")
	}
	b.WriteString("Content-Type: " + p.contentType + "\r\n")
	if p.encoding != "" {
		b.WriteString("Content-Transfer-Encoding: " + p.encoding + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(p.content)
}

// textPart is the part for people.
func textPart(text string) part {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(text, "?"))
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text)
	content := []byte(strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\r\n") + "\r\n")
	p := part{contentType: "text/plain; charset=us-ascii", description: "Notification", content: content}
	if s := scan(content); s.eightBit || s.longest > maxLine {
		p.contentType = "text/plain; charset=utf-8"
		p.encoding, p.content = "quoted-printable", mime.EncodeQuotedPrintable(content)
	}
	return p
}
