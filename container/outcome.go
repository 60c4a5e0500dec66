package container

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Results of a delivery attempt for one recipient.
const (
	Delivered = "delivered" // in a mailbox, or accepted by a hop that will report itself
	Relayed   = "relayed"   // accepted by a hop that does not know DSN (RFC 3461 §5.2.2)
	Deferred  = "deferred"  // to be tried again
	Failed    = "failed"    // given up
)

// Outcome is what the last delivery attempt did for one recipient. Retries,
// bounces, notifications, the log and metrics all read this record.
type Outcome struct {
	Result   string    // Delivered, Relayed, Deferred or Failed
	Host     string    // name of the remote host, "" when none was reached
	Addr     string    // its IP address
	Code     int       // SMTP reply code, 0 when the cause is ours
	Enhanced string    // enhanced status code (RFC 3463), e.g. "5.1.1"
	Text     string    // reply text after the codes, lines separated by \n; or our reason
	DSN      bool      // the remote host offered DSN
	TLS      string    // protocol version, "" for clear text
	Time     time.Time // of the attempt
	Attempt  int       // how many attempts there were, counting this one
}

// Reply returns the reply as the remote host gave it, on one line: "550 5.1.1
// no such user"; our own reason when no host replied.
func (o Outcome) Reply() string {
	text := strings.ReplaceAll(o.Text, "\n", " ")
	if o.Code == 0 {
		return text
	}
	if o.Enhanced == "" {
		return fmt.Sprintf("%d %s", o.Code, text)
	}
	return fmt.Sprintf("%d %s %s", o.Code, o.Enhanced, text)
}

// SetOutcome notes the outcome for rcpt in the attribute delivery-outcomes.
func (m *Mail) SetOutcome(rcpt Address, o Outcome) {
	all, ok := m.Attributes.Map(AttrOutcomes)
	if !ok {
		all = map[string]Value{}
		m.Set(AttrOutcomes, all)
	}
	rec := map[string]Value{"result": o.Result, "time": o.Time, "attempt": int32(o.Attempt)}
	for k, v := range map[string]string{"host": o.Host, "addr": o.Addr, "enhanced": o.Enhanced, "text": o.Text, "tls": o.TLS} {
		if v != "" {
			rec[k] = v
		}
	}
	if o.Code != 0 {
		rec["code"] = int32(o.Code)
	}
	if o.DSN {
		rec["dsn"] = true
	}
	all[rcpt.Key()] = rec
}

// Outcome returns what SetOutcome noted for rcpt.
func (m *Mail) Outcome(rcpt Address) (Outcome, bool) {
	all, _ := m.Attributes.Map(AttrOutcomes)
	rec, ok := all[rcpt.Key()].(map[string]Value)
	if !ok {
		return Outcome{}, false
	}
	a := Attributes(rec)
	str := func(k string) string { s, _ := a.String(k); return s }
	o := Outcome{Result: str("result"), Host: str("host"), Addr: str("addr"), Enhanced: str("enhanced"), Text: str("text"), TLS: str("tls")}
	o.Code, _ = a.Int("code")
	o.Attempt, _ = a.Int("attempt")
	o.DSN, _ = a.Bool("dsn")
	o.Time, _ = a.Time("time")
	return o, true
}

// SplitReply takes "550 5.1.1 text" apart. Parts that are missing are zero; the
// text keeps whatever is no code.
func SplitReply(s string) (code int, enhanced, text string) {
	text = strings.TrimSpace(s)
	if len(text) >= 3 && (len(text) == 3 || text[3] == ' ' || text[3] == '-') {
		if n, err := strconv.Atoi(text[:3]); err == nil && n >= 200 && n < 600 {
			code, text = n, strings.TrimLeft(text[min(4, len(text)):], " ")
		}
	}
	word, rest, _ := strings.Cut(text, " ")
	if IsEnhancedCode(word) {
		enhanced, text = word, strings.TrimLeft(rest, " ")
	}
	return code, enhanced, text
}

// IsEnhancedCode reports whether s is an enhanced status code, class 2, 4 or 5
// (RFC 3463 §2): d.ddd.ddd without leading zeros.
func IsEnhancedCode(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || strings.IndexByte("245", parts[0][0]) < 0 {
		return false
	}
	for _, p := range parts[1:] {
		if len(p) == 0 || len(p) > 3 || len(p) > 1 && p[0] == '0' {
			return false
		}
		for i := range len(p) {
			if p[i] < '0' || p[i] > '9' {
				return false
			}
		}
	}
	return true
}
