// Package ldaptest has an LDAP server for tests: a directory in memory, on a
// loopback port, that can be told to misbehave.
package ldaptest

import (
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	goldap "github.com/go-ldap/ldap/v3"
)

// Entry is an entry of the directory.
type Entry struct {
	Name       string
	Attributes map[string][]string // objectClass and all others
}

// Server is a running server.
type Server struct {
	t  testing.TB
	ln net.Listener
	wg sync.WaitGroup

	mu       sync.Mutex
	entries  []Entry
	password string
	result   uint16 // of every search, if not 0
	hang     bool
	page     int // values of member in one answer; 0 is all
	conns    map[net.Conn]bool
	opened   int
	binds    int
	filters  []string
}

// New starts a server, with TLS if config is not nil. A bind is taken with the
// password "secret" only. It ends with the test.
func New(t testing.TB, config *tls.Config, entries ...Entry) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, ln: ln, entries: entries, password: "secret", conns: map[net.Conn]bool{}}
	if config != nil {
		s.ln = tls.NewListener(ln, config)
	}
	s.wg.Go(s.accept)
	t.Cleanup(s.Close)
	return s
}

// Addr returns host:port.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Close stops listening and closes all connections.
func (s *Server) Close() {
	_ = s.ln.Close()
	s.Drop()
	s.wg.Wait()
}

// Drop closes all connections.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// Set replaces the entries.
func (s *Server) Set(entries ...Entry) { s.locked(func() { s.entries = entries }) }

// Fail gives every search from now on a result code; 0 ends it.
func (s *Server) Fail(code uint16) { s.locked(func() { s.result = code }) }

// Hang makes the server read requests and not answer.
func (s *Server) Hang(on bool) { s.locked(func() { s.hang = on }) }

// Page makes it give the attribute member in pieces of n values.
func (s *Server) Page(n int) { s.locked(func() { s.page = n }) }

// Counts returns how many connections were opened and how many binds succeeded.
func (s *Server) Counts() (opened, binds int) {
	s.locked(func() { opened, binds = s.opened, s.binds })
	return opened, binds
}

// Filters returns the filters of all searches.
func (s *Server) Filters() (out []string) {
	s.locked(func() { out = append(out, s.filters...) })
	return out
}

func (s *Server) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *Server) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.locked(func() { s.conns[c] = true; s.opened++ })
		s.wg.Go(func() { s.serve(c) })
	}
}

func (s *Server) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		s.locked(func() { delete(s.conns, c) })
	}()
	bound := false
	for {
		p, err := ber.ReadPacket(c)
		if err != nil || len(p.Children) < 2 {
			return
		}
		op := p.Children[1]
		var answers []*ber.Packet
		switch uint8(op.Tag) {
		case goldap.ApplicationBindRequest:
			code := uint16(goldap.LDAPResultInvalidCredentials)
			if len(op.Children) == 3 && string(op.Children[2].ByteValue) == s.password || len(op.Children) == 3 && op.Children[2].Data.String() == s.password {
				code, bound = goldap.LDAPResultSuccess, true
				s.locked(func() { s.binds++ })
			}
			answers = []*ber.Packet{result(goldap.ApplicationBindResponse, code)}
		case goldap.ApplicationSearchRequest:
			answers = s.search(op, bound)
		default:
			return
		}
		hang := false
		s.locked(func() { hang = s.hang })
		for _, a := range answers {
			envelope := ber.NewSequence("")
			envelope.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, p.Children[0].Value, ""))
			envelope.AppendChild(a)
			if _, err := c.Write(envelope.Bytes()); err != nil && !hang {
				return
			}
		}
	}
}

func result(tag ber.Tag, code uint16) *ber.Packet {
	r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	r.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(code), ""))
	r.AppendChild(text(""))
	r.AppendChild(text(""))
	return r
}

func text(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

// search answers a SearchRequest (RFC 4511 §4.5.1). Nobody may search who has
// not said who he is.
func (s *Server) search(op *ber.Packet, bound bool) []*ber.Packet {
	s.mu.Lock()
	defer s.mu.Unlock()
	filter, err := goldap.DecompileFilter(op.Children[6])
	if err != nil {
		return []*ber.Packet{result(goldap.ApplicationSearchResultDone, goldap.LDAPResultProtocolError)}
	}
	s.filters = append(s.filters, filter)
	switch {
	case s.hang:
		return nil
	case !bound:
		return []*ber.Packet{result(goldap.ApplicationSearchResultDone, goldap.LDAPResultInsufficientAccessRights)}
	case s.result != 0:
		return []*ber.Packet{result(goldap.ApplicationSearchResultDone, s.result)}
	}
	base := op.Children[0].Data.String()
	subtree := op.Children[1].Value.(int64) == goldap.ScopeWholeSubtree
	var wanted []string
	for _, a := range op.Children[7].Children {
		wanted = append(wanted, a.Data.String())
	}
	var out []*ber.Packet
	found := false
	for _, e := range s.entries {
		same := strings.EqualFold(e.Name, base)
		below := strings.HasSuffix(strings.ToLower(e.Name), ","+strings.ToLower(base))
		found = found || same || below
		if (same || subtree && below) && matches(op.Children[6], e) {
			out = append(out, s.entry(e, wanted))
		}
	}
	if !found {
		return []*ber.Packet{result(goldap.ApplicationSearchResultDone, goldap.LDAPResultNoSuchObject)}
	}
	return append(out, result(goldap.ApplicationSearchResultDone, 0))
}

// matches evaluates the filters &, |, !, = and =* (RFC 4511 §4.5.1.7).
func matches(f *ber.Packet, e Entry) bool {
	switch f.Tag {
	case goldap.FilterAnd:
		for _, c := range f.Children {
			if !matches(c, e) {
				return false
			}
		}
		return true
	case goldap.FilterOr:
		for _, c := range f.Children {
			if matches(c, e) {
				return true
			}
		}
		return false
	case goldap.FilterNot:
		return !matches(f.Children[0], e)
	case goldap.FilterPresent:
		return len(values(e, f.Data.String())) > 0
	case goldap.FilterEqualityMatch:
		for _, v := range values(e, f.Children[0].Data.String()) {
			if strings.EqualFold(v, f.Children[1].Data.String()) {
				return true
			}
		}
	}
	return false
}

func values(e Entry, attribute string) []string {
	for name, v := range e.Attributes {
		if strings.EqualFold(name, attribute) {
			return v
		}
	}
	return nil
}

func (s *Server) entry(e Entry, wanted []string) *ber.Packet {
	list := ber.NewSequence("")
	for _, w := range wanted {
		name, vals := s.piece(e, w)
		if len(vals) == 0 {
			continue
		}
		a := ber.NewSequence("")
		a.AppendChild(text(name))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range vals {
			set.AppendChild(text(v))
		}
		a.AppendChild(set)
		list.AppendChild(a)
	}
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, goldap.ApplicationSearchResultEntry, nil, "")
	p.AppendChild(text(e.Name))
	p.AppendChild(list)
	return p
}
