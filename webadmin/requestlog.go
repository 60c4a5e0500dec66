package webadmin

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

// logRequest counts a request and writes a line about it, and one more about every change.
// Bodies are never logged: they hold passwords and mail.
func (s *Server) logRequest(r *http.Request, w *response, took time.Duration) {
	s.figures.answered(w.status)
	q := requestOf(r)
	attrs := []slog.Attr{
		slog.Uint64("request", q.id), slog.String("method", r.Method), slog.String("path", q.path),
		slog.String("query", r.URL.RawQuery), slog.Int("status", w.status),
		slog.String("remote", remote(r)), slog.String("login", q.login),
	}
	if from := remote(r); from != r.RemoteAddr {
		attrs = append(attrs, slog.String("proxy", r.RemoteAddr)) // which said who it is
	}
	s.log.LogAttrs(r.Context(), slog.LevelInfo, "webadmin request",
		append(slices.Clip(attrs), slog.Int64("size", w.length), slog.Float64("seconds", took.Seconds()))...)
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return
	}
	if w.status < 200 || w.status > 299 {
		return
	}
	if q.task != "" {
		attrs = append(attrs, slog.String("task", q.task))
	}
	s.log.LogAttrs(r.Context(), slog.LevelInfo, "webadmin change", attrs...)
}

// remote returns the address of the client. X-Real-IP is believed when the
// connection comes from this machine, where a proxy may be; X-Forwarded-For, to
// which clients add what they like, never.
func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	if ip, err := netip.ParseAddr(r.Header.Get("X-Real-IP")); err == nil && loopbackHost(host) {
		return ip.String()
	}
	return r.RemoteAddr
}
