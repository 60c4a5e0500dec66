package webadmin

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/mailetd/mailetd/container/throttle"
)

// checkThrottled asks the guard, unless the address of the client is refused. A
// guard that asks for no secret refuses nobody.
func (s *Server) checkThrottled(r *http.Request) (login string, f *refusal) {
	if _, open := s.guard.(openGuard); open {
		return s.guard.check(r)
	}
	if f := s.throttled(r); f != nil {
		return "", f
	}
	login, f = s.guard.check(r)
	s.noteFailure(r.Context(), r, f)
	return login, f
}

// throttled answers 429 to an address from which too many wrong secrets came,
// whatever it sends now; nil when it may go on.
func (s *Server) throttled(r *http.Request) *refusal {
	wait := s.limiter.Blocked(remoteIP(r))
	if wait == 0 {
		return nil
	}
	return &refusal{status: http.StatusTooManyRequests, text: "Too many wrong passwords.", retry: wait}
}

// noteFailure counts a wrong secret. A right one forgives nothing: who may only
// read could otherwise guess for ever.
func (s *Server) noteFailure(ctx context.Context, r *http.Request, f *refusal) {
	if f == nil || f.wrong == "" {
		return
	}
	s.figures.guesses.Inc()
	if block := s.limiter.Failed(remoteIP(r), "", f.wrong, throttle.Default()); block > 0 {
		s.log.WarnContext(ctx, "too many wrong webadmin passwords, address refused for a while", "remote", remote(r), "seconds", block.Seconds())
	}
}

// setRetry tells the client when to come back (RFC 9110 §10.2.3).
func (f *refusal) setRetry(h http.Header) {
	if f.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(f.retry/time.Second)+1))
	}
}

// remoteIP is the address that remote shows.
func remoteIP(r *http.Request) netip.Addr {
	text := remote(r)
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	ip, _ := netip.ParseAddr(text) // what has no address is one client
	return ip
}
