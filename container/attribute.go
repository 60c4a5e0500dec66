package container

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Value is the typed value of a mail attribute. The types are those that James
// can store, so that what one server wrote another can read:
//
//	bool, string, int32 (Integer), int64 (Long), float32, float64, time.Time,
//	[]byte, []Value (collection), map[string]Value, RawValue (kept as it came)
//
// Source: org.apache.mailet.AttributeValue and Serializer.
type Value any

// RawValue is a stored value of a serializer that we do not know. It is written
// back as it came.
type RawValue json.RawMessage

// Well-known attribute names (James's, see the documentation of the classes
// that read and write them).
const (
	AttrSMTPAuthUser      = "org.apache.james.SMTPAuthUser"
	AttrSMTPIsAuthNetwork = "org.apache.james.SMTPIsAuthNetwork"
	AttrSMTPSessionID     = "org.apache.james.SMTPSessionID"
	AttrHELO              = "org.apache.james.HELO"
	AttrTLSProtocol       = "org.apache.james.ssl.protocol"
	AttrTLSCipher         = "org.apache.james.ssl.cipher"
	AttrSentByMailet      = "org.apache.james.SentByMailet"
	AttrMailetError       = "org.apache.james.MailetError"
	AttrForwarded         = "org.apache.james.forwarded"
	AttrRecordedRcpts     = "loop.prevention.recorded.recipients"
	AttrErrorCount        = "mail-processing-error-count"
	AttrReprocessing      = "mailRepository-reprocessing"
	AttrDeliveryError     = "delivery-error"
	AttrDeliveryErrorCode = "delivery-error-code"
	AttrPermanentError    = "is-delivery-permanent-error"
	AttrRetryCount        = "delivery_retry_count"
	AttrPriority          = "MAIL_PRIORITY"
	AttrRequireTLS        = "REQUIRETLS"
	AttrDSNEnvID          = "dsn-envid"
	AttrDSNRet            = "dsn-ret"
	AttrDSNNotify         = "dsn-notify"
	AttrDSNOrcpt          = "dsn-orcpt"
	AttrDSNArrival        = "dsn-arrival-date"

	// Ours, not James's.
	AttrDSNOrcptType = "dsn-orcpt-type" // map recipient -> address type of ORCPT when it is not rfc822
	AttrBodyType     = "smtp-body"      // BODY parameter of MAIL: "8BITMIME"; BINARYMIME is converted at intake
	AttrSMTPUTF8     = "smtp-utf8"      // MAIL had SMTPUTF8
	// By when the mail shall be delivered (a time), and what is to be done when it
	// is not: R or N, and T behind it to trace it (RFC 2852).
	AttrDeliverBy     = "deliver-by"
	AttrDeliverByMode = "deliver-by-mode"
	AttrRetryUntil    = "delivery-retry-until" // when the last retry of a mail is due that is reported as delayed
	AttrOutcomes      = "delivery-outcomes"    // map recipient -> outcome of the last attempt, see Outcome
)

// Attributes are the named values of a mail. Names are case-sensitive. A nil
// map is a mail without attributes; use Mail.Set to write.
type Attributes map[string]Value

// String returns the string attribute name, and whether it is there with that
// type: as in James, a value of another type counts as absent.
func (a Attributes) String(name string) (string, bool) { return get[string](a, name) }

// Bool returns the Boolean attribute name.
func (a Attributes) Bool(name string) (value, ok bool) { return get[bool](a, name) }

// Int returns the Integer attribute name.
func (a Attributes) Int(name string) (int, bool) {
	n, ok := get[int32](a, name)
	return int(n), ok
}

// Time returns the date attribute name.
func (a Attributes) Time(name string) (time.Time, bool) { return get[time.Time](a, name) }

// Map returns the map attribute name.
func (a Attributes) Map(name string) (map[string]Value, bool) {
	return get[map[string]Value](a, name)
}

