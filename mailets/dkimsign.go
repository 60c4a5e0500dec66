package mailets

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mailauth"
	"github.com/mailetd/mailetd/container/mime"
)

// DKIMSign signs the message (RFC 6376): the field DKIM-Signature becomes its
// first line. Let it be the last mailet that changes the message before
// RemoteDelivery, and publish the public key as a TXT record at
// selector._domainkey.domain.
//
//	<mailet match="SenderDomainIs=example.com" class="DKIMSign">
//	  <signatureTemplate>v=1; s=mail; d=%MAIL_FROM; h=from:to:subject:date:message-id; c=relaxed/relaxed; a=rsa-sha256; bh=; b=;</signatureTemplate>
//	  <privateKeyFilepath>file://conf/dkim-mail.pem</privateKeyFilepath>
//	  <defaultDomain>example.com</defaultDomain>
//	</mailet>
//
// Parameters:
//
//   - signatureTemplate (required): the tags of the signature. d, s and h are
//     required, h has from. c is the canonical form, by default simple/simple;
//     i, q and x are taken as they are; b, bh and t are filled in. %MAIL_FROM in
//     d, s or i stands for the domain of the envelope sender.
//   - privateKey: the key itself in PEM form. One of privateKey and
//     privateKeyFilepath is required; this one counts when both are there.
//   - privateKeyFilepath: the file with the key, file://conf/NAME or an absolute
//     path. RSA in PKCS#1 or PKCS#8 form, Ed25519 in PKCS#8 form.
//   - privateKeyPassword: password of an encrypted PKCS#1 key.
//   - forceCRLF (default true): accepted and of no effect. Messages are kept
//     with CRLF line ends, and that is how they are signed.
//   - defaultDomain: what %MAIL_FROM stands for when the sender is null or has
//     an address in the place of a domain; required with %MAIL_FROM.
//
// Differs from James: the order of tags in the signature is not that of the template,
// and t= is always there; l= and z= are left out, with a warning; a=rsa-sha1
// signs with SHA-256; Ed25519 keys can be used; encrypted PKCS#8 keys cannot.
type DKIMSign struct {
	template      mailauth.Template
	key           crypto.Signer
	defaultDomain string
}

func newDKIMSign(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		d := &DKIMSign{}
		d.template, d.key = signature(s, p)
		d.defaultDomain = p.String("defaultDomain", "")
		switch _, err := container.ParseDomain(d.defaultDomain); {
		case d.defaultDomain != "" && err != nil:
			p.Fail("defaultDomain", err)
		case d.defaultDomain == "" && d.template.UsesSender():
			p.Fail("signatureTemplate", errors.New(mailauth.MailFrom+" needs <defaultDomain>, for mail with the null sender"))
		}
		return d
	}
}

// signature reads the parameters that both signing mailets have.
func signature(s Services, p *conf.Params) (t mailauth.Template, key crypto.Signer) {
	p.Bool("forceCRLF", true)
	if text := p.Required("signatureTemplate"); text != "" {
		var warnings []string
		var err error
		if t, warnings, err = mailauth.ParseTemplate(text); err != nil {
			p.Fail("signatureTemplate", err)
		}
		for _, w := range warnings {
			p.Warn("signatureTemplate", "<signatureTemplate>: %s", w)
		}
	}
	inline, file, password := p.String("privateKey", ""), p.String("privateKeyFilepath", ""), p.String("privateKeyPassword", "")
	name, text := "privateKey", []byte(inline)
	if inline == "" {
		name = "privateKeyFilepath"
		if file == "" {
			p.Fail("", errors.New("<privateKey> or <privateKeyFilepath> is required"))
			return t, nil
		}
		var err error
		if text, err = s.ReadFile(confURL(file)); err != nil {
			p.Fail(name, err)
			return t, nil
		}
	}
	key, err := mailauth.ParseKey(text, password)
	if err == nil {
		err = t.CheckKey(key)
	}
	if err != nil {
		p.Fail(name, err)
	}
	return t, key
}

// confURL turns conf://x, which James takes for a file of the configuration
// folder, into file://conf/x.
func confURL(ref string) string {
	if rest, ok := strings.CutPrefix(ref, "conf://"); ok {
		return "file://conf/" + rest
	}
	return ref
}

// Service adds the signature.
func (d *DKIMSign) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	domain := m.Sender.Domain
	if _, err := netip.ParseAddr(domain); err == nil || domain == "" {
		domain = d.defaultDomain
	}
	return sign(ctx, d.template, d.key, domain, m)
}

func sign(ctx context.Context, t mailauth.Template, key crypto.Signer, domain string, m *container.Mail) error {
	field, err := t.Sign(ctx, key, domain, &m.Message)
	if err != nil {
		return fmt.Errorf("DKIM: %w", err)
	}
	m.Message.SetHeader(mime.AddRaw(m.Message.Header(), field))
	return nil
}
