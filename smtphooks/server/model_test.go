package server

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// modelMessage is the size limit of the servers that the model describes.
const modelMessage = 4096

// modelReply is one reply of the server.
type modelReply struct {
	code int
	text string // of the last line
}

// modelMail is a mail that was handed to the queue.
type modelMail struct {
	sender string
	rcpts  []string
	header string // behind the Received field
	body   string
}

// model reads what a client sent as RFC 5321, RFC 2033, RFC 3030, RFC 3207 and
// RFC 4954 say, octet by octet, and compares what the server replied and stored.
// It takes the server's word for which names and addresses are good, and for
// nothing else: where commands begin and end, which of them may come when, how
// many replies there are, and what a message consists of it finds out itself.
type model struct {
	segments [][]byte // in the clear, and under TLS
	lmtp     bool
	startTLS bool // is configured
	longest  int  // line that is taken
	replies  []modelReply
	mails    []modelMail

	in       []byte // not read yet
	tls      bool
	helo     bool
	user     bool
	sender   *string
	binary   bool // BODY=BINARYMIME
	rcpts    []string
	chunks   *modelContent
	failures int
	closed   bool
}

// modelContent is a message on its way.
type modelContent struct {
	data    []byte // without dot-stuffing
	raw     int    // octets sent
	longest int    // line
}

// kinds of lines
type modelLineKind int

const (
	whole modelLineKind = iota
	unfinished
	tooLong
	broken // a CR or LF by itself
)

// check returns what is wrong.
func (m *model) check() error {
	m.in = m.segments[0]
	if err := m.want(220); err != nil {
		return fmt.Errorf("banner: %w", err)
	}
	for !m.closed {
		line, kind := m.line(m.longest)
		before := len(m.in)
		if err := m.step(line, kind); err != nil {
			return fmt.Errorf("at %.60q, %d octets before the end: %w", line, before, err)
		}
	}
	if len(m.replies) > 0 {
		return fmt.Errorf("replies to nothing: %v", m.replies)
	}
	if len(m.mails) > 0 {
		return fmt.Errorf("smuggled: %+v", m.mails)
	}
	return nil
}

// line takes the next line off the input.
func (m *model) line(limit int) (string, modelLineKind) {
	for i, b := range m.in {
		switch {
		case b == '\r' && i+1 == len(m.in):
			m.in = nil
			return "", unfinished
		case b == '\n', b == '\r' && m.in[i+1] != '\n':
			return string(m.in[:i]), broken
		case b == '\r':
			line := string(m.in[:i])
			m.in = m.in[i+2:]
			if i > limit {
				return line, tooLong
			}
			return line, whole
		}
	}
	m.in = nil
	return "", unfinished
}

// next takes the next reply.
func (m *model) next() (modelReply, error) {
	if len(m.replies) == 0 {
		return modelReply{}, errors.New("no reply")
	}
	r := m.replies[0]
	m.replies = m.replies[1:]
	return r, nil
}

// want takes the next reply, which must have one of these codes.
func (m *model) want(codes ...int) error {
	r, err := m.next()
	if err != nil {
		return err
	}
	for _, c := range codes {
		if r.code == c {
			return nil
		}
	}
	return fmt.Errorf("reply %v, want %v", r, codes)
}

func (m *model) reset() { m.sender, m.rcpts, m.chunks = nil, nil, nil }

// end ends the conversation in the middle of a line or a message. A CR by itself
// is found out when more arrives: then 500 tells.
func (m *model) end(kind modelLineKind) error {
	m.closed = true
	if kind == broken && bytes.IndexByte(m.in, '\n') >= 0 || len(m.replies) > 0 {
		if kind != broken {
			return errors.New("reply to something unfinished")
		}
		return m.want(500)
	}
	return nil
}

func (m *model) step(line string, kind modelLineKind) error {
	switch kind {
	case unfinished, broken:
		return m.end(kind)
	case tooLong:
		return m.want(500)
	}
	line = strings.Trim(line, " \t")
	verb, arg := line, ""
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		verb, arg = line[:i], strings.Trim(line[i:], " \t")
	}
	verb = asciiCapitals(verb)
	if strings.HasPrefix(verb, "STARTTLS") {
		return m.startsTLS(verb, arg)
	}
	f := map[string]func(string) error{"MAIL": m.mail, "RCPT": m.rcpt, "DATA": m.dataCommand, "BDAT": m.bdat,
		"RSET": m.rset, "QUIT": m.quit, "NOOP": m.noop, "VRFY": m.refused, "EXPN": m.refused}[verb]
	switch {
	case f != nil:
		return f(arg)
	case m.lmtp && verb == "LHLO", !m.lmtp && (verb == "HELO" || verb == "EHLO"):
		return m.greeting()
	case !m.lmtp && verb == "AUTH":
		return m.auth(arg)
	case !m.lmtp && verb == "HELP":
		return m.refused(arg)
	}
	return m.want(500) // an unknown command
}