// Strings returns the strings of the collection attribute name.
func (a Attributes) Strings(name string) []string {
	list, _ := get[[]Value](a, name)
	var out []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// RecipientString returns the string that the map attribute name holds for the
// recipient rcpt. Keys are compared as addresses, ignoring case. Whoever asks for
// many recipients uses Lookup: one that is not there costs a look at all.
func (a Attributes) RecipientString(name string, rcpt Address) (string, bool) {
	m, ok := a.Map(name)
	if !ok {
		return "", false
	}
	v, ok := m[rcpt.String()]
	if !ok {
		want := rcpt.String()
		for k, kv := range m {
			if strings.EqualFold(k, want) {
				v, ok = kv, true
				break
			}
		}
	}
	s, isString := v.(string)
	return s, ok && isString
}

func get[T any](a Attributes, name string) (T, bool) {
	v, ok := a[name].(T)
	return v, ok
}

// Clone returns a deep copy.
func (a Attributes) Clone() Attributes {
	if a == nil {
		return nil
	}
	out := make(Attributes, len(a))
	for k, v := range a {
		out[k] = cloneValue(v)
	}
	return out
}

func cloneValue(v Value) Value {
	switch t := v.(type) {
	case []byte:
		return slices.Clone(t)
	case []Value:
		out := make([]Value, len(t))
		for i, e := range t {
			out[i] = cloneValue(e)
		}
		return out
	case map[string]Value:
		out := make(map[string]Value, len(t))
		for k, e := range t {
			out[k] = cloneValue(e)
		}
		return out
	default:
		return v
	}
}

// FormatValue returns the text form in which James shows a value: the string
// itself, true or false, a decimal number, a date, a list or map in brackets.
func FormatValue(v Value) string {
	switch t := v.(type) {
	case string:
		return t
	case time.Time:
		return t.Format(time.RFC3339Nano)
	case []byte:
		return base64.StdEncoding.EncodeToString(t)
	case []Value:
		parts := make([]string, len(t))
		for i, e := range t {
			parts[i] = FormatValue(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]Value:
		parts := make([]string, 0, len(t))
		for _, k := range slices.Sorted(mapKeys(t)) {
			parts = append(parts, k+"="+FormatValue(t[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case RawValue:
		return string(t)
	default:
		return fmt.Sprint(v)
	}
}

func mapKeys(m map[string]Value) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

type typedJSON struct {
	Serializer string          `json:"serializer"`
	Value      json.RawMessage `json:"value"`
}

// MarshalJSON writes the attributes as one object, name to typed value, in
// James's form: {"a":{"serializer":"StringSerializer","value":"abc"}}. Values
// of a type that cannot be stored (an error, say) are left out, as in James.
func (a Attributes) MarshalJSON() ([]byte, error) {
	if len(a) == 0 {
		return []byte("{}"), nil
	}
	b := make([]byte, 0, 64*len(a))
	b = append(b, '{')
	for k, v := range a {
		val, ok := appendValue(nil, v)
		if !ok {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = appendString(b, k)
		b = append(b, ':')
		b = append(b, val...)
	}
	return append(b, '}'), nil
}

// appendValue appends the typed form of v; ok is false when v cannot be stored.
func appendValue(b []byte, v Value) (out []byte, ok bool) {
	typed := func(serializer string, value []byte) ([]byte, bool) {
		b = append(b, `{"serializer":"`...)
		b = append(b, serializer...)
		b = append(b, `","value":`...)
		b = append(b, value...)
		return append(b, '}'), true
	}
	switch t := v.(type) {
	case bool:
		return typed("BooleanSerializer", strconv.AppendBool(nil, t))
	case string:
		return typed("StringSerializer", appendString(nil, t))
	case int32:
		return typed("IntSerializer", strconv.AppendInt(nil, int64(t), 10))
	case int64:
		return typed("LongSerializer", strconv.AppendInt(nil, t, 10))
	case float32:
		return typed("FloatSerializer", appendFloat(float64(t), 32))
	case float64:
		return typed("DoubleSerializer", appendFloat(t, 64))
	case time.Time:
		return typed("DateSerializer", appendString(nil, t.Format(time.RFC3339Nano)))
	case []byte:
		return typed("BytesSerializer", appendString(nil, base64.StdEncoding.EncodeToString(t)))
	case []Value:
		list := []byte{'['}
		for _, e := range t {
			if ev, ok := appendValue(nil, e); ok {
				if len(list) > 1 {
					list = append(list, ',')
				}
				list = append(list, ev...)
			}
		}
		return typed("CollectionSerializer", append(list, ']'))
	case map[string]Value:
		obj, _ := Attributes(t).MarshalJSON()
		return typed("MapSerializer", obj)
	case RawValue:
		return append(b, t...), true
	default:
		return b, false
	}
}

func appendFloat(f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("0")
	}
	return strconv.AppendFloat(nil, f, 'g', -1, bits)
}

func appendString(b []byte, s string) []byte {
	q, _ := json.Marshal(s) // a string always marshals
	return append(b, q...)
}

// UnmarshalJSON reads what MarshalJSON, or James, wrote. Values of an unknown
// serializer are kept as they are.
func (a *Attributes) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return fmt.Errorf("read attributes: %w", err)
	}
	out := make(Attributes, len(raw))
	for k, v := range raw {
		val, err := parseValue(v)
		if err != nil {
			return fmt.Errorf("read attribute %s: %w", k, err)
		}
		out[k] = val
	}
	*a = out
	return nil
}

func parseValue(data json.RawMessage) (Value, error) {
	var t typedJSON
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, err
	}
	switch t.Serializer {
	case "BooleanSerializer":
		return decode[bool](t.Value)
	case "StringSerializer", "MessageIdDtoSerializer":
		if t.Serializer != "StringSerializer" {
			return keep(data), nil
		}
		return decode[string](t.Value)
	case "IntSerializer":
		return decode[int32](t.Value)
	case "LongSerializer":
		return decode[int64](t.Value)
	case "FloatSerializer":
		return decode[float32](t.Value)
	case "DoubleSerializer":
		return decode[float64](t.Value)
	case "DateSerializer":
		return parseDate(t.Value)
	case "BytesSerializer":
		return decode[[]byte](t.Value)
	case "CollectionSerializer":
		return parseCollection(t.Value)
	case "MapSerializer":
		var m Attributes
		if err := m.UnmarshalJSON(t.Value); err != nil {
			return nil, err
		}
		return map[string]Value(m), nil
	default:
		return keep(data), nil
	}
}

func keep(data json.RawMessage) Value { return RawValue(bytes.Clone(data)) }

func decode[T any](data json.RawMessage) (Value, error) {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	return v, nil
}

// parseDate reads an ISO-8601 date; a zone id in brackets, as Java writes it
// ("…+01:00[Europe/Paris]"), is dropped: the offset says enough.
func parseDate(data json.RawMessage) (Value, error) {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	if i := strings.IndexByte(s, '['); i >= 0 {
		s = s[:i]
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("%q is not a date", s)
}

func parseCollection(data json.RawMessage) (Value, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, err
	}
	out := make([]Value, len(raw))
	for i, e := range raw {
		v, err := parseValue(e)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}
