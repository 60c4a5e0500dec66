package hoptest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"strings"
	"sync"
)

// errEnd ends a session.
var errEnd = errors.New("session over")

type session struct {
	s    *Server
	num  int
	nc   net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	tls  bool
	full bool // there are too many connections
	helo string
	user string
	t    *Transaction
}

func (s *Server) accept(wg *sync.WaitGroup) {
	for {
		nc, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.opened++
		num := s.opened
		s.conns[nc] = true
		full := s.o.MaxConns > 0 && len(s.conns) > s.o.MaxConns
		s.notify()
		s.mu.Unlock()
		wg.Go(func() {
			x := &session{s: s, num: num, nc: nc, full: full}
			x.run()
			nc.Close()
			s.mu.Lock()
			delete(s.conns, nc)
			s.notify()
			s.mu.Unlock()
		})
	}
}

func (x *session) run() {
	if x.s.o.ImplicitTLS {
		x.startTLS()
	} else {
		x.setConn(x.nc)
	}
	greeting := "220 " + x.s.o.Host + " ESMTP"
	if x.full {
		greeting = "421 4.7.0 too many connections"
	}
	if x.reply("CONNECT", "", greeting) != nil || x.full {
		x.w.Flush()
		return
	}
	for {
		if x.r.Buffered() == 0 && x.w.Flush() != nil {
			return
		}
		line, err := x.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		x.s.record(line)
		if x.command(line) != nil {
			x.w.Flush()
			return
		}
	}
}

func (x *session) setConn(c net.Conn) {
	x.r, x.w = bufio.NewReaderSize(c, 32<<10), bufio.NewWriter(c)
}

func (x *session) startTLS() {
	c := tls.Server(x.nc, x.s.tls)
	x.setConn(c)
	x.tls = true
}

func (s *Server) record(line string) {
	if s.o.Discard {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, line)
	s.notify()
}

// reply sends what the script says, or def, and tells whether to end.
func (x *session) reply(stage, text, def string) error {
	_, err := x.answer(stage, text, def)
	return err
}

func (x *session) answer(stage, text, def string) (string, error) {
	r := x.s.script(stage, text, def)
	switch r {
	case Hang:
		x.w.Flush()
		<-x.hangUntil()
		return r, errEnd
	case Drop:
		return r, errEnd
	}
	lines := strings.Split(r, "\n")
	for i, l := range lines {
		if i < len(lines)-1 && len(l) >= 4 && l[3] == ' ' {
			l = l[:3] + "-" + l[4:]
		}
		x.w.WriteString(l)
		x.w.WriteString("\r\n")
	}
	if strings.HasPrefix(r, "421") {
		return r, errEnd
	}
	return r, nil
}

// hangUntil is closed when the peer goes away or the test ends: reading is the
// only way to notice.
func (x *session) hangUntil() <-chan struct{} {
	gone := make(chan struct{})
	buf := make([]byte, 4096)
	for {
		if _, err := x.r.Read(buf); err != nil {
			close(gone)
			return gone
		}
	}
}

func (x *session) command(line string) error {
	verb, arg, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	switch verb {
	case "EHLO", "HELO":
		x.helo, x.t = arg, nil
		def := "250 " + x.s.o.Host
		if verb == "EHLO" {
			def = strings.Join(append([]string{def}, x.extensions()...), "\n250 ")
		}
		return x.reply(verb, line, def)
	case "STARTTLS":
		r, err := x.answer(verb, line, "220 2.0.0 go ahead")
		if err != nil || !strings.HasPrefix(r, "220") {
			return err
		}
		if err := x.w.Flush(); err != nil {
			return err
		}
		x.startTLS()
		return nil
	case "AUTH":
		return x.auth(line, arg)
	case "MAIL":
		return x.mail(line)
	case "RCPT":
		return x.rcpt(line)
	case "DATA":
		return x.data(line)
	case "RSET":
		x.t = nil
		return x.reply(verb, line, "250 2.0.0 ok")
	case "NOOP":
		return x.reply(verb, line, "250 2.0.0 ok")
	case "QUIT":
		_ = x.reply(verb, line, "221 2.0.0 bye")
		return errEnd
	default:
		return x.reply("NOOP", line, "502 5.5.1 no such command")
	}
}

