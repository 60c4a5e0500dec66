package smtphooks

import (
	"context"
	"io"
	"mime"
	"net/mail"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// SenderAuthIdentifyVerificationHook sees to it that nobody sends in the name of
// a local user but that user. It is part of the core bundles and does what the
// server's <verifyIdentity> says (strict, relaxed or disabled):
//
//	<handler class="org.apache.james.smtpserver.SenderAuthIdentifyVerificationHook"/>
//
// At MAIL and RCPT an authenticated client must use the user's own address, an
// alias or a domain alias of it as sender, or <>; otherwise the reply is
// "503 5.7.1 Incorrect Authentication for Specified Email Address". A client
// that neither is authenticated nor may relay cannot use a sender in a local
// domain: "530 5.7.1 Authentication Required". With relaxed it can, if its HELO
// name is a host name with a dot.
//
// At the end of the message, with strict, a message without From field is
// refused ("503 5.5.4 Missing From header"), and each From address of an
// authenticated client must be the user's, as above. With relaxed this is
// looked at for authenticated clients only.
//
// Parameters: none.
//
// Differs from James: nothing.
type SenderAuthIdentifyVerificationHook struct {
	s    Services
	mode string
}

func newSenderAuthIdentifyVerification(_ *conf.Params, s Services) any {
	return &SenderAuthIdentifyVerificationHook{s: s, mode: s.Server.VerifyIdentity}
}

func incorrectAuth() Decision {
	return Refuse(503, "5.7.1", "Incorrect Authentication for Specified Email Address")
}

// Mail implements MailHook.
func (h *SenderAuthIdentifyVerificationHook) Mail(ctx context.Context, s *Session, sender container.Address) Decision {
	return h.sender(ctx, s, sender)
}

// Rcpt implements RcptHook.
func (h *SenderAuthIdentifyVerificationHook) Rcpt(ctx context.Context, s *Session, _ Recipient) Decision {
	return h.sender(ctx, s, s.Tx.Sender)
}

func (h *SenderAuthIdentifyVerificationHook) sender(ctx context.Context, s *Session, sender container.Address) Decision {
	if h.mode == conf.VerifyDisabled || sender.IsNull() {
		return Decision{}
	}
	if s.User != "" {
		return h.ownAddress(ctx, s, sender)
	}
	if s.Relaying || h.mode == conf.VerifyRelaxed && dottedHostName(s.Helo) {
		return Decision{}
	}
	isLocal, err := h.s.Local.IsLocalDomain(ctx, sender.Domain)
	if err != nil {
		return h.failed(ctx, err)
	}
	if isLocal {
		return Refuse(530, "5.7.1", "Authentication Required")
	}
	return Decision{}
}

// ownAddress declines when a is local and belongs to the authenticated user.
func (h *SenderAuthIdentifyVerificationHook) ownAddress(ctx context.Context, s *Session, a container.Address) Decision {
	isLocal, err := h.s.Local.IsLocalDomain(ctx, a.Domain)
	if err != nil {
		return h.failed(ctx, err)
	}
	if !isLocal {
		return incorrectAuth()
	}
	may, err := h.s.Local.MaySendAs(ctx, s.User, a)
	if err != nil {
		return h.failed(ctx, err)
	}
	if !may {
		return incorrectAuth()
	}
	return Decision{}
}

func (h *SenderAuthIdentifyVerificationHook) failed(ctx context.Context, err error) Decision {
	h.s.Log.ErrorContext(ctx, "sender not verified", "err", err)
	return trouble()
}

// Message implements MessageHook.
func (h *SenderAuthIdentifyVerificationHook) Message(ctx context.Context, s *Session, m *container.Mail) Decision {
	if h.mode == conf.VerifyDisabled || h.mode == conf.VerifyRelaxed && s.User == "" {
		return Decision{}
	}
	fields := fieldValues(m.Message.Header(), "From")
	if len(fields) == 0 {
		return Refuse(503, "5.5.4", "Missing From header")
	}
	if s.User == "" {
		return Decision{}
	}
	found := false
	for _, f := range fields {
		list, err := fromParser.ParseList(f)
		if err != nil {
			d := trouble()
			d.Disconnect = true
			return d
		}
		for _, a := range list {
			addr, err := container.ParseAddress(a.Address)
			if err != nil {
				return incorrectAuth()
			}
			if d := h.ownAddress(ctx, s, addr); d.decides() {
				return d
			}
			found = true
		}
	}
	if !found {
		return incorrectAuth() // an empty group
	}
	return Decision{}
}

// fromParser reads addresses whatever the charset of the names beside them.
var fromParser = mail.AddressParser{WordDecoder: &mime.WordDecoder{
	CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
}}

// fieldValues returns the values of the fields called name, unfolded.
func fieldValues(header []byte, name string) []string {
	var out []string
	inside := false
	for line := range strings.Lines(string(header)) {
		text := strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\t") {
			if inside {
				out[len(out)-1] += text
			}
			continue
		}
		field, value, _ := strings.Cut(text, ":")
		if inside = strings.EqualFold(strings.TrimRight(field, " \t"), name); inside {
			out = append(out, value)
		}
	}
	return out
}

// dottedHostName reports whether name is a host name of at least two labels.
func dottedHostName(name string) bool {
	if _, err := container.ParseDomain(name); err != nil || strings.HasPrefix(name, "[") {
		return false
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	return strings.Contains(name, ".") && last != "" && (last[0] < '0' || last[0] > '9') && !strings.Contains(name, ":")
}
