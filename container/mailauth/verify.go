package mailauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Limits of one verification.
const (
	maxSignatures = 8 // as many are looked at, from the top; the rest is ignored
	maxKeyRecord  = 2048
	dnsTime       = 30 * time.Second // all look-ups of one message together
)

// Signature is what came of one DKIM signature. Its strings are fit for a log
// line or a header.
type Signature struct {
	Domain   string // d=, in lower case
	Identity string // i=, by default @ and the domain
	// Reason says why the signature is not valid; "" for one that is.
	Reason string
	// Temporary: the key could not be fetched now.
	Temporary bool
}

// Valid reports whether the signature verified.
func (s Signature) Valid() bool { return s.Reason == "" }

// VerifyDKIM checks the DKIM signatures of a message (RFC 6376), of the topmost
// eight, in order. A message without any has none to return. The error is about reading
// the message, or about ctx; a message that would cost too much has one invalid
// signature instead.
func VerifyDKIM(ctx context.Context, r Resolver, m *container.Message) ([]Signature, error) {
	count, names := signed(m.Header())
	if count == 0 {
		return nil, nil
	}
	if err := checkHeader(m.Header(), names); err != nil {
		return []Signature{{Reason: err.Error()}}, nil
	}
	src, readErr, err := open(m)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	lookup, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	list, err := dkim.VerifyWithOptions(src, &dkim.VerifyOptions{
		LookupTXT:        func(name string) ([]string, error) { return keyRecord(lookup, r, name) },
		MaxVerifications: maxSignatures,
	})
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("verify DKIM signatures: %w", ctx.Err())
	case errors.Is(readErr(), ErrHostile):
		return []Signature{{Reason: readErr().Error()}}, nil
	case readErr() != nil:
		return nil, readErr()
	case err != nil && !errors.Is(err, dkim.ErrTooManySignatures):
		return []Signature{{Reason: reason(err)}}, nil
	}
	out := make([]Signature, len(list))
	for i, v := range list {
		out[i] = Signature{Domain: strings.ToLower(mime.Clean(v.Domain)), Identity: mime.Clean(v.Identifier)}
		if v.Err != nil {
			out[i].Reason, out[i].Temporary = reason(v.Err), dkim.IsTempFail(v.Err)
		}
	}
	return out, nil
}

// signed counts the signatures that are looked at, and the names in their h=. It
// counts every colon: more than there are names, never less.
func signed(header []byte) (count, names int) {
	for _, v := range mime.Values(header, "DKIM-Signature") {
		if count++; count > maxSignatures {
			break
		}
		n := strings.Count(v, ":") + 1
		names += n
		if n > maxH {
			names = maxPickWork + 1
		}
	}
	return count, names
}

// keyRecord looks a key up. A record far longer than any key in use is refused:
// arithmetic with it would take seconds.
func keyRecord(ctx context.Context, r Resolver, name string) ([]string, error) {
	txts, err := netResolver{r}.LookupTXT(ctx, name)
	for _, t := range txts {
		if len(t) > maxKeyRecord {
			return nil, &net.DNSError{Err: fmt.Sprintf("key record of %d octets", len(t)), Name: name}
		}
	}
	return txts, err
}

func reason(err error) string {
	return mime.Clean(strings.TrimPrefix(err.Error(), "dkim: "))
}
