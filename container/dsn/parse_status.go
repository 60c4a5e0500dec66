package dsn

import (
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// group is one group of fields of the status part; names in lower case.
type group map[string]string

var (
	messageFields   = []string{"original-envelope-id", "reporting-mta", "dsn-gateway", "received-from-mta", "arrival-date", "deliver-by-date"}
	recipientFields = []string{"original-recipient", "final-recipient", "action", "status", "remote-mta", "diagnostic-code", "last-attempt-date", "final-log-id", "will-retry-until", "smtp-remote-recipient"}
)

// parseGroup reads fields, each of them once and none that is not known, except
// extensions (RFC 3464 §2.4).
func parseGroup(text string, known []string) (group, error) {
	g := group{}
	if container.HeaderLength([]byte(text)) != len(text) {
		return nil, fmt.Errorf("fields are not well-formed: %q", text)
	}
	for f := range mime.Fields([]byte(text)) {
		name := strings.ToLower(string(f.Name))
		if _, twice := g[name]; twice {
			return nil, fmt.Errorf("field %s twice", f.Name)
		}
		if !slices.Contains(known, name) && !strings.HasPrefix(name, "x-") {
			return nil, fmt.Errorf("unknown field %s", f.Name)
		}
		if g[name] = f.Value(); g[name] == "" {
			return nil, fmt.Errorf("field %s is empty", f.Name)
		}
	}
	return g, nil
}

func (r *Report) parseStatus(h textproto.MIMEHeader, kind string, content []byte) error {
	if h.Get("Content-Type") != kind {
		return errors.New("status part has parameters")
	}
	allowed := "7bit"
	if kind == "message/global-delivery-status" {
		allowed = "8bit"
	} else if kind != "message/delivery-status" {
		return fmt.Errorf("type is %s", kind)
	}
	data, err := decode(h, content, allowed)
	if err != nil {
		return err
	}
	if !utf8.Valid(data) {
		return errors.New("status part is not UTF-8")
	}
	groups := strings.Split(string(data), "\r\n\r\n")
	for i := range groups[:len(groups)-1] {
		groups[i] += "\r\n"
	}
	if len(groups) < 2 {
		return errors.New("no recipient group")
	}
	g, err := parseGroup(groups[0], messageFields)
	if err == nil {
		err = r.parseMessage(g)
	}
	for _, text := range groups[1:] {
		if err != nil {
			return err
		}
		if g, err = parseGroup(text, recipientFields); err == nil {
			err = r.parseRecipient(g)
		}
	}
	return err
}

func (r *Report) parseMessage(g group) error {
	kind, host, ok := typed(g["reporting-mta"])
	if !ok || kind != "dns" && kind != "x-local-hostname" {
		return fmt.Errorf("reporting-MTA %q", g["reporting-mta"])
	}
	r.ReportingMTA, _ = comment(host)
	if v, ok := g["received-from-mta"]; ok {
		_, host, ok := typed(v)
		if !ok {
			return fmt.Errorf("received-From-MTA %q", v)
		}
		r.ReceivedFrom, r.ReceivedFromAddr = comment(host)
	}
	r.EnvelopeID, r.MailName = g["original-envelope-id"], g["x-mailetd-mail-name"]
	if _, ok := g["dsn-gateway"]; ok {
		return errors.New("DSN-Gateway, but nothing was translated")
	}
	var err error
	if r.ArrivalDate, err = g.date("arrival-date"); err != nil {
		return err
	}
	r.DeliverBy, err = g.date("deliver-by-date") // RFC 2852
	return err
}

func (r *Report) parseRecipient(g group) error {
	rcpt := Recipient{Action: g["action"], Status: g["status"]}
	if !slices.Contains([]string{Failed, Delayed, Delivered, Relayed, Expanded}, rcpt.Action) {
		return fmt.Errorf("action %q", rcpt.Action)
	}
	if !container.IsEnhancedCode(rcpt.Status) || !classFits(rcpt.Action, rcpt.Status) {
		return fmt.Errorf("status %q for action %s", rcpt.Status, rcpt.Action)
	}
	kind, final, ok := typed(g["final-recipient"])
	if !ok || kind != "rfc822" && kind != "utf-8" {
		return fmt.Errorf("final-Recipient %q", g["final-recipient"])
	}
	var err error
	if kind == "utf-8" {
		if final, err = DecodeUnitext(unsplit(final)); err != nil {
			return err
		}
	}
	if rcpt.Final, err = container.ParseAddress(final); err != nil {
		return fmt.Errorf("final-Recipient: %w", err)
	}
	if err := rcpt.parseOptional(g); err != nil {
		return err
	}
	r.Recipients = append(r.Recipients, rcpt)
	return nil
}

func (rcpt *Recipient) parseOptional(g group) (err error) {
	if v, ok := g["original-recipient"]; ok {
		if rcpt.OriginalType, rcpt.Original, ok = typed(v); !ok {
			return fmt.Errorf("original-Recipient %q", v)
		}
		if strings.EqualFold(rcpt.OriginalType, "utf-8") {
			if rcpt.Original, err = DecodeUnitext(unsplit(rcpt.Original)); err != nil {
				return err
			}
		}
	}
	if v, ok := g["remote-mta"]; ok {
		kind, host, ok := typed(v)
		if !ok || kind != "dns" {
			return fmt.Errorf("remote-MTA %q", v)
		}
		rcpt.RemoteMTA, rcpt.RemoteAddr = comment(host)
	}
	if v, ok := g["diagnostic-code"]; ok {
		if rcpt.DiagnosticType, rcpt.Diagnostic, ok = typed(v); !ok || rcpt.DiagnosticType != "smtp" && rcpt.DiagnosticType != "X-Mailetd" {
			return fmt.Errorf("diagnostic-Code %q", v)
		}
	}
	if _, ok := g["will-retry-until"]; ok && rcpt.Action != Delayed {
		return fmt.Errorf("will-Retry-Until with action %s", rcpt.Action)
	}
	if rcpt.LastAttempt, err = g.date("last-attempt-date"); err != nil {
		return err
	}
	rcpt.WillRetryUntil, err = g.date("will-retry-until")
	return err
}

func (g group) date(name string) (time.Time, error) {
	v, ok := g[name]
	if !ok {
		return time.Time{}, nil
	}
	t, err := time.Parse("Mon, 2 Jan 2006 15:04:05 -0700", v)
	if err != nil {
		return t, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// typed takes "type; value" apart.
func typed(v string) (kind, value string, ok bool) {
	kind, value, ok = strings.Cut(v, ";")
	value = strings.TrimSpace(value)
	return kind, value, ok && kind != "" && !strings.ContainsAny(kind, " \t") && value != ""
}

// unsplit takes out the blanks that folding had to put into a long address; its
// own are encoded.
func unsplit(addr string) string { return strings.ReplaceAll(addr, " ", "") }

// comment takes "name (address)" apart.
func comment(v string) (name, addr string) {
	name, addr, _ = strings.Cut(v, " (")
	return name, strings.TrimSuffix(addr, ")")
}
