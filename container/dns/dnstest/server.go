// Package dnstest serves a DNS zone of a test's own over UDP and TCP on a
// loopback port, with real messages, so that no test asks the world.
package dnstest

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/mailetd/mailetd/container/dns"
)

// Server answers authoritatively for every name: with the records added, with
// an empty answer for another type of a name that exists, and with NXDOMAIN for
// the rest. All methods may be called while it runs.
type Server struct {
	addr string

	mu      sync.Mutex
	records map[string][]mdns.RR // by lower-case name with final dot
	rcodes  map[string]int
	silent  map[string]bool
	trunc   map[string]bool
	over    map[string]bool
	custom  func(q, standard *mdns.Msg) *mdns.Msg
	queries []Query
}

// Query is one question that arrived.
type Query struct {
	Name string // lower case, without the final dot
	Type string // such as "MX"
	Net  string // "udp" or "tcp"
}

// New starts a server with the given records (see Add); it ends with the test.
func New(t testing.TB, records ...string) *Server {
	t.Helper()
	s := &Server{records: map[string][]mdns.RR{}, rcodes: map[string]int{}, silent: map[string]bool{}, trunc: map[string]bool{}, over: map[string]bool{}}
	s.Add(t, records...)
	pc, l := listenBoth(t)
	s.addr = pc.LocalAddr().String()
	var wg sync.WaitGroup
	for _, srv := range []*mdns.Server{
		{PacketConn: pc, Handler: mdns.HandlerFunc(s.serve("udp"))},
		{Listener: l, Handler: mdns.HandlerFunc(s.serve("tcp"))},
	} {
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		wg.Go(func() { _ = srv.ActivateAndServe() })
		<-started
		t.Cleanup(func() { _ = srv.Shutdown() })
	}
	t.Cleanup(func() { pc.Close(); l.Close(); wg.Wait() })
	return s
}

// listenBoth takes one port for UDP and TCP.
func listenBoth(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	var last error
	for range 50 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			return pc, l
		}
		last = err
		pc.Close()
	}
	t.Fatalf("no port free for both UDP and TCP: %v", last)
	return nil, nil
}

// Addr returns host:port of the server.
func (s *Server) Addr() string { return s.addr }

// Resolver returns a resolver with an empty cache that asks only this server.
func (s *Server) Resolver() dns.Resolver {
	return dns.New(dns.Config{Servers: []string{s.addr}, Timeout: 2 * time.Second, Total: 5 * time.Second})
}

// Add adds records in zone file form, such as "example.org. 60 IN MX 10
// mx.example.org.". Names are absolute with or without the final dot.
func (s *Server) Add(t testing.TB, records ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range records {
		rr, err := mdns.NewRR("$ORIGIN .\n" + text)
		if err != nil || rr == nil {
			t.Fatalf("record %q: %v", text, err)
		}
		name := strings.ToLower(rr.Header().Name)
		s.records[name] = append(s.records[name], rr)
	}
}

// Remove removes all records of a name.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, fqdn(name))
}

// Fail lets every question about name be answered with an error, such as
// "SERVFAIL"; "" ends that. The name "*" stands for all names.
func (s *Server) Fail(name, rcode string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rcodes, fqdn(name))
	if rcode != "" {
		s.rcodes[fqdn(name)] = mdns.StringToRcode[rcode]
	}
}

// Silence lets questions about name go unanswered, or ends that. The name "*"
// stands for all names.
func (s *Server) Silence(name string, on bool) { s.flag(s.silent, name, on) }

// Truncate lets answers about name over UDP be cut short, or ends that.
func (s *Server) Truncate(name string, on bool) { s.flag(s.trunc, name, on) }

// Overflow lets answers about name over UDP go out in full, however large, or
// ends that.
func (s *Server) Overflow(name string, on bool) { s.flag(s.over, name, on) }

func (s *Server) flag(m map[string]bool, name string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m[fqdn(name)] = on
}

// Respond lets f make the answers: it gets the query and the answer the server
// would give. nil leaves the query unanswered.
func (s *Server) Respond(f func(q, standard *mdns.Msg) *mdns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.custom = f
}

// Queries returns the questions that arrived so far.
func (s *Server) Queries() []Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Query(nil), s.queries...)
}

// Count returns how many questions for name and type arrived so far.
func (s *Server) Count(name, typ string) int {
	n := 0
	for _, q := range s.Queries() {
		if q.Name == strings.TrimSuffix(strings.ToLower(name), ".") && q.Type == typ {
			n++
		}
	}
	return n
}

func fqdn(name string) string { return mdns.Fqdn(strings.ToLower(name)) }

func (s *Server) serve(network string) func(mdns.ResponseWriter, *mdns.Msg) {
	return func(w mdns.ResponseWriter, q *mdns.Msg) {
		if m := s.respond(network, q); m != nil {
			if network == "udp" && !s.overflows(q) {
				size := mdns.MinMsgSize
				if opt := q.IsEdns0(); opt != nil {
					size = max(size, int(opt.UDPSize()))
				}
				m.Truncate(size)
			}
			_ = w.WriteMsg(m)
		}
	}
}

func (s *Server) overflows(q *mdns.Msg) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(q.Question) == 1 && s.over[strings.ToLower(q.Question[0].Name)]
}

func (s *Server) respond(network string, q *mdns.Msg) *mdns.Msg {
	m := new(mdns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	if len(q.Question) != 1 {
		m.Rcode = mdns.RcodeFormatError
		return m
	}
	name, typ := strings.ToLower(q.Question[0].Name), q.Question[0].Qtype
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries = append(s.queries, Query{strings.TrimSuffix(name, "."), mdns.TypeToString[typ], network})
	if s.silent[name] || s.silent["*."] {
		return nil
	}
	for _, n := range []string{name, "*."} {
		if rcode, ok := s.rcodes[n]; ok {
			m.Rcode = rcode
			return m
		}
	}
	s.answer(m, name, typ)
	if s.trunc[name] && network == "udp" {
		m.Truncated, m.Answer = true, nil
	}
	if s.custom != nil {
		return s.custom(q, m)
	}
	return m
}

// answer fills m with the records of the type, going through aliases.
func (s *Server) answer(m *mdns.Msg, name string, typ uint16) {
	for range 16 {
		rrs, exists := s.records[name]
		alias := ""
		for _, rr := range rrs {
			switch t := rr.(type) {
			case *mdns.CNAME:
				m.Answer = append(m.Answer, rr)
				alias = strings.ToLower(t.Target)
			default:
				if rr.Header().Rrtype == typ {
					m.Answer = append(m.Answer, rr)
				}
			}
		}
		if alias != "" && typ != mdns.TypeCNAME {
			name = alias
			continue
		}
		if !exists {
			m.Rcode = mdns.RcodeNameError
		}
		if !exists || len(m.Answer) == 0 || m.Answer[len(m.Answer)-1].Header().Rrtype != typ {
			m.Ns = []mdns.RR{&mdns.SOA{
				Hdr: mdns.RR_Header{Name: ".", Rrtype: mdns.TypeSOA, Class: mdns.ClassINET, Ttl: 60},
				Ns:  "ns.test.", Mbox: "postmaster.test.", Serial: 1, Refresh: 60, Retry: 60, Expire: 60, Minttl: 60,
			}}
		}
		return
	}
}