func (x *session) extensions() []string {
	var out []string
	out = append(out, x.s.o.Extensions...)
	if x.s.o.StartTLS && !x.tls {
		out = append(out, "STARTTLS")
	}
	if x.tls {
		out = append(out, x.s.o.TLSExtensions...)
	}
	if x.s.o.User != "" && (x.tls || !x.s.o.AuthAfterTLS) {
		out = append(out, "AUTH "+x.s.o.Mechanisms)
	}
	return out
}

func (x *session) auth(line, arg string) error {
	mech, initial, _ := strings.Cut(arg, " ")
	var user, pass string
	switch strings.ToUpper(mech) {
	case "PLAIN":
		if initial == "" {
			initial = x.challenge("")
		}
		b, _ := base64.StdEncoding.DecodeString(initial)
		if parts := strings.Split(string(b), "\x00"); len(parts) == 3 {
			user, pass = parts[1], parts[2]
		}
	case "LOGIN":
		if initial == "" {
			initial = x.challenge("Username:")
		}
		u, _ := base64.StdEncoding.DecodeString(initial)
		p, _ := base64.StdEncoding.DecodeString(x.challenge("Password:"))
		user, pass = string(u), string(p)
	}
	if user != x.s.o.User || pass != x.s.o.Password {
		return x.reply("AUTH", line, "535 5.7.8 bad credentials")
	}
	r, err := x.answer("AUTH", line, "235 2.7.0 welcome")
	if strings.HasPrefix(r, "235") {
		x.user = user
	}
	return err
}

func (x *session) challenge(text string) string {
	x.w.WriteString("334 " + base64.StdEncoding.EncodeToString([]byte(text)) + "\r\n")
	if x.w.Flush() != nil {
		return ""
	}
	line, _ := x.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n")
}

func (x *session) mail(line string) error {
	if x.t != nil {
		return x.reply("MAIL", line, "503 5.5.1 nested MAIL")
	}
	r, err := x.answer("MAIL", line, "250 2.1.0 ok")
	t := &Transaction{Conn: x.num, Hello: x.helo, User: x.user, TLS: x.tls, Mail: line}
	if strings.HasPrefix(r, "2") {
		x.t = t
	}
	if !x.s.o.Discard {
		x.s.mu.Lock()
		x.s.all = append(x.s.all, t)
		x.s.notify()
		x.s.mu.Unlock()
	}
	return err
}

func (x *session) rcpt(line string) error {
	if x.t == nil {
		return x.reply("NOOP", line, "503 5.5.1 MAIL first")
	}
	r, err := x.answer("RCPT", line, "250 2.1.5 ok")
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if strings.HasPrefix(r, "2") {
		x.t.Rcpts = append(x.t.Rcpts, line)
	} else {
		x.t.Refused = append(x.t.Refused, line)
	}
	return err
}

func (x *session) data(line string) error {
	if x.t == nil || len(x.t.Rcpts) == 0 {
		return x.reply("NOOP", line, "503 5.5.1 no valid recipients")
	}
	r, err := x.answer("DATA", line, "354 go ahead")
	if err != nil || !strings.HasPrefix(r, "354") {
		return err
	}
	if err := x.w.Flush(); err != nil {
		return err
	}
	if _, err := x.r.Peek(1); err != nil {
		return err
	}
	if r := x.s.script("BODY", "", ""); r == Hang {
		<-x.s.done // does not even read
		return errEnd
	} else if r == Drop {
		return errEnd
	}
	data, err := x.body()
	if err != nil {
		return err
	}
	t := x.t
	x.t = nil
	r, err = x.answer("EOM", t.Mail, "250 2.0.0 taken")
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	t.Data = data
	if strings.HasPrefix(r, "2") {
		t.Accepted = true
		x.s.accepted++
	}
	x.s.notify()
	return err
}

// body reads up to the final dot and removes the dots that were stuffed.
func (x *session) body() ([]byte, error) {
	var data []byte
	atStart := true
	for {
		line, err := x.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if atStart && bytes.Equal(line, []byte(".\r\n")) {
			return data, nil
		}
		if atStart && line[0] == '.' {
			line = line[1:]
		}
		atStart = err == nil
		if !x.s.o.Discard {
			data = append(data, line...)
		}
	}
}
