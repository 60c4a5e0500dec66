package mailauth

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/mailetd/mailetd/container"
)

// MailFrom stands in a template for the domain of the sender.
const MailFrom = "%MAIL_FROM"

// Template says how to sign: the signature field as James's configurations have
// it, without hashes. It does not change.
type Template struct {
	domain, selector, identifier string
	header, body                 dkim.Canonicalization
	names                        []string
	expires                      time.Time
	algorithm                    string
	query                        bool
}

// maxNames bounds h=, which stands on one line of the signature (RFC 5322 §2.1.1
// allows 998).
const maxNames = 900

// ParseTemplate reads a list of tags such as "v=1; s=sel; d=example.com;
// h=from:to:subject; a=rsa-sha256; bh=; b=;". Warnings are tags that have no effect.
func ParseTemplate(text string) (t Template, warnings []string, err error) {
	tags, err := parseTags(text)
	if err != nil {
		return t, nil, err
	}
	for name := range tags {
		if !slices.Contains([]string{"v", "a", "b", "bh", "c", "d", "h", "i", "q", "s", "t", "x"}, name) {
			warnings = append(warnings, fmt.Sprintf("the tag %s= is left out of signatures", name))
		}
	}
	slices.Sort(warnings)
	if v, ok := tags["v"]; ok && v != "1" {
		return t, nil, fmt.Errorf("v=%s: the version of DKIM is 1", v)
	}
	t.domain, t.selector, t.identifier = tags["d"], tags["s"], tags["i"]
	t.query = tags["q"] != ""
	for _, name := range []string{"d", "s", "h"} {
		if tags[name] == "" {
			return t, nil, fmt.Errorf("the tag %s= is missing", name)
		}
	}
	if t.algorithm = tags["a"]; t.algorithm == "rsa-sha1" {
		warnings = append(warnings, "a=rsa-sha1 counts as no signature (RFC 8301); signing with sha256")
	}
	if t.header, t.body, err = canonical(tags["c"]); err != nil {
		return t, nil, err
	}
	if err := t.setNames(tags["h"]); err != nil {
		return t, nil, err
	}
	if i := t.identifier; i != "" && !strings.HasSuffix(i, "@"+t.domain) && !strings.HasSuffix(i, "."+t.domain) {
		warnings = append(warnings, fmt.Sprintf("i=%s is not within d=%s: nobody accepts such signatures (RFC 6376 §3.5)", i, t.domain))
	}
	if x := tags["x"]; x != "" {
		sec, err := strconv.ParseInt(x, 10, 64)
		if err != nil {
			return t, nil, fmt.Errorf("x=%s is no time in seconds since 1970", x)
		}
		t.expires = time.Unix(sec, 0)
	}
	return t, warnings, nil
}

func parseTags(text string) (map[string]string, error) {
	tags := map[string]string{}
	for item := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(item) == "" {
			continue
		}
		name, value, ok := strings.Cut(item, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not a tag such as d=example.com", strings.TrimSpace(item))
		}
		if _, twice := tags[name]; twice {
			return nil, fmt.Errorf("the tag %s= stands there twice", name)
		}
		value = strings.Join(strings.Fields(value), "")
		for i := range len(value) {
			if value[i] < ' ' || value[i] >= 0x7f {
				return nil, fmt.Errorf("the tag %s= has characters other than ASCII", name)
			}
		}
		tags[name] = value
	}
	return tags, nil
}

// canonical reads c=; what is missing is simple (RFC 6376 §3.5).
func canonical(c string) (header, body dkim.Canonicalization, err error) {
	h, b, _ := strings.Cut(c, "/")
	list := []dkim.Canonicalization{dkim.Canonicalization(h), dkim.Canonicalization(b)}
	for i := range list {
		switch list[i] {
		case "":
			list[i] = dkim.CanonicalizationSimple
		case dkim.CanonicalizationSimple, dkim.CanonicalizationRelaxed:
		default:
			return "", "", fmt.Errorf("c=%s: want simple or relaxed, for the header and for the body, such as relaxed/simple", c)
		}
	}
	return list[0], list[1], nil
}

func (t *Template) setNames(h string) error {
	for name := range strings.SplitSeq(h, ":") {
		if name != "" {
			t.names = append(t.names, name)
		}
	}
	if !slices.ContainsFunc(t.names, func(n string) bool { return strings.EqualFold(n, "from") }) {
		return errors.New("h= must have from (RFC 6376 §5.4)")
	}
	if len(h) > maxNames {
		return fmt.Errorf("h= is longer than %d characters", maxNames)
	}
	return nil
}

// UsesSender reports whether the signature depends on the sender's domain.
func (t Template) UsesSender() bool {
	return strings.Contains(t.domain+t.selector+t.identifier, MailFrom)
}

// CheckKey reports whether the key fits a=.
func (t Template) CheckKey(key crypto.Signer) error {
	_, isEd := key.Public().(ed25519.PublicKey)
	name := "rsa-sha256"
	if isEd {
		name = "ed25519-sha256"
	}
	if t.algorithm != "" && t.algorithm != name && (isEd || t.algorithm != "rsa-sha1") {
		return fmt.Errorf("a=%s does not go with the key, which is for %s", t.algorithm, name)
	}
	return nil
}

// Sign returns the DKIM-Signature field for a message, with its line ends, ready
// to be put on top. domain stands for %MAIL_FROM.
func (t Template) Sign(ctx context.Context, key crypto.Signer, domain string, m *container.Message) (field []byte, err error) {
	if err := checkHeader(m.Header(), len(t.names)); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	o := &dkim.SignOptions{
		Signer: key, HeaderCanonicalization: t.header, BodyCanonicalization: t.body,
		HeaderKeys: t.names, Expiration: t.expires, Domain: t.domain, Selector: t.selector, Identifier: t.identifier,
	}
	if t.query {
		o.QueryMethods = []dkim.QueryMethod{dkim.QueryMethodDNSTXT}
	}
	if t.UsesSender() {
		name := ascii(domain)
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ';' }) {
			return nil, fmt.Errorf("sign: %q cannot be the domain of a signature", domain)
		}
		put := func(s string) string { return strings.ReplaceAll(s, MailFrom, name) }
		o.Domain, o.Selector, o.Identifier = put(o.Domain), put(o.Selector), put(o.Identifier)
	}
	signer, err := dkim.NewSigner(o)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if err := feed(ctx, signer, m); err != nil {
		_ = signer.Close() // what it signed is not the message
		return nil, fmt.Errorf("sign: %w", err)
	}
	if err := signer.Close(); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return []byte(signer.Signature()), nil
}

// feed writes the message to w.
func feed(ctx context.Context, w io.Writer, m *container.Message) error {
	src, readErr, err := open(m)
	if err != nil {
		return err
	}
	defer src.Close()
	if _, err := io.Copy(w, src); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return readErr()
}
