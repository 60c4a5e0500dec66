// Package hoptest is a next hop for tests: an SMTP server on a loopback port
// that does what a script says and writes down what it was sent.
//
//	hop := hoptest.New(t, hoptest.Options{})
//	hop.On("RCPT", "bob@", "550 5.1.1 no such user")
//	hop.On("EOM", "", hoptest.Hang)
//	...
//	got := hop.Wait(t, 1)[0]
//
// The script may be changed while the server runs.
package hoptest

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// Replies that are no replies.
const (
	Hang = "hang" // never answer, keep the connection
	Drop = "drop" // close the connection without an answer
)

// Stages of a session, for On. BODY is the moment at which the first octets of
// a message arrived, EOM its final dot.
var stages = []string{"CONNECT", "EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BODY", "EOM", "RSET", "NOOP", "QUIT"}

// DefaultExtensions is what a hop offers unless Options says otherwise.
var DefaultExtensions = []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 50000000", "ENHANCEDSTATUSCODES"}

// Options is what a hop is like. The zero value is a modern hop without TLS
// and AUTH.
type Options struct {
	Host string // name in greeting, EHLO and certificate; "hop.test" by default
	// Addr is the loopback address and port to listen on, "127.0.0.1:0" by
	// default. Several hops can have the same port on 127.0.0.1, 127.0.0.2, ...
	Addr string
	// Extensions are the EHLO lines; nil stands for DefaultExtensions. STARTTLS
	// and AUTH are added by the fields below.
	Extensions []string
	// TLSExtensions are offered besides on an encrypted connection.
	TLSExtensions []string
	StartTLS      bool     // offer STARTTLS
	ImplicitTLS   bool     // speak TLS from the first octet
	CertNames     []string // names and addresses in the certificate; nil: Host
	// User and Password let the hop offer AUTH with Mechanisms ("PLAIN LOGIN"
	// by default). AuthAfterTLS offers it on encrypted connections only.
	User, Password string
	Mechanisms     string
	AuthAfterTLS   bool
	// MaxConns is how many connections may be open at once; more are greeted with
	// 421. 0: any number.
	MaxConns int
	// Discard keeps no message data, for benchmarks.
	Discard bool
}

// Transaction is one MAIL command and what followed.
type Transaction struct {
	Conn     int    // number of the connection, from 1
	Hello    string // argument of EHLO or HELO
	User     string // who authenticated
	TLS      bool
	Mail     string   // the MAIL line as it came
	Rcpts    []string // accepted RCPT lines as they came
	Refused  []string // refused ones
	Data     []byte   // message without dot-stuffing, as it came
	Accepted bool     // the final dot was answered 2xx
}

// To returns the accepted recipients.
func (t Transaction) To() []string {
	out := make([]string, len(t.Rcpts))
	for i, line := range t.Rcpts {
		out[i] = Path(line)
	}
	return out
}

// Path returns what stands between < and > in a MAIL or RCPT line.
func Path(line string) string {
	_, rest, _ := strings.Cut(line, "<")
	if i := strings.LastIndexByte(rest, '>'); i >= 0 {
		return rest[:i]
	}
	return rest
}

// Server is a running hop. All methods may be called at any time.
type Server struct {
	o     Options
	l     net.Listener
	tls   *tls.Config
	roots *x509.CertPool
	caPEM []byte

	mu       sync.Mutex
	rules    []rule // the last one that fits decides
	all      []*Transaction
	accepted int
	conns    map[net.Conn]bool
	opened   int
	commands []string
	changed  chan struct{} // closed and replaced at every change
	done     chan struct{}
}

type rule struct {
	stage, match, reply string
	times               int // 0: for ever
}

// New starts a hop; it ends with the test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Host == "" {
		o.Host = "hop.test"
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Extensions == nil {
		o.Extensions = DefaultExtensions
	}
	if o.Mechanisms == "" {
		o.Mechanisms = "PLAIN LOGIN"
	}
	s := &Server{o: o, conns: map[net.Conn]bool{}, changed: make(chan struct{}), done: make(chan struct{})}
	if o.StartTLS || o.ImplicitTLS {
		s.makeCertificate(t)
	}
	l, err := net.Listen("tcp", o.Addr)
	if err != nil {
		t.Fatal(err)
	}
	s.l = l
	var wg sync.WaitGroup
	wg.Go(func() { s.accept(&wg) })
	t.Cleanup(func() {
		close(s.done)
		l.Close()
		s.DropAll()
		wg.Wait()
	})
	return s
}

// Addr returns where the hop listens.
func (s *Server) Addr() netip.AddrPort { return s.l.Addr().(*net.TCPAddr).AddrPort() }

// Port returns the port it listens on.
func (s *Server) Port() int { return int(s.Addr().Port()) }

// Roots returns the authority that signed the hop's certificate.
func (s *Server) Roots() *x509.CertPool { return s.roots }

// RootsPEM is Roots as a PEM file.
func (s *Server) RootsPEM() []byte { return s.caPEM }

// On lets commands of a stage whose text contains match be answered with reply:
// lines separated by \n, Hang or Drop. Of the rules that fit the newest decides.
// A reply 421 closes the connection. Stages: CONNECT EHLO HELO STARTTLS AUTH
// MAIL RCPT DATA BODY EOM RSET NOOP QUIT.
func (s *Server) On(stage, match, reply string) { s.Times(0, stage, match, reply) }

// Times is On for the next n commands that fit.
func (s *Server) Times(n int, stage, match, reply string) {
	known := false
	for _, st := range stages {
		known = known || st == stage
	}
	if !known {
		panic("hoptest: no stage " + stage)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, rule{stage, match, reply, n})
}

// Clear removes all rules.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// script returns the reply for a command, or def.
func (s *Server) script(stage, text, def string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.rules) - 1; i >= 0; i-- {
		r := &s.rules[i]
		if r.stage != stage || r.times < 0 || !strings.Contains(text, r.match) {
			continue
		}
		if r.times == 1 {
			r.times = -1
		} else if r.times > 1 {
			r.times--
		}
		return r.reply
	}
	return def
}

// Connections returns how many connections there were so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened
}

// Open returns how many connections are open.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Commands returns all command lines so far, of all connections.
func (s *Server) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.commands...)
}

// DropAll closes the open connections without a word.
func (s *Server) DropAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// Transactions returns the accepted messages, in the order of MAIL.
func (s *Server) Transactions() []Transaction { return s.list(true) }

// Attempts returns all transactions, accepted or not.
func (s *Server) Attempts() []Transaction { return s.list(false) }

func (s *Server) list(accepted bool) []Transaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Transaction
	for _, t := range s.all {
		if t.Accepted || !accepted {
			out = append(out, *t)
		}
	}
	return out
}

// Accepted returns how many messages were accepted.
func (s *Server) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Wait waits until n messages were accepted and returns all of them.
func (s *Server) Wait(t testing.TB, n int) []Transaction {
	t.Helper()
	s.Until(t, func() bool { return s.Accepted() >= n })
	return s.Transactions()
}

// Until waits until cond holds, which is asked again whenever something happens
// at the hop, and gives up after 20 s.
func (s *Server) Until(t testing.TB, cond func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if cond() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("gave up waiting for the hop: %d messages, commands %q", s.Accepted(), s.Commands())
		}
	}
}

// notify wakes Until; s.mu is held.
func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}
