package sqlite

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
)

// mailColumns are the columns that queue_item and repository_mail share, in the
// order of mailRow.values and decodeMail.
const mailColumns = "mail_id, name, sender, recipients, proc_state, error, remote_host, remote_addr, updated, attributes, rcpt_headers"

const mailColumnCount = 11

// mailRow is a mail without its message, as it stands in the database. It is
// made when a change is handed in, so that what happens to the mail later does
// not show in the stored copy.
type mailRow struct {
	id, name, sender, recipients     string
	state, error, remoteHost, remote string
	updated                          int64
	attributes, recipientHeaders     value // text, or nil for none
	priority                         int64
}

func encodeMail(m *container.Mail) (mailRow, error) {
	r := mailRow{
		id: m.ID, name: m.Name, sender: m.Sender.String(), recipients: encodeAddresses(m.Recipients),
		state: m.State, error: m.ErrorMessage, remoteHost: m.RemoteHost, remote: m.RemoteAddr,
		updated: encodeTime(m.LastUpdated), priority: priorityOf(m),
	}
	if len(m.Attributes) > 0 {
		b, err := m.Attributes.MarshalJSON()
		if err != nil {
			return r, fmt.Errorf("encode attributes of %s: %w", m.Name, err)
		}
		r.attributes = string(b)
	}
	if len(m.RecipientHeaders) > 0 {
		b, err := json.Marshal(m.RecipientHeaders)
		if err != nil {
			return r, fmt.Errorf("encode recipient headers of %s: %w", m.Name, err)
		}
		r.recipientHeaders = string(b)
	}
	return r, nil
}

// priorityOf returns the priority of a mail in a queue. As James: a value that
// is no Integer is normal, one outside -9..9 is the nearest (JMSCacheableMailQueue).
func priorityOf(m *container.Mail) int64 {
	p, _ := m.Attributes.Int(container.AttrPriority)
	return int64(min(max(p, -9), 9))
}

// encodeTime returns nanoseconds since 1970, 0 for the zero time. Times that do
// not fit become the first or last one that does.
func encodeTime(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

func decodeTime(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// encodeAddresses writes a JSON array of addresses.
func encodeAddresses(list []container.Address) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, a := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		writeQuoted(&b, a.String())
	}
	b.WriteByte(']')
	return b.String()
}

func writeQuoted(b *strings.Builder, s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			q, _ := json.Marshal(s) // a string always marshals
			b.Write(q)
			return
		}
	}
	b.WriteByte('"')
	b.WriteString(s)
	b.WriteByte('"')
}

// decodeAddress reads what Address.String wrote. A domain has no @.
func decodeAddress(s string) container.Address {
	i := strings.LastIndexByte(s, '@')
	if i < 0 {
		return container.Address{Local: s}
	}
	return container.Address{Local: s[:i], Domain: s[i+1:]}
}

func decodeAddresses(s string) ([]container.Address, error) {
	var texts []string
	if err := json.Unmarshal([]byte(s), &texts); err != nil {
		return nil, fmt.Errorf("read recipients: %w", err)
	}
	out := make([]container.Address, len(texts))
	for i, t := range texts {
		out[i] = decodeAddress(t)
	}
	return out, nil
}

// decodeMail makes a mail of the mailColumns in row.
func decodeMail(row []value, msg container.Message) (*container.Mail, error) {
	rcpts, err := decodeAddresses(asText(row[3]))
	if err != nil {
		return nil, err
	}
	m := &container.Mail{
		ID: asText(row[0]), Name: asText(row[1]), Sender: decodeAddress(asText(row[2])), Recipients: rcpts,
		State: asText(row[4]), ErrorMessage: asText(row[5]), RemoteHost: asText(row[6]), RemoteAddr: asText(row[7]),
		LastUpdated: decodeTime(asInt(row[8])), Message: msg,
	}
	if row[9] != nil {
		if err := m.Attributes.UnmarshalJSON([]byte(asText(row[9]))); err != nil {
			return nil, err
		}
	}
	if row[10] != nil {
		if err := json.Unmarshal([]byte(asText(row[10])), &m.RecipientHeaders); err != nil {
			return nil, fmt.Errorf("read recipient headers: %w", err)
		}
	}
	return m, nil
}