// asciiCapitals: there are no verbs but of ASCII letters.
func asciiCapitals(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func (m *model) noop(string) error    { return m.want(250) }
func (m *model) refused(string) error { return m.want(502) }

func (m *model) quit(arg string) error {
	m.closed = true
	if arg != "" {
		return m.want(500)
	}
	return m.want(221)
}

func (m *model) rset(arg string) error {
	if arg != "" {
		return m.want(500)
	}
	m.reset()
	return m.want(250)
}

// greeting: a refused one leaves things as they were (RFC 5321 §4.1.4).
func (m *model) greeting() error {
	r, err := m.next()
	switch {
	case err != nil:
		return err
	case r.code == 250:
		m.reset()
		m.helo = true
	case r.code != 501:
		return fmt.Errorf("reply %v to a greeting", r)
	}
	return nil
}

// simple tells whether path is an address that nobody may refuse for its form.
func simple(path string) bool {
	local, domain, ok := strings.Cut(path, "@")
	return ok && strings.Trim(local, "abcdefghijklmnopqrstuvwxyz") == "" && local != "" && (domain == "here.test" || domain == "far.test")
}

// path returns what stands between the brackets, or the first word.
func (m *model) path(arg, word string) (path, params string, ok bool) {
	name, rest, found := strings.Cut(arg, ":")
	if !found || asciiCapitals(name) != word {
		return "", "", false
	}
	rest = strings.TrimLeft(rest, " \t")
	if !strings.HasPrefix(rest, "<") {
		i := strings.IndexAny(rest+" ", " \t")
		return rest[:i], rest[i:], m.lmtp && rest != ""
	}
	quoted := false
	for i := 1; i < len(rest); i++ {
		switch {
		case quoted && rest[i] == '\\':
			i++
		case rest[i] == '"':
			quoted = !quoted
		case rest[i] == '>' && !quoted:
			return strings.Trim(rest[1:i], " \t"), rest[i+1:], true
		}
	}
	return "", "", false
}

// address is path as it is compared.
func address(path string) string {
	if path == "" || path == "@" {
		return ""
	}
	if i := strings.LastIndexByte(path, '"'); !strings.Contains(path[i+1:], "@") {
		path += "@here.test"
	}
	return strings.ToLower(strings.NewReplacer("[", "", "]", "").Replace(path))
}

func (m *model) mail(arg string) error {
	path, params, ok := m.path(arg, "FROM")
	r, err := m.next()
	switch {
	case err != nil:
		return err
	case r.code == 250:
		if !ok || m.sender != nil || !m.helo && !m.lmtp || params != "" && params[0] != ' ' && params[0] != '\t' {
			return fmt.Errorf("MAIL accepted: syntax %t, greeted %t, sender before %v", ok, m.helo, m.sender)
		}
		a := address(path)
		m.rcpts, m.chunks, m.sender = nil, nil, &a
		m.binary = slices.Contains(strings.Fields(asciiCapitals(params)), "BODY=BINARYMIME")
	case r.code/100 != 5:
		return fmt.Errorf("reply %v", r)
	case ok && params == "" && m.sender == nil && (m.helo || m.lmtp) && (path == "" || simple(path)):
		return fmt.Errorf("reply %v to a good sender", r)
	}
	return nil
}

func (m *model) rcpt(arg string) error {
	path, params, ok := m.path(arg, "TO")
	r, err := m.next()
	switch {
	case err != nil:
		return err
	case r.code == 250:
		if !ok || m.sender == nil || m.chunks != nil {
			return fmt.Errorf("RCPT accepted: syntax %t, sender %v, in BDAT %t", ok, m.sender, m.chunks != nil)
		}
		m.rcpts = append(m.rcpts, address(path))
	case r.code/100 != 5 && r.code != 451:
		return fmt.Errorf("reply %v", r)
	case ok && params == "" && m.sender != nil && m.chunks == nil && path == "bob@here.test":
		return fmt.Errorf("reply %v to a good recipient", r)
	}
	return nil
}

// startsTLS: nothing that was sent in the clear behind the command may count.
func (m *model) startsTLS(verb, arg string) error {
	r, err := m.next()
	if err != nil {
		return err
	}
	good := verb == "STARTTLS" && arg == ""
	switch {
	case r.code == 451 && (!good || len(m.in) > 0):
		m.closed = true
	case !good:
		return fmt.Errorf("reply %v to STARTTLS with an argument", r)
	case !m.startTLS || m.tls:
		if r.code != 500 {
			return fmt.Errorf("reply %v to STARTTLS out of place", r)
		}
	case m.user:
		if r.code != 501 {
			return fmt.Errorf("reply %v to STARTTLS after AUTH", r)
		}
	case r.code != 220:
		return fmt.Errorf("reply %v to STARTTLS", r)
	case len(m.in) > 0 || len(m.segments) < 2:
		m.closed = true // no handshake comes
	default:
		m.reset()
		m.in, m.tls, m.helo = m.segments[1], true, false
	}
	return nil
}

// auth: from 334 to the next other reply lines are no commands.
func (m *model) auth(arg string) error {
	said := []string{}
	if _, initial, ok := strings.Cut(arg, " "); ok {
		said = append(said, initial)
	}
	for {
		r, err := m.next()
		if err != nil {
			return err
		}
		switch r.code {
		case 334:
			line, kind := m.line(max(12288, m.longest))
			if kind == tooLong {
				return m.want(500)
			}
			if kind != whole {
				return m.end(kind)
			}
			said = append(said, line)
			continue
		case 235:
			if m.user || m.sender != nil || !knowsPassword(said) {
				return fmt.Errorf("authenticated by %q", said)
			}
			m.user = true
		case 535:
			m.failures++
		case 421:
			m.closed = true
			if m.failures++; m.failures < maxAuthFailures {
				return errors.New("closed too early")
			}
		default:
			if r.code/100 != 5 && r.code != 451 {
				return fmt.Errorf("reply %v", r)
			}
		}
		return nil
	}
}

// knowsPassword tells whether a client said a user and the password of all users.
func knowsPassword(said []string) bool {
	all := ""
	for _, s := range said {
		b, _ := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(s), "="))
		all += "\x00" + string(b)
	}
	return strings.HasSuffix(strings.TrimRight(all, "\x00"), "\x00secret") && strings.Contains(strings.ToLower(all), "@here.test\x00")
}
