package bearer

import (
	"encoding/json"
	"strings"
)

// Message is what a client sends as its first response.
type Message struct {
	User  string // authorization identity; "" when the client names none
	Token string // "" when the client only wants to know about the provider
}

// ParseMessage reads the first response of OAUTHBEARER (RFC 7628 §3.1) or
// XOAUTH2. As in James, the form of either is taken in both mechanisms.
func ParseMessage(text string) (m Message, ok bool) {
	head, rest, ok := strings.Cut(text, "\x01")
	if !ok {
		return Message{}, false
	}
	if m.User, ok = strings.CutPrefix(head, "user="); !ok {
		if m.User, ok = gs2User(head); !ok {
			return Message{}, false
		}
	}
	for field := range strings.SplitSeq(rest, "\x01") {
		value, is := strings.CutPrefix(field, "auth=")
		if !is || value == "" {
			continue
		}
		scheme, token, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, "Bearer") || m.Token != "" {
			return Message{}, false
		}
		m.Token = strings.TrimSpace(token)
	}
	return m, true
}

// gs2User returns the identity in a header such as "n,a=bob@example.com,"
// (RFC 5801 §4). Channel binding is not offered. James's documentation writes
// user= in place of a=.
func gs2User(header string) (user string, ok bool) {
	fields := strings.Split(header, ",")
	if len(fields) < 2 || fields[0] != "n" && fields[0] != "y" || len(fields) > 3 || len(fields) == 3 && fields[2] != "" {
		return "", false
	}
	if fields[1] == "" {
		return "", true
	}
	if user, ok = strings.CutPrefix(fields[1], "user="); ok {
		return user, true
	}
	if user, ok = strings.CutPrefix(fields[1], "a="); !ok {
		return "", false
	}
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(user), true
}

// Refusal is the JSON text of the challenge that answers a refused token (RFC
// 7628 §3.2.2). "schemes" is James's.
func (v *Verifier) Refusal() string {
	b, _ := json.Marshal(struct { // strings always can be
		Status  string `json:"status"`
		Scope   string `json:"scope"`
		Schemes string `json:"schemes"`
		Config  string `json:"openid-configuration"`
	}{"invalid_token", v.cfg.Scope, v.cfg.ConfigurationURL, v.cfg.ConfigurationURL})
	return string(b)
}
