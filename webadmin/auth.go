package webadmin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// refusal is an answer in plain text, as James gives it to whoever may not pass.
type refusal struct {
	status int
	text   string
	wrong  string        // the secret that was given, when it was wrong
	retry  time.Duration // for 429
}

// guard decides who may pass. login names the caller in the log.
type guard interface {
	check(r *http.Request) (login string, f *refusal)
}

// newGuard returns the guard that the configuration asks for: JWT before
// passwords before none.
func newGuard(cfg Config, readFile func(string) ([]byte, error), log *slog.Logger) (guard, error) {
	if cfg.JWT {
		pem, err := readFile(cfg.JWTKeys)
		if err != nil {
			return nil, fmt.Errorf("read jwt.publickeypem.url: %w", err)
		}
		return newJWTGuard(pem)
	}
	var g passwordGuard
	g.add("password", cfg.Passwords, func(string) bool { return true })
	g.add("password.nodelete", cfg.NoDelete, func(method string) bool { return method != http.MethodDelete })
	g.add("password.readonly", cfg.ReadOnly, func(method string) bool { return method == http.MethodGet || method == http.MethodHead })
	switch {
	case len(g) > 0:
	case cfg.GeneratePassword:
		var b [32]byte
		rand.Read(b[:]) // never returns an error
		password := base64.URLEncoding.EncodeToString(b[:])
		log.Warn("Generated WebAdmin password: " + password)
		g.add("password", []string{password}, func(string) bool { return true })
	default:
		if !loopbackHost(cfg.Host) {
			log.Warn("webadmin asks for no password and can be reached from other machines: set password or jwt.enabled in webadmin.properties", "host", cfg.Host)
		}
		return openGuard{}, nil
	}
	return g, nil
}

// openGuard lets everybody pass.
type openGuard struct{}

func (openGuard) check(*http.Request) (string, *refusal) { return "", nil }

// passwordGuard asks for one of its secrets, in the header Password or as a
// bearer token.
type passwordGuard []secret

type secret struct {
	name   string // the key of the configuration, and with #2 the second there: for the log
	digest [sha256.Size]byte
	allows func(method string) bool
}

func (g *passwordGuard) add(key string, passwords []string, allows func(string) bool) {
	for i, p := range passwords {
		name := key
		if i > 0 {
			name += "#" + strconv.Itoa(i+1)
		}
		*g = append(*g, secret{name, sha256.Sum256([]byte(p)), allows})
	}
}

// check looks at every secret, so that the time it takes tells nothing.
func (g passwordGuard) check(r *http.Request) (string, *refusal) {
	given, ok := bearer(r)
	if v := r.Header.Values("Password"); len(v) > 0 {
		given, ok = v[0], true
	}
	if !ok {
		return "", &refusal{status: http.StatusUnauthorized, text: "No Password in header."}
	}
	digest := sha256.Sum256([]byte(given))
	known, login, allowed := 0, "", false
	for _, s := range g {
		eq := subtle.ConstantTimeCompare(digest[:], s.digest[:])
		known |= eq
		if eq == 1 && !allowed {
			login, allowed = s.name, s.allows(r.Method)
		}
	}
	switch {
	case known == 0:
		return "", &refusal{status: http.StatusUnauthorized, text: "Wrong password.", wrong: "password " + given}
	case !allowed:
		return login, &refusal{status: http.StatusForbidden, text: "Insufficient permissions for this operation."}
	}
	return login, nil
}

// bearer returns the token of the header Authorization (RFC 6750 §2.1).
func bearer(r *http.Request) (string, bool) {
	const scheme = "Bearer "
	v := r.Header.Get("Authorization")
	if len(v) < len(scheme) || !strings.EqualFold(v[:len(scheme)], scheme) {
		return "", false
	}
	return strings.TrimSpace(v[len(scheme):]), true
}

// loopbackHost reports whether host is an address of this machine that no other
// machine reaches.
func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}
