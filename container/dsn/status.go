package dsn

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// maxDiagnostic bounds a Diagnostic-Code: a flood of reply lines must not fill
// the report.
const maxDiagnostic = 4096

// StatusOf returns the status code to report for a recipient with this action:
// the enhanced code of the outcome, else one of the class of its reply code,
// else def, else one of the class that the action asks for. A code of a class
// that does not go with the action is passed over (RFC 3464 §2.3.3).
func StatusOf(action string, o container.Outcome, def string) string {
	candidates := []string{o.Enhanced, "", def}
	if o.Code >= 200 && o.Code < 600 {
		candidates[1] = fmt.Sprintf("%d.0.0", o.Code/100)
	}
	for _, s := range candidates {
		if container.IsEnhancedCode(s) && classFits(action, s) {
			return s
		}
	}
	switch action {
	case Failed:
		return "5.0.0"
	case Delayed:
		return "4.0.0"
	default:
		return "2.0.0"
	}
}

// classFits: giving up on a temporary condition is failed with class 4.
func classFits(action, status string) bool {
	switch action {
	case Failed:
		return status[0] == '5' || status[0] == '4'
	case Delayed:
		return status[0] == '4'
	default:
		return status[0] == '2'
	}
}

// Diagnose fills in what an outcome tells: remote host, diagnostic and time of
// the last attempt. A reply is marked as the remote host's only when one was
// reached (RFC 3464 §2.3.5, §2.3.6).
func (rcpt *Recipient) Diagnose(o container.Outcome) {
	rcpt.RemoteMTA, rcpt.RemoteAddr, rcpt.LastAttempt = o.Host, o.Addr, o.Time
	rcpt.DiagnosticType, rcpt.Diagnostic = "X-Mailetd", replyLines(o)
	if o.Code > 0 && (o.Host != "" || o.Addr != "") {
		rcpt.DiagnosticType = "smtp"
	}
}

// replyLines restores the form of the reply, its codes on every line (RFC 3461
// §9.2).
func replyLines(o container.Outcome) string {
	if o.Code <= 0 {
		return o.Text
	}
	lines := strings.Split(strings.ReplaceAll(o.Text, "\r\n", "\n"), "\n")
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		if o.Enhanced != "" {
			l = o.Enhanced + " " + l
		}
		lines[i] = fmt.Sprintf("%03d%s%s", o.Code, sep, l)
	}
	return strings.Join(lines, "\n")
}

// statusPart is the part for programs. With a recipient of the report outside
// ASCII the way back knows SMTPUTF8, otherwise everything stays ASCII.
func (r *Report) statusPart() part {
	w := fieldWriter{utf8: r.utf8()}
	w.message(r)
	for _, rcpt := range r.Recipients {
		w.b = append(w.b, "\r\n"...)
		w.recipient(rcpt)
	}
	p := part{contentType: "message/delivery-status", description: "Delivery report", content: w.b}
	if w.utf8 {
		p.contentType, p.encoding = "message/global-delivery-status", "8bit"
	}
	return p
}

// utf8 reports whether the report itself needs SMTPUTF8 (RFC 6533 §4).
func (r *Report) utf8() bool { return !r.To.IsASCII() }

type fieldWriter struct {
	b    []byte
	utf8 bool
}

// field writes one field, folded; a value of several lines becomes one folded
// line for each.
func (w *fieldWriter) field(name, value string) {
	w.b = append(w.b, name...)
	w.b = append(w.b, ": "...)
	first := true
	for line := range strings.SplitSeq(value, "\n") {
		line = w.clean(line)
		if line == "" {
			continue
		}
		if !first {
			w.b = append(w.b, "\r\n "...)
		}
		w.b = mime.Fold(w.b, line)
		first = false
	}
	w.b = append(w.b, "\r\n"...)
}

// clean makes text fit for a field: no controls, and in the ASCII form \xNN for
// each octet outside it.
func (w *fieldWriter) clean(s string) string {
	if w.utf8 {
		return mime.Clean(s)
	}
	var b strings.Builder
	for i := range len(s) {
		if s[i] >= 0x80 {
			fmt.Fprintf(&b, `\x%02X`, s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return mime.Clean(b.String())
}

// maxWord bounds a name, so that it is never cut by folding.
const maxWord = 255

// word is clean for a name that a stranger chose: no blanks, nothing that could
// be taken for a comment or a separator, not too long.
func (w *fieldWriter) word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || strings.ContainsRune(`();\"`, r) {
			return '?'
		}
		return r
	}, w.clean(s))
	if len(s) > maxWord {
		s = strings.ToValidUTF8(s[:maxWord], "")
	}
	return s
}

