package mailets

import (
	"context"
	"errors"
	"fmt"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/smime"
)

// SMIMEDecrypt decrypts messages that are encrypted with S/MIME (RFC 8551) for a
// certificate of this server. The message becomes what was encrypted; the
// certificate goes into an attribute that IsX509CertificateSubject reads. Messages
// that are not encrypted, or not for this certificate, go on as they are.
//
//	<mailet match="org.apache.james.transport.matcher.IsSMIMEEncrypted" class="SMIMEDecrypt">
//	  <keyStoreFileName>file://conf/smime.p12</keyStoreFileName>
//	  <keyStorePassword>secret</keyStorePassword>
//	</mailet>
//
// Read are AES in CBC and GCM mode and Triple DES, with keys for RSA (PKCS#1 and
// OAEP) and elliptic curves. That a message could be decrypted says nothing about
// who wrote it: with CBC, text can even be put around what somebody else had
// encrypted (the attack called Efail). Do not send what comes out of here, nor an
// error about it, to the sender; what a reader makes of HTML in it is up to that
// reader.
//
// Parameters:
//
//   - keyStoreFileName (required): the file with the private key and its
//     certificate: file://conf/NAME or a path.
//   - keyStorePassword: its password.
//   - keyStoreType: JKS, PKCS12 or PEM; the content of the file decides. The key of
//     a PEM file must not be encrypted.
//   - keyAlias (default: the only key): name of the key in a JKS keystore. Other
//     files must have one key alone.
//   - keyAliasPassword (default: that of the keystore): password of the key.
//   - mailAttribute (default org.apache.james.SMIMEDecrypt): name of the attribute.
//
// A message for the certificate that cannot be decrypted is an error, and so are
// one that cannot be read and one of more than 64 MiB.
//
// Differs from James: the content keeps its type and its parts, where James makes
// plain text of it; messages with a signature alone go on as they are, where James
// fails; elliptic curves and authenticated encryption can be read.
type SMIMEDecrypt struct {
	identity  *smime.Identity
	attribute string
	gate      *smime.Gate
}

func newSMIMEDecrypt(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		d := &SMIMEDecrypt{smimeIdentity(s, p), p.String("mailAttribute", "org.apache.james.SMIMEDecrypt"), s.smime}
		if d.identity != nil {
			if err := d.identity.CanDecrypt(); err != nil {
				p.Warn("keyStoreFileName", "<keyStoreFileName>: %v", err)
			}
		}
		return d
	}
}

// Service decrypts the message. On an error it is as it was.
func (d *SMIMEDecrypt) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	if !protectedType(m.Message.Header()) {
		return nil
	}
	leave, err := d.gate.Enter(ctx, m.Message.Size())
	if err != nil {
		return fmt.Errorf("S/MIME: %w", err)
	}
	defer leave()
	content, err := d.identity.Decrypt(&m.Message)
	switch {
	case errors.Is(err, smime.ErrNotEncrypted), errors.Is(err, smime.ErrOtherRecipient):
		return nil
	case err != nil:
		return fmt.Errorf("S/MIME: decrypt: %w", err)
	}
	smime.Inner(&m.Message, content)
	m.Set(d.attribute, certificates(d.identity.Certificate.Raw))
	return nil
}
