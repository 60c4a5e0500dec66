package server

import (
	"context"
	"errors"
	"slices"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/smtphooks"
)

// Errors of Reload.
var (
	// ErrConfiguration: the problems are in the report.
	ErrConfiguration = errors.New("the configuration has errors")
	// ErrEnded: Run has come to its end.
	ErrEnded = errors.New("the server is stopping")
)

// build makes the servers that cfgs describe. What the present ones count and
// remember goes over to those that have the same protocol and name; of several
// with one name the first to the first, and so on.
func (s *Server) build(cfgs []conf.SMTPServer, reg *smtphooks.Registry, r *conf.Report) []*endpoint {
	before := slices.Clone(s.endpoints)
	var out []*endpoint
	for _, cfg := range cfgs {
		var predecessor *endpoint
		i := slices.IndexFunc(before, func(e *endpoint) bool { return e.cfg.LMTP == cfg.LMTP && e.cfg.Name == cfg.Name })
		if i >= 0 {
			predecessor = before[i]
			before = slices.Delete(before, i, i+1)
		}
		out = append(out, newEndpoint(s, cfg, predecessor, reg, r))
	}
	return out
}

// Reload replaces all servers by what cfgs describe, without a pause: connections
// that are open go on under the rules that they began with, new ones have the new
// rules. An address that was listened on before is listened on all the time;
// further ones are opened, and those no more wanted closed. An address that is in
// the way of a new one, such as 0.0.0.0:25 of 192.0.2.1:25, is closed a moment
// before.
//
// When there are errors in r afterwards (ErrConfiguration), an address cannot be
// listened on, ctx is over, or the server is stopping (ErrEnded), all stays as it
// was. Call it after Listen.
func (s *Server) Reload(ctx context.Context, cfgs []conf.SMTPServer, reg *smtphooks.Registry, r *conf.Report) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	endpoints := s.build(cfgs, reg, r)
	if r.HasErrors() {
		return ErrConfiguration
	}
	for _, e := range endpoints {
		e.addHosts(ctx)
	}
	if err := ctx.Err(); err != nil {
		return err // the hosts could not all be looked up
	}
	m := s.planMove(endpoints)
	if err := m.open(ctx); err != nil {
		s.undo(ctx, m)
		return err
	}
	if ctx := s.accepting(); ctx != nil {
		s.obtainCertificates(ctx, endpoints) // before they are needed
	}
	if !s.commit(endpoints, m) {
		closeAll(m.opened)
		return ErrEnded
	}
	for _, k := range m.left {
		k.drop()
	}
	s.acme.keep(wantedCertificates(endpoints))
	return nil
}

// accepting returns the context of Run, nil when Run does not accept connections.
func (s *Server) accepting() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.work == nil {
		return nil
	}
	return s.work.accepting
}

// place is one address of the new configuration.
type place struct {
	bind     string
	endpoint *endpoint
	socket   *socket // nil: to be opened
}

// move is the way from one set of sockets to another.
type move struct {
	places []place
	left   []*socket // nobody wants them
	closed []*socket // of left: in the way of new ones
	opened []*socket
}

func (s *Server) planMove(endpoints []*endpoint) *move {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &move{left: slices.Clone(s.sockets)}
	for _, e := range endpoints {
		for _, bind := range e.cfg.Bind {
			p := place{bind: bind, endpoint: e}
			if i := slices.IndexFunc(m.left, func(k *socket) bool { return k.is(bind) }); i >= 0 {
				p.socket = m.left[i]
				m.left = slices.Delete(m.left, i, i+1)
			}
			m.places = append(m.places, p)
		}
	}
	return m
}

// open opens what is new.
func (m *move) open(ctx context.Context) error {
	for i := range m.places {
		p := &m.places[i]
		if p.socket != nil {
			continue
		}
		k, err := openSocket(ctx, p.bind, p.endpoint)
		for err != nil && m.clear(p.bind, err) {
			k, err = openSocket(ctx, p.bind, p.endpoint)
		}
		if err != nil {
			return err
		}
		p.socket = k
		m.opened = append(m.opened, k)
	}
	return nil
}

// clear closes one socket that may be the reason of err; false when there is none.
func (m *move) clear(bind string, err error) bool {
	i := slices.IndexFunc(m.left, func(k *socket) bool { return k.inTheWay(bind, err) })
	if i < 0 {
		return false
	}
	m.left[i].drop()
	m.closed = append(m.closed, m.left[i])
	m.left = slices.Delete(m.left, i, i+1)
	return true
}

// undo goes back: it closes what was opened, and opens again what was closed.
func (s *Server) undo(ctx context.Context, m *move) {
	closeAll(m.opened)
	for _, old := range m.closed {
		k, err := openSocket(ctx, old.l.Addr().String(), old.endpoint.Load())
		if err != nil {
			s.services.Log.ErrorContext(ctx, "address not listened on any more", "address", old.bind, "err", err)
			continue
		}
		k.bind = old.bind
		s.replace(old, k)
	}
}

// replace puts k where old was.
func (s *Server) replace(old, k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		k.close()
		return
	}
	s.sockets = slices.Clone(s.sockets)
	s.sockets[slices.Index(s.sockets, old)] = k
	if s.work != nil {
		s.work.accept(k)
	}
}

// commit lets new connections have the new rules; false when the server stops.
func (s *Server) commit(endpoints []*endpoint, m *move) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.endpoints = endpoints
	s.sockets = make([]*socket, len(m.places))
	for i, p := range m.places {
		p.socket.endpoint.Store(p.endpoint)
		s.sockets[i] = p.socket
	}
	if s.work == nil {
		return true // Run will see to them
	}
	for _, k := range m.opened {
		s.work.accept(k)
	}
	return true
}
