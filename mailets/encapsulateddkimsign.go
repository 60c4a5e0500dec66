package mailets

import (
	"context"
	"crypto"
	"errors"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mailauth"
)

// EncapsulatedDKIMSign signs the message as DKIMSign does, always for the domain
// that its template names.
//
//	<mailet match="All" class="EncapsulatedDKIMSign">
//	  <signatureTemplate>v=1; s=mail; d=example.com; h=from:to:subject:date; a=rsa-sha256; bh=; b=;</signatureTemplate>
//	  <privateKeyFilepath>file://conf/dkim-mail.pem</privateKeyFilepath>
//	</mailet>
//
// Parameters:
//
//   - signatureTemplate (required): see DKIMSign; %MAIL_FROM cannot be used.
//   - privateKey, privateKeyFilepath: see DKIMSign; one of them is required.
//   - privateKeyPassword: see DKIMSign.
//   - forceCRLF (default true): accepted and of no effect.
//
// Differs from James: as DKIMSign.
type EncapsulatedDKIMSign struct {
	template mailauth.Template
	key      crypto.Signer
}

func newEncapsulatedDKIMSign(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		e := &EncapsulatedDKIMSign{}
		e.template, e.key = signature(s, p)
		if e.template.UsesSender() {
			p.Fail("signatureTemplate", errors.New(mailauth.MailFrom+" cannot be used here; use DKIMSign"))
		}
		return e
	}
}

// Service adds the signature.
func (e *EncapsulatedDKIMSign) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	return sign(ctx, e.template, e.key, "", m)
}
