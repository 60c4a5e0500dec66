package mailets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/mailets/managesieve"
	"github.com/mailetd/mailetd/mailets/responder"
	"github.com/mailetd/mailetd/mailets/sieve"
)

// ManageSieveMailet lets users administer their Sieve scripts by mail. The subject is
// a command of RFC 5804, such as PUTSCRIPT "vacation"; a script comes as an
// attachment of type application/sieve or with a name that ends in .sieve or .siv. The
// answer is a mail to the sender, and the mail ends here. Let it see the mails to one
// address only.
//
//	<mailet match="RecipientIs=sieve@example.com" class="ManageSieveMailet">
//	  <helpURL>https://www.example.com/sieve-by-mail.txt</helpURL>
//	  <cache>true</cache>
//	</mailet>
//
// Parameters:
//
//   - helpURL (required): where the text is that HELP is answered with: a file URL, http
//     or https.
//   - cache (default true): whether the text is read once only.
//
// The commands are HELP, CAPABILITY, HAVESPACE "name" size, PUTSCRIPT "name",
// LISTSCRIPTS, SETACTIVE "name" ("" for none), GETSCRIPT "name", DELETESCRIPT "name",
// RENAMESCRIPT "old" "new" and CHECKSCRIPT.
//
// Scripts are those of the user that the SMTP client authenticated as, who must be
// allowed to use the sender's address; mails of others are answered with NO. Mail from
// nobody, from senders of other domains, and what was sent automatically, goes on
// unanswered.
//
// Differs from James: scripts are those of the authenticated user, where James takes
// the word of the envelope for who that is; PUTSCRIPT does not store a script with
// mistakes; a user has at most 100 scripts; the answer is a plain text with a null
// reverse-path; a mail sent automatically is not answered; commands are understood in
// any case of letters; sizes are octets.
type ManageSieveMailet struct {
	scripts   local.SieveStorage
	users     sieveManagers
	responder responder.Responder
	help      helpText
	log       *slog.Logger
}

// sieveManagers is what ManageSieveMailet needs of the local data.
type sieveManagers interface {
	IsLocalDomain(ctx context.Context, domain string) (bool, error)
	MaySendAs(ctx context.Context, user string, a container.Address) (bool, error)
}

func newManageSieveMailet(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		m := &ManageSieveMailet{scripts: s.Sieve, users: s.Local, log: s.Log,
			responder: responder.Responder{Hostname: s.Hostname},
			help:      helpText{url: p.Required("helpURL"), cache: p.Bool("cache", true), readFile: s.ReadFile}}
		if err := m.help.check(); m.help.url != "" && err != nil {
			p.Fail("helpURL", err)
		}
		return m
	}
}

// Service runs the command.
func (s *ManageSieveMailet) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	if m.Sender.IsNull() || len(m.Recipients) == 0 || !byHand(m) {
		return nil
	}
	is, err := s.users.IsLocalDomain(ctx, m.Sender.Domain)
	if err != nil {
		return fmt.Errorf("manage Sieve scripts: %w", err)
	}
	if !is {
		s.log.ErrorContext(ctx, "command about Sieve scripts ignored: the sender is not local", "sender", m.Sender.String())
		return nil
	}
	text, err := s.run(ctx, m)
	if err != nil {
		return fmt.Errorf("manage Sieve scripts: %w", err)
	}
	answer, err := s.responder.Compose(m, m.Sender, responder.Answer{User: m.Recipients[0], Text: text})
	if err != nil {
		return fmt.Errorf("manage Sieve scripts: %w", err)
	}
	out.Send(answer)
	m.State = container.StateGhost
	return nil
}

// byHand reports whether a person sent the mail: answers must not be answered.
func byHand(m *container.Mail) bool {
	v, ok := mime.Get(m.Message.Header(), "Auto-Submitted")
	return !ok || hasPrefixFold(strings.TrimSpace(v), "no")
}

func (s *ManageSieveMailet) run(ctx context.Context, m *container.Mail) (string, error) {
	subject, _ := mime.Text(m.Message.Header(), "Subject")
	line := mime.Clean(subject)
	if word, _, _ := strings.Cut(line, " "); strings.EqualFold(word, "HELP") {
		text, err := s.help.read(ctx)
		if err != nil {
			s.log.ErrorContext(ctx, "help text not read", "err", err)
			text = `NO "There is no help at the moment"`
		}
		return text, nil
	}
	session := managesieve.Session{Store: s.scripts, Extensions: sieve.Extensions(), Check: func(text []byte) error {
		_, err := sieve.Compile(text, sieve.Limits{})
		return err
	}}
	var err error
	if session.User, err = s.user(ctx, m); err != nil {
		return "", err
	}
	if session.Script, err = attachedScript(m); err != nil {
		s.log.WarnContext(ctx, "Sieve script in a mail not read", "sender", m.Sender.String(), "err", err)
		return `NO "The script cannot be read from the message"`, nil
	}
	return session.Execute(ctx, line)
}

// user returns who gave the command; "" for nobody who may.
func (s *ManageSieveMailet) user(ctx context.Context, m *container.Mail) (string, error) {
	user, ok := m.Attributes.String(container.AttrSMTPAuthUser)
	if !ok || user == "" {
		return "", nil
	}
	user = strings.ToLower(user)
	if may, err := s.users.MaySendAs(ctx, user, m.Sender); err != nil || !may {
		return "", err
	}
	return user, nil
}

// maxMailedScript bounds a script in a mail, in octets before it is decoded.
const maxMailedScript = 1 << 20

// attachedScript returns the first script in a mail; nil when there is none.
func attachedScript(m *container.Mail) ([]byte, error) {
	root, err := mime.Scan(&m.Message, mime.Limits{})
	if err != nil {
		return nil, err
	}
	for part := range root.Leaves() {
		if !isScript(part) {
			continue
		}
		text, err := part.Decode(m.Message.Body(), maxMailedScript)
		if text == nil {
			text = []byte{}
		}
		return text, err
	}
	return nil, nil
}

func isScript(part *mime.Entity) bool {
	if part.MediaType == "application/sieve" {
		return true
	}
	for _, name := range part.FileNames() {
		if name = strings.ToLower(name); strings.HasSuffix(name, ".siv") || strings.HasSuffix(name, ".sieve") {
			return true
		}
	}
	return false
}

// helpText is a text somewhere else.
type helpText struct {
	url      string
	cache    bool
	readFile func(url string) ([]byte, error)

	mu   sync.Mutex
	text string
}

// check refuses a URL that cannot be read.
func (h *helpText) check() error {
	u, err := url.Parse(h.url)
	switch {
	case err != nil:
		return err
	case u.Scheme == "file":
		_, err := h.readFile(h.url)
		return err
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("want a URL that begins with file://, http:// or https://")
	}
	return nil
}

// Limits of a help text.
const (
	helpTimeout = 10 * time.Second
	maxHelp     = 256 << 10
)

// read returns the text.
func (h *helpText) read(ctx context.Context) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cache && h.text != "" {
		return h.text, nil
	}
	text, err := h.fetch(ctx)
	if err != nil {
		return "", err
	}
	h.text = string(text)
	return h.text, nil
}

func (h *helpText) fetch(ctx context.Context) ([]byte, error) {
	if strings.HasPrefix(h.url, "file:") {
		return h.readFile(h.url)
	}
	ctx, cancel := context.WithTimeout(ctx, helpTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", h.url, res.Status)
	}
	return io.ReadAll(io.LimitReader(res.Body, maxHelp))
}
