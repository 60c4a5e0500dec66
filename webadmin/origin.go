package webadmin

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// setCORS adds the headers that James sends with every answer.
func (s *Server) setCORS(h http.Header) {
	h.Set("Access-Control-Allow-Origin", s.cfg.CORSOrigin)
	h.Set("Access-Control-Request-Method", "DELETE, GET, POST, PUT")
	h.Set("Access-Control-Allow-Headers", "Content-Type, Authorization, Accept")
}

// preflight answers OPTIONS: whatever is asked for is allowed, as in James.
func preflight(w http.ResponseWriter, r *http.Request) {
	if v := r.Header.Get("Access-Control-Request-Headers"); v != "" {
		w.Header().Set("Access-Control-Allow-Headers", v)
	}
	if v := r.Header.Get("Access-Control-Request-Method"); v != "" {
		w.Header().Set("Access-Control-Allow-Methods", v)
	}
	w.WriteHeader(http.StatusOK)
}

// foreign refuses what a page of another origin makes a browser send, when the
// API asks for no credentials and the operator did not ask for CORS: otherwise
// any page that is open on this machine could read and send mail. Scripts send
// neither of the headers it looks at.
func (s *Server) foreign(r *http.Request) *refusal {
	if _, open := s.guard.(openGuard); !open || s.trusted(r.Header.Get("Origin")) {
		return nil
	}
	f := &refusal{status: http.StatusForbidden, text: "Requests of other origins are refused: set a password, or cors.enable=true."}
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case site != "" && site != "none" && site != "same-origin":
		return f
	case !sameOrigin(r):
		return f
	case loopbackHost(s.cfg.Host) && !localName(r.Host, s.deps.Hostname):
		return f // a foreign name that was made to point to this machine
	}
	return nil
}

// trusted reports whether the operator let pages of an origin use the API.
func (s *Server) trusted(origin string) bool {
	return s.cfg.CORSTrusted && (s.cfg.CORSOrigin == "*" || strings.EqualFold(s.cfg.CORSOrigin, origin))
}

// sameOrigin reports whether the header Origin, if any, is the host asked.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// localName reports whether the host of a request is an address, a name without
// dots, or that of this machine: no name that a stranger could have registered.
func localName(hostport, hostname string) bool {
	u := url.URL{Host: hostport}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return !strings.Contains(host, ".") || loopbackHost(host) || strings.EqualFold(host, hostname)
}