func (w *fieldWriter) message(r *Report) {
	if id := strings.ReplaceAll(w.clean(r.EnvelopeID), "\t", " "); id != "" {
		w.field("Original-Envelope-Id", id)
	}
	w.field("Reporting-MTA", mtaType(r.ReportingMTA)+"; "+w.mta(r.ReportingMTA, ""))
	if from := w.mta(r.ReceivedFrom, r.ReceivedFromAddr); r.ReceivedFrom != "" || r.ReceivedFromAddr != "" {
		w.field("Received-From-MTA", "dns; "+from)
	}
	if !r.ArrivalDate.IsZero() {
		w.field("Arrival-Date", mime.FormatDate(r.ArrivalDate))
	}
	if !r.DeliverBy.IsZero() {
		w.field("Deliver-By-Date", mime.FormatDate(r.DeliverBy))
	}
	if name := w.word(r.MailName); name != "" {
		w.field("X-Mailetd-Mail-Name", name)
	}
}

// mtaType: a name that is no full domain name is not of type dns (RFC 3464
// §2.2.2).
func mtaType(host string) string {
	if d, err := container.ParseDomain(host); err == nil && strings.ContainsAny(d, ".:") {
		return "dns"
	}
	return "x-local-hostname"
}

// mta returns a host name with its address as a comment.
func (w *fieldWriter) mta(host, addr string) string {
	ip, err := netip.ParseAddr(addr)
	switch name := w.word(strings.Trim(host, "[]")); {
	case name == "" && err == nil:
		return container.LiteralDomain(ip.String())
	case name == "":
		return "unknown"
	case err == nil && name != addr:
		return container.LiteralDomain(name) + " (" + ip.String() + ")"
	default:
		return container.LiteralDomain(name)
	}
}

func (w *fieldWriter) recipient(rcpt Recipient) {
	if rcpt.OriginalType != "" {
		w.field("Original-Recipient", w.original(rcpt))
	}
	w.field("Final-Recipient", w.address(rcpt.Final))
	w.field("Action", rcpt.Action)
	w.field("Status", rcpt.Status)
	if rcpt.RemoteMTA != "" || rcpt.RemoteAddr != "" {
		w.field("Remote-MTA", "dns; "+w.mta(rcpt.RemoteMTA, rcpt.RemoteAddr))
	}
	if strings.Trim(w.clean(rcpt.Diagnostic), " \n") != "" {
		w.diagnostic(rcpt)
	}
	if !rcpt.LastAttempt.IsZero() {
		w.field("Last-Attempt-Date", mime.FormatDate(rcpt.LastAttempt))
	}
	if rcpt.Action == Delayed && !rcpt.WillRetryUntil.IsZero() {
		w.field("Will-Retry-Until", mime.FormatDate(rcpt.WillRetryUntil))
	}
}

func (w *fieldWriter) address(a container.Address) string {
	if a.IsASCII() {
		return "rfc822; " + w.clean(a.Path())
	}
	return "utf-8; " + EncodeUnitext(a.Path(), !w.utf8)
}

// original keeps the type of ORCPT as it was; an address outside ASCII has the
// type utf-8.
func (w *fieldWriter) original(rcpt Recipient) string {
	kind := strings.Trim(w.word(rcpt.OriginalType), "?")
	switch {
	case kind == "":
		kind = "unknown"
	case strings.EqualFold(kind, "utf-8") && mime.Clean(rcpt.Original) != "":
		return kind + "; " + EncodeUnitext(strings.ReplaceAll(mime.Clean(rcpt.Original), "\t", " "), !w.utf8)
	}
	addr := w.clean(rcpt.Original)
	if addr == "" {
		addr = "unknown"
	}
	return kind + "; " + addr
}

func (w *fieldWriter) diagnostic(rcpt Recipient) {
	kind, text := "X-Mailetd", rcpt.Diagnostic
	if strings.EqualFold(rcpt.DiagnosticType, "smtp") {
		kind = "smtp"
	}
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	if len(text) > maxDiagnostic {
		text = strings.ToValidUTF8(text[:maxDiagnostic], "") + " ..."
	}
	w.field("Diagnostic-Code", kind+"; "+strings.TrimLeft(text, " \t\n"))
}
